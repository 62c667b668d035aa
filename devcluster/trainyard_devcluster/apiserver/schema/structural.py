"""The rules that make a schema structural, and so fit for pruning and defaulting."""

from collections.abc import Iterator

from trainyard_devcluster.apiserver.errors import FieldError, forbidden_field, invalid_value, not_supported, required
from trainyard_devcluster.apiserver.values import Object

_TYPES = ("array", "boolean", "integer", "number", "object", "string")
_FORBIDDEN_INSIDE = ("type", "additionalProperties", "default", "description", "nullable")
_JUNCTORS = ("allOf", "anyOf", "oneOf")


def structure_errors(schema: Object, path: str, *, root: bool = False) -> Iterator[FieldError]:
    """Yield where a schema is not structural."""
    if root and schema.get("type") != "object":
        yield invalid_value(f"{path}.type", schema.get("type", ""), "must be object at the root")
    if "$ref" in schema:
        yield forbidden_field(f"{path}.$ref", "$ref is not supported")
    yield from _type_errors(schema, path)
    yield from _list_errors(schema, path)
    if "properties" in schema and schema.get("additionalProperties") is not None:
        yield forbidden_field(
            f"{path}.additionalProperties", "additionalProperties and properties are mutual exclusive"
        )
    for name, child in (schema.get("properties") or {}).items():
        yield from structure_errors(child, f"{path}.properties[{name}]")
    for keyword in ("items", "additionalProperties"):
        if isinstance(schema.get(keyword), dict):
            yield from structure_errors(schema[keyword], f"{path}.{keyword}")
    for keyword in _JUNCTORS:
        for index, each in enumerate(schema.get(keyword) or ()):
            at = f"{path}.{keyword}[{index}]"
            if not schema.get("x-kubernetes-int-or-string"):
                yield from _forbidden_inside(each, at)
            if root:  # Kubernetes looks no deeper, though its documentation says so.
                yield from _undeclared(each, at, schema, path)


def _type_errors(schema: Object, path: str) -> Iterator[FieldError]:
    kind = schema.get("type")
    free = schema.get("x-kubernetes-int-or-string") or schema.get("x-kubernetes-preserve-unknown-fields")
    if not kind:
        if not free:
            yield required(f"{path}.type", "must not be empty for specified object fields")
    elif kind not in _TYPES:
        yield not_supported(f"{path}.type", kind, _TYPES)
    elif schema.get("x-kubernetes-int-or-string"):
        yield invalid_value(f"{path}.type", kind, "must be empty if x-kubernetes-int-or-string is true")
    if kind == "array" and "items" not in schema:
        yield required(f"{path}.items", "must be specified")


def _list_errors(schema: Object, path: str) -> Iterator[FieldError]:
    kind, keys = schema.get("x-kubernetes-list-type"), schema.get("x-kubernetes-list-map-keys") or ()
    if kind is not None and schema.get("type") != "array":
        yield invalid_value(
            f"{path}.type", schema.get("type", ""), "must be array if x-kubernetes-list-type is specified"
        )
    if kind == "map" and not keys:
        yield required(f"{path}.x-kubernetes-list-map-keys", "must not be empty if x-kubernetes-list-type is map")
    if keys and kind != "map":
        yield invalid_value(
            f"{path}.x-kubernetes-list-map-keys", keys, "must be empty if x-kubernetes-list-type is not map"
        )
    items = schema.get("items") or {}
    for key in keys if kind == "map" else ():
        known = (items.get("properties") or {}).get(key)
        if known is None:
            yield invalid_value(
                f"{path}.x-kubernetes-list-map-keys", keys, "entries have to be names of properties of items"
            )
        elif key not in (items.get("required") or ()) and "default" not in known:
            yield required(
                f"{path}.items.properties[{key}].default",
                "this property is in x-kubernetes-list-map-keys, so it must have a default or be a required property",
            )


def _forbidden_inside(schema: Object, path: str) -> Iterator[FieldError]:
    """Inside allOf, anyOf and oneOf only value rules may stand: structure is declared outside."""
    for keyword in _FORBIDDEN_INSIDE:
        if keyword in schema:
            yield forbidden_field(f"{path}.{keyword}", "must be empty to be structural")
    for name, child in (schema.get("properties") or {}).items():
        yield from _forbidden_inside(child, f"{path}.properties[{name}]")


def _undeclared(schema: Object, path: str, owner: Object, owner_path: str) -> Iterator[FieldError]:
    """Fields that have value rules have to be declared outside."""
    for name, child in (schema.get("properties") or {}).items():
        inside, outside = f"{path}.properties[{name}]", f"{owner_path}.properties[{name}]"
        if name in (owner.get("properties") or {}):
            yield from _undeclared(child, inside, owner["properties"][name], outside)
        else:
            yield required(outside, f"because it is defined in {inside}")
