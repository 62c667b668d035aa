"""The schemas are structural, as apiextensions/v1 checks it, and the generator refuses what is not."""

import ast
import re
from typing import Any

import pytest
from jsonschema import Draft4Validator
from pydantic import BaseModel, Field

from support.custom_resources import SCHEMAS, broken_rules, nodes, unknown_fields
from trainyard_api.forms import FORMS
from trainyard_api.quantities import EXPONENT_PATTERN, QUANTITY_PATTERN
from trainyard_api.schema import structural_schema

EVERYWHERE = [pytest.param(node, id=f"{kind}{path}") for kind in SCHEMAS for path, node in nodes(SCHEMAS[kind])]
RULES = [
    pytest.param(node, rule, id=f"{kind}{path}: {rule['rule'][:60]}")
    for kind in SCHEMAS
    for path, node in nodes(SCHEMAS[kind])
    for rule in node.get("x-kubernetes-validations", ())
]
PATTERNS = {each.values[0]["pattern"] for each in EVERYWHERE if "pattern" in each.values[0]} | {
    ast.literal_eval(text)
    for each in RULES
    for text in re.findall(r"matches\(('(?:[^'\\]|\\.)*')\)", each.values[1]["rule"])
}
# JSONSchemaProps of apiextensions/v1, less what a structural schema may not have.
KEYWORDS = {
    "additionalProperties", "default", "description", "enum", "exclusiveMaximum", "exclusiveMinimum", "format", "items",
    "maxItems", "maxLength", "maxProperties", "maximum", "minItems", "minLength", "minProperties", "minimum", "pattern",
    "properties", "required", "type", "x-kubernetes-int-or-string", "x-kubernetes-list-map-keys",
    "x-kubernetes-list-type", "x-kubernetes-preserve-unknown-fields", "x-kubernetes-validations",
}  # fmt: skip


@pytest.mark.parametrize("node", EVERYWHERE)
def test_a_node_is_structural(node):
    assert node.keys() <= KEYWORDS
    assert ("type" in node) != node.get("x-kubernetes-int-or-string", False)
    assert node.get("type") in (None, "object", "array", "string", "integer", "number", "boolean")
    assert not {"properties", "additionalProperties"} <= node.keys()
    assert set(node.get("required", ())) <= node.get("properties", {}).keys()
    assert ("items" in node) == (node.get("type") == "array")
    assert isinstance(node.get("exclusiveMinimum", False), bool)
    assert isinstance(node.get("exclusiveMaximum", False), bool)


@pytest.mark.parametrize("node", EVERYWHERE)
def test_every_field_has_a_description(node):
    for name, field in node.get("properties", {}).items():
        if name == "metadata":  # the API server takes no word about it
            continue
        assert field["description"].endswith("."), name


@pytest.mark.parametrize("node", [each for each in EVERYWHERE if "default" in each.values[0]])
def test_a_default_is_valid_as_it_stands_before_the_defaults_inside_it_apply(node):
    Draft4Validator(node).validate(node["default"])
    assert not list(unknown_fields(node["default"], node, ""))
    assert not list(broken_rules(node["default"], node["default"], node))


@pytest.mark.parametrize("node", [each for each in EVERYWHERE if "additionalProperties" in each.values[0]])
def test_a_map_has_no_defaults_inside_because_the_api_server_forbids_them(node):
    assert not [path for path, inner in nodes(node["additionalProperties"]) if "default" in inner]


@pytest.mark.parametrize("pattern", sorted(PATTERNS))
def test_a_pattern_means_the_same_to_go_and_to_python(pattern):
    assert pattern.removeprefix("(?i)").startswith(("^", "[?&]"))
    assert not re.search(r"\(\?(?!i\))|\\[1-9AbBZz]|[*+?}]\+", pattern)
    assert all(int(most) <= 1000 for most in re.findall(r"[{,](\d+)}", pattern))


@pytest.mark.parametrize("node", [each for each in EVERYWHERE if "pattern" in each.values[0]])
def test_a_pattern_of_a_field_takes_all_of_it(node):
    assert node["pattern"].startswith("^")
    assert node["pattern"].endswith("$")


