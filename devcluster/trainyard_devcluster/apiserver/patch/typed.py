"""Operations on values by their schema that server-side apply is made of.

They follow structured-merge-diff: maps merge by key, map and set lists by their items' identities, all else is a leaf.
"""

from dataclasses import dataclass, field

from trainyard_devcluster.apiserver.errors import ApiError
from trainyard_devcluster.apiserver.patch.fieldset import FieldSet
from trainyard_devcluster.apiserver.schema.lists import is_associative, item_key
from trainyard_devcluster.apiserver.schema.node import ANYTHING, Schema
from trainyard_devcluster.apiserver.values import Json, Object

Entries = dict[str, tuple[Json, Schema]]
"""What is inside a value by path element, with schemas."""


def entries(value: Json, schema: Schema) -> Entries | None:
    """Return what is inside a value, or None where it is a leaf."""
    if isinstance(value, dict) and not schema.atomic_map:
        return {f"f:{key}": (item, schema.field(key) or ANYTHING) for key, item in value.items()}
    if isinstance(value, list) and is_associative(value, schema):
        return {item_key(item, schema): (item, schema.item()) for item in value}
    return None


def fields_of(value: Json, schema: Schema) -> FieldSet:
    """Return the fields that an applied value lays claim to: its leaves, and the items of its lists and free maps."""
    result = FieldSet()
    for element, (item, below) in (entries(value, schema) or {}).items():
        inner = entries(item, below)
        if not inner or not element.startswith("f:") or element[2:] not in schema.properties:
            result.members.add(element)
        if inner:
            result.put(element, fields_of(item, below))
    return result


@dataclass(slots=True)
class Comparison:
    """How one value differs from another."""

    added: FieldSet = field(default_factory=FieldSet)
    modified: FieldSet = field(default_factory=FieldSet)
    removed: FieldSet = field(default_factory=FieldSet)

    def put(self, element: str, below: "Comparison") -> None:
        """Add what differs below a path element."""
        self.added.put(element, below.added)
        self.modified.put(element, below.modified)
        self.removed.put(element, below.removed)


def compare(old: Json, new: Json, schema: Schema) -> Comparison:
    """Return what is added, modified and removed on the way from one value to another."""
    result = Comparison()
    before, after = entries(old, schema) or {}, entries(new, schema) or {}
    for element, (item, below) in before.items():
        if element not in after:
            result.removed.members.add(element)
            result.removed.put(element, _everything(item, below))
            continue
        now = after[element][0]
        if item is now or item == now:
            continue
        if entries(item, below) is None or entries(now, below) is None:
            result.modified.members.add(element)
        else:
            result.put(element, compare(item, now, below))
    for element, (item, below) in after.items():
        if element not in before:
            result.added.members.add(element)
            result.added.put(element, _everything(item, below))
    return result


def _everything(value: Json, schema: Schema) -> FieldSet:
    result = FieldSet()
    for element, (item, below) in (entries(value, schema) or {}).items():
        result.members.add(element)
        result.put(element, _everything(item, below))
    return result


def merge(live: Json, config: Json, schema: Schema) -> Json:
    """Return the live value with an applied configuration laid over it."""
    if isinstance(live, dict) and isinstance(config, dict) and not schema.atomic_map:
        merged = dict(live)
        for key, item in config.items():
            child = schema.field(key) or ANYTHING
            merged[key] = merge(merged[key], item, child) if key in merged else item
        return merged
    if isinstance(live, list) and isinstance(config, list) and is_associative(live + config, schema):
        return _merge_lists(live, config, schema)
    return config


def _merge_lists(live: list[Json], config: list[Json], schema: Schema) -> list[Json]:
    """The configuration's items come in its order; live items that it does not have keep their places between them."""
    ours = {item_key(item, schema): item for item in live}
    theirs = [item_key(item, schema) for item in config]
    wanted = set(theirs)
    result: list[Json] = []
    queue = list(zip(theirs, config, strict=True))
    placed: set[str] = set()
    for key, item in ours.items():
        if key not in wanted:
            result.append(item)
            continue
        while queue and key not in placed:
            next_key, next_item = queue.pop(0)
            placed.add(next_key)
            result.append(merge(ours[next_key], next_item, schema.item()) if next_key in ours else next_item)
    result.extend(item for _, item in queue)
    return result


def remove(value: Json, fields: FieldSet, schema: Schema) -> Json:
    """Return the value without some fields; a map or list that this empties goes too (as None)."""
    inner = entries(value, schema)
    if inner is None or not fields:
        return value
    kept: dict[str, Json] = {}
    for element, (item, below) in inner.items():
        if element in fields.members:
            continue
        if element in fields.children:
            left = remove(item, fields.children[element], below)
            if left is None:
                continue
            kept[element] = left
        else:
            kept[element] = item
    if not kept:
        return None
    if isinstance(value, dict):
        return {element[2:]: item for element, item in kept.items()}
    return list(kept.values())


def check_declared(value: Json, schema: Schema, subject: str, path: str = "") -> None:
    """Refuse an applied configuration with fields that its schema does not have.

    Raises:
        ApiError: 500 (as the real server answers), the first such field.
    """
    if isinstance(value, dict):
        for name, item in value.items():
            child = schema.field(name)
            if child is None:
                message = (
                    f"failed to create typed patch object ({subject}): {path}.{name}: field not declared in schema"
                )
                raise ApiError(500, "", message)
            check_declared(item, child, subject, f"{path}.{name}")
    elif isinstance(value, list):
        _check_unique(value, schema, subject, path)
        for index, item in enumerate(value):
            check_declared(item, schema.item(), subject, f"{path}[{index}]")


def _check_unique(value: list[Json], schema: Schema, subject: str, path: str) -> None:
    if not is_associative(value, schema):
        return
    seen: set[str] = set()
    for item in value:
        key = item_key(item, schema)
        if key in seen:
            shown = next(FieldSet({key}).paths())
            message = f"failed to create typed patch object ({subject}): {path}: duplicate entries for key {shown}"
            raise ApiError(500, "", message)
        seen.add(key)


def without_nulls(value: Object) -> Object:
    """Return an applied configuration without fields that are null: they lay claim to nothing."""
    return {
        key: without_nulls(item) if isinstance(item, dict) else item for key, item in value.items() if item is not None
    }
