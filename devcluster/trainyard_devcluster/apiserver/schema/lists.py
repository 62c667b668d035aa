"""Lists as sets and as maps: the identity of their items."""

from collections.abc import Iterator

from trainyard_devcluster.apiserver.errors import FieldError, duplicate, required
from trainyard_devcluster.apiserver.schema.node import MISSING, Schema
from trainyard_devcluster.apiserver.values import Json, Object, encode


def item_key(item: Json, schema: Schema) -> str:
    """Return the identity of an item of a set or map list: `v:...` or `k:{...}`, as in managed fields."""
    if schema.list_type == "set":
        return f"v:{encode(item).decode()}"
    return f"k:{encode(key_fields(item, schema)).decode()}"


def key_fields(item: Object, schema: Schema) -> Object:
    """Return the fields that identify an item of a map list, with their defaults, in the order of their names."""
    found = {}
    for key in sorted(schema.keys):
        value = item.get(key)
        if value is None:
            child = schema.item().field(key)
            value = child.default if child is not None and child.default is not MISSING else None
        if value is not None:
            found[key] = value
    return found


def is_associative(value: Json, schema: Schema) -> bool:
    """Return whether a list's items have identities, so that they merge one by one."""
    if schema.list_type == "map":
        return all(isinstance(item, dict) for item in value)
    return schema.list_type == "set"


def list_errors(value: list[Json], schema: Schema, path: str) -> Iterator[FieldError]:
    """Yield the duplicates in a set or map list, and map items without their keys."""
    if schema.list_type == "atomic" or schema.native or not is_associative(value, schema):
        return
    seen = set()
    for index, item in enumerate(value):
        if schema.list_type == "map":
            fields = key_fields(item, schema)
            for key in schema.keys:
                if key not in fields and key not in schema.item().required:
                    yield required(f"{path}[{index}].{key}", "this property is in x-kubernetes-list-map-keys")
        identity = item_key(item, schema)
        if identity in seen:
            yield duplicate(f"{path}[{index}]", key_fields(item, schema) if schema.list_type == "map" else item)
        seen.add(identity)


def counterparts(new: list[Json], old: list[Json], schema: Schema) -> list[Json]:
    """Return, for each item of a map list, the item of that identity in the old list, else MISSING.

    Items of set and atomic lists have no counterparts.
    """
    known = {}
    if schema.list_type == "map" and is_associative(old, schema) and is_associative(new, schema):
        known = {item_key(item, schema): item for item in old}
    return [known.get(item_key(item, schema), MISSING) if known else MISSING for item in new]
