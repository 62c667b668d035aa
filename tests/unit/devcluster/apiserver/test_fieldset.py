"""Laws of field sets and of server-side apply, on objects of any shape."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some

from trainyard_devcluster.apiserver.definitions import custom_schema
from trainyard_devcluster.apiserver.errors import ApiError
from trainyard_devcluster.apiserver.patch.fieldset import FieldSet
from trainyard_devcluster.apiserver.patch.managers import Manager, after_apply, after_update, read, write
from trainyard_devcluster.apiserver.patch.typed import compare, fields_of, merge

from .conftest import Object

TEXT = {"type": "string"}
ITEM = {"type": "object", "required": ["name"], "properties": {"name": TEXT, "a": TEXT, "b": TEXT}}
SPEC = {
    "a": TEXT,
    "b": TEXT,
    "inner": {"type": "object", "properties": {"a": TEXT, "b": TEXT}},
    "free": {"type": "object", "additionalProperties": TEXT},
    "plain": {"type": "array", "items": TEXT},
    "words": {"type": "array", "items": TEXT, "x-kubernetes-list-type": "set"},
    "parts": {"type": "array", "items": ITEM, "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]},
}
SCHEMA = custom_schema({"type": "object", "properties": {"spec": {"type": "object", "properties": SPEC}}})

letters = some.sampled_from("xyz")
pairs = some.fixed_dictionaries({}, optional={"a": letters, "b": letters})
parts = some.lists(
    some.fixed_dictionaries({"name": letters}, optional={"a": letters, "b": letters}),
    min_size=1, max_size=3, unique_by=lambda part: part["name"],
)  # fmt: skip
specs = some.fixed_dictionaries(
    {"a": letters},
    optional={
        "b": letters,
        "inner": pairs.filter(bool),
        "free": some.dictionaries(letters, letters, min_size=1, max_size=3),
        "plain": some.lists(letters, min_size=1, max_size=3),
        "words": some.lists(letters, min_size=1, max_size=3, unique=True),
        "parts": parts,
    },
)
fields = specs.map(lambda spec: fields_of(spec, SCHEMA.at("spec")))


def an_object(spec: Object) -> Object:
    return {"apiVersion": "example.dev/v1", "kind": "Widget", "metadata": {"name": "one"}, "spec": spec}


def applied(live: Object, spec: Object, manager: str, *, force: bool = True) -> Object:
    """Return the object after an apply, with its managers written into it."""
    by = Manager(manager, "Apply", "example.dev/v1")
    merged, managers = after_apply(
        live, an_object(spec), read(live), by=by, schema=SCHEMA, ignored=FieldSet(), force=force, now="now"
    )
    metadata = {key: value for key, value in merged["metadata"].items() if key != "managedFields"}
    return merged | {"metadata": metadata | {"managedFields": write(managers)}}


EMPTY: Object = {"apiVersion": "example.dev/v1", "kind": "Widget", "metadata": {"name": "one"}}


def contains(whole: Any, part: Any) -> bool:
    """Whether every field of a part is in the whole; items of keyed lists are found by name."""
    if isinstance(part, dict):
        return all(key in whole and contains(whole[key], value) for key, value in part.items())
    if isinstance(part, list) and isinstance(part[0], dict):
        named = {each["name"]: each for each in whole}
        return all(each["name"] in named and contains(named[each["name"]], each) for each in part)
    return set(part) <= set(whole) if isinstance(part, list) else whole == part


@given(fields, fields)
def test_sets_add_and_subtract(one: FieldSet, other: FieldSet) -> None:
    both = one.union(other)
    assert both == other.union(one)
    assert both.difference(other).union(one.intersection(other)) == one
    assert not one.difference(one)


@given(fields)
def test_a_set_survives_the_wire(one: FieldSet) -> None:
    assert FieldSet.from_wire(one.to_wire()) == one


@given(specs, specs)
def test_a_comparison_names_every_change(old: Object, new: Object) -> None:
    difference = compare(old, new, SCHEMA.at("spec"))
    changed = bool(difference.added) or bool(difference.modified) or bool(difference.removed)
    ordered = [{key: sorted(value, key=str) if key in ("words", "parts") else value for key, value in each.items()}
               for each in (old, new)]  # fmt: skip
    assert changed is (ordered[0] != ordered[1])


@given(specs, specs)
def test_a_merge_holds_all_that_was_applied(live: Object, config: Object) -> None:
    merged = merge(live, config, SCHEMA.at("spec"))
    assert contains(merged, config)
    assert merge(merged, config, SCHEMA.at("spec")) == merged


@given(specs, specs)
def test_applying_again_changes_nothing(first: Object, second: Object) -> None:
    once = applied(applied(EMPTY, first, "one"), second, "two")
    assert applied(once, second, "two") == once


@given(specs, specs)
def test_an_apply_replaces_what_its_manager_applied_before(first: Object, second: Object) -> None:
    assert applied(applied(EMPTY, first, "one"), second, "one")["spec"].keys() == second.keys()


@given(specs, specs)
def test_what_another_applies_too_stays(first: Object, second: Object) -> None:
    both = applied(applied(EMPTY, first, "one"), second, "two")
    left = applied(both, {"a": second["a"]}, "one")
    assert contains(left["spec"], second)


@given(specs, specs)
def test_a_conflict_is_a_change_of_what_another_applied(first: Object, second: Object) -> None:
    live = applied(EMPTY, first, "one")
    overlaid = merge(live, an_object(second), SCHEMA)
    if contains(overlaid["spec"], first) and _same_lists(overlaid["spec"], first):
        applied(live, second, "two", force=False)
    else:
        with pytest.raises(ApiError) as refused:
            applied(live, second, "two", force=False)
        assert refused.value.code == 409


def _same_lists(whole: Object, part: Object) -> bool:
    return "plain" not in part or whole["plain"] == part["plain"]


@given(specs, specs)
def test_an_update_owns_what_it_changed_and_no_more(old: Object, new: Object) -> None:
    live = applied(EMPTY, old, "applier")
    by = Manager("updater", "Update", "example.dev/v1")
    managers = after_update(live, live | {"spec": new}, read(live), by=by, schema=SCHEMA, ignored=FieldSet(), now="now")
    mine = managers.get(by.identity)
    difference = compare(old, new, SCHEMA.at("spec"))
    changed = difference.added.union(difference.modified)
    assert (mine.fields if mine else FieldSet()) == (FieldSet({}, {"f:spec": changed}) if changed else FieldSet())
