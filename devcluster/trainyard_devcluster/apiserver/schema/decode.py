"""From a parsed body to an object that fits its schema: unknown fields and nulls dropped, wrong types refused."""

from dataclasses import dataclass, field

from trainyard_devcluster.apiserver.errors import ApiError, bad_request
from trainyard_devcluster.apiserver.schema.node import MISSING, Schema
from trainyard_devcluster.apiserver.values import Json

_PYTHON_TYPES: dict[str, type | tuple[type, ...]] = {
    "object": dict,
    "array": list,
    "string": str,
    "boolean": bool,
    "integer": int,
    "number": (int, float),
}
_GO_TYPES = {"object": "map[string]interface {}", "array": "[]interface {}", "boolean": "bool", "number": "float64"}


@dataclass(slots=True)
class Decoded:
    """An object that fits, and the unknown fields it had."""

    value: Json
    unknown: list[str] = field(default_factory=list)


def json_type(value: Json) -> str:
    """Return the JSON schema name of a value's type."""
    match value:
        case bool():
            return "boolean"
        case None:
            return "null"
        case int():
            return "integer"
        case float():
            return "number"
        case str():
            return "string"
        case list():
            return "array"
        case _:
            return "object"


def fits(value: Json, schema: Schema) -> bool:
    """Return whether a value has a schema's type."""
    if schema.int_or_string:
        # Quantities are texts and any numbers; the built-in schemas know no other name for them.
        return isinstance(value, str | int | (float if schema.native else int)) and not isinstance(value, bool)
    expected = _PYTHON_TYPES.get(schema.type)
    if expected is None:
        return True
    if isinstance(value, bool):
        return schema.type == "boolean"
    if schema.type == "integer" and isinstance(value, float):
        return value.is_integer()
    return isinstance(value, expected)


def decode(value: Json, schema: Schema) -> Decoded:
    """Return the object without what its schema does not know.

    Raises:
        ApiError: 400, a value in a built-in kind has the wrong type.
    """
    found = Decoded(None)
    found.value = _decode(value, schema, "", found.unknown)
    return found


def _decode(value: Json, schema: Schema, path: str, unknown: list[str]) -> Json:
    if isinstance(value, dict):
        return _decode_object(value, schema, path, unknown)
    if isinstance(value, list) and schema.items is not None:
        if schema.native and any(item is not None and not fits(item, schema.items) for item in value):
            bad = next(item for item in value if not fits(item, schema.items))
            raise _mismatch(bad, schema.items, "", path)
        return [_decode(item, schema.items, f"{path}[{index}]", unknown) for index, item in enumerate(value)]
    return value


def _decode_object(value: Json, schema: Schema, path: str, unknown: list[str]) -> Json:
    kept = {}
    properties = schema.properties
    prefix = path and f"{path}."
    for name, item in value.items():
        child = properties.get(name)
        if child is None:
            if not schema.open:
                unknown.append(prefix + name)
                continue
            child = schema.additional
            if child is None:
                kept[name] = item
                continue
        if item is None:
            if _keeps_null(child, declared=name in properties):
                kept[name] = None
            continue
        if child.native and not fits(item, child):
            raise _mismatch(item, child, schema.name, prefix + name)
        kept[name] = _decode(item, child, prefix + name, unknown) if isinstance(item, dict | list) else item
    return kept


def _keeps_null(child: Schema, *, declared: bool) -> bool:
    """A null in a field that is not nullable counts as absent; in a free map it stays, to be refused."""
    if child.native:
        return False
    return child.nullable or (not declared and child.default is MISSING) or not (child.type or child.int_or_string)


def _mismatch(value: Json, schema: Schema, owner: str, path: str) -> ApiError:
    found = {"boolean": "bool", "integer": "number"}.get(json_type(value), json_type(value))
    wanted = schema.raw.get("format") or _GO_TYPES.get(schema.type, schema.name or schema.type)
    place = ".".join(filter(None, (owner, path)))
    return bad_request(f"json: cannot unmarshal {found} into Go struct field {place} of type {wanted}")