@pytest.mark.parametrize("kind", sorted(SCHEMAS))
def test_no_pattern_is_the_answer_to_what_a_user_writes(kind):
    found = {node["pattern"] for path, node in nodes(SCHEMAS[kind]["properties"]["spec"]) if "pattern" in node}
    # A new pattern needs its words in trainyard_api/forms.py.
    assert found <= {EXPONENT_PATTERN, QUANTITY_PATTERN}


@pytest.mark.parametrize("pattern", FORMS)
def test_a_form_has_an_example_or_says_which_characters_it_takes(pattern):
    words = FORMS[pattern]
    assert re.search("such as|letters|digits", words)
    assert "^" not in words


@pytest.mark.parametrize("node", [each for each in EVERYWHERE if each.values[0].get("type") == "array"])
def test_a_list_says_how_it_merges(node):
    items = node["items"]
    match node["x-kubernetes-list-type"]:
        case "map":
            for key in node["x-kubernetes-list-map-keys"]:
                assert key in items["required"] or "default" in items["properties"][key]
        case "set":
            assert items["type"] in ("string", "integer")
        case kind:
            assert kind == "atomic"


@pytest.mark.parametrize("node", [each for each in EVERYWHERE if each.id.split(".")[1:2] == ["spec"]])
def test_what_a_user_writes_is_bounded_in_length(node):
    match node:
        case {"type": "array"}:
            assert "maxItems" in node
        case {"additionalProperties": _}:
            assert "maxProperties" in node
        case {"type": "string"}:
            assert "maxLength" in node or "enum" in node


@pytest.mark.parametrize(("node", "rule"), RULES)
def test_a_rule_says_where_and_what_is_wrong_in_one_line(node, rule):
    # Kubernetes 1.29 knows further keys behind feature gates only.
    assert rule.keys() <= {"rule", "message", "fieldPath"}
    if "fieldPath" in rule:
        found = node
        for name in rule["fieldPath"].removeprefix(".").split("."):
            found = found["properties"][name]
    assert not rule["message"].endswith(".")
    assert "\n" not in rule["message"] + rule["rule"]


@pytest.mark.parametrize("kind", sorted(SCHEMAS))
def test_a_rule_about_a_change_stands_where_old_and_new_can_be_told_apart(kind):
    changes = [
        path
        for path, node in nodes(SCHEMAS[kind])
        for rule in node.get("x-kubernetes-validations", ())
        if "oldSelf" in rule["rule"]
    ]
    assert bool(changes) == (kind == "TrainingJob")
    assert not [path for path in changes if "[]" in path]


class Inner(BaseModel):
    """Inside."""

    size: float = Field(default=1.0, gt=0, lt=8)
    names: list[str] = Field(default=["a"])


class Outer(BaseModel):
    """Outside."""

    inner: Inner = Field(default=Inner(size=2), description="Where it is used.")
    maybe: Inner | None = Field(default=None, description="Optional.")
    either: int | str = 0
    free: dict[str, Any] = {}


def test_references_nulls_bounds_unions_and_free_objects_take_their_structural_form():
    size = {
        "type": "number", "default": 1, "minimum": 0, "exclusiveMinimum": True, "maximum": 8, "exclusiveMaximum": True,
    }  # fmt: skip
    names = {"type": "array", "default": ["a"], "x-kubernetes-list-type": "atomic", "items": {"type": "string"}}
    inner = {"type": "object", "properties": {"size": size, "names": names}}
    assert structural_schema(Outer)["properties"] == {
        "inner": inner | {"description": "Where it is used.", "default": {"size": 2}},
        "maybe": inner | {"description": "Optional."},
        "either": {"default": 0, "x-kubernetes-int-or-string": True},
        "free": {"type": "object", "default": {}, "x-kubernetes-preserve-unknown-fields": True},
    }


def test_a_union_of_objects_is_refused_by_its_path():
    class Either(BaseModel):
        child: Inner | Outer

    with pytest.raises(ValueError, match=r"Either\.child: a union can only be"):
        structural_schema(Either)


def test_a_keyword_the_api_server_does_not_know_is_refused_by_its_path():
    class Step(BaseModel):
        size: int = Field(multiple_of=8)

    with pytest.raises(ValueError, match=r"Step\.size: multipleOf"):
        structural_schema(Step)
