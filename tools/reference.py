"""Writes the field reference: one table for each object inside a resource's schema."""

from collections.abc import Iterator, Mapping
from typing import Any

from trainyard_api.schema import Schema

_TITLE = "# Field reference\n\nGenerated from the CRDs by `make crds`; `kubectl explain` shows the same text.\n"
_HEAD = "| field | type | default | meaning |\n|---|---|---|---|\n"


def reference(schemas: Mapping[str, Schema]) -> str:
    """Return the reference as Markdown; the schemas are given by kind."""
    parts = [_TITLE]
    for kind, schema in schemas.items():
        parts.append(f"## {kind}\n\n{schema['description']}\n{_rules(schema)}")
        for path, node in _objects("", schema):
            if path:
                parts.append(f"### {kind} `{path}`\n\n{node['description']}\n\n{_table(node)}{_rules(node)}")
    return "\n".join(parts)


def _objects(path: str, schema: Schema) -> Iterator[tuple[str, Schema]]:
    """Yield every object that has fields, each before what is inside it."""
    yield path, schema
    for name, field in schema["properties"].items():
        if not path and name == "metadata":  # Kubernetes describes it
            continue
        inner, suffix = (field["items"], "[]") if field.get("type") == "array" else (field, "")
        if "properties" in inner:
            described = {**inner, "description": field["description"]}
            yield from _objects(f"{path}.{name}{suffix}".lstrip("."), described)


def _table(schema: Schema) -> str:
    required = schema.get("required", ())
    rows = (
        (f"`{name}`", _type(field), "required" if name in required else _default(field), field["description"])
        for name, field in schema["properties"].items()
    )
    return _HEAD + "".join(f"| {' | '.join(cell.replace('|', '&#124;') for cell in row)} |\n" for row in rows)


def _rules(schema: Schema) -> str:
    messages = [rule["message"] for rule in schema.get("x-kubernetes-validations", ())]
    return "".join(["\n", *(f"* Rule: {message}.\n" for message in messages)]) if messages else ""


def _default(field: Schema) -> str:
    default = field.get("default")
    return "" if default in (None, "", [], {}) else f"`{_literal(default)}`"


def _literal(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _type(field: Schema) -> str:
    match field:
        case {"enum": values}:
            return ", ".join(f"`{value}`" for value in values)
        case {"x-kubernetes-int-or-string": True}:
            return "quantity"
        case {"type": "array", "items": items}:
            return f"list of {_type(items)}"
        case {"type": "object", "additionalProperties": values}:
            return f"map of {_type(values)}"
        case {"format": "date-time"}:
            return "time"
        case {"type": "number", "x-kubernetes-validations": [{"message": message}, *_]} if message.endswith("as 0.2"):
            return str(message).removeprefix("expected a ").partition(":")[0].replace("number ", "number, ")
        case {"minimum": low, "maximum": high}:
            above = "above " if field.get("exclusiveMinimum") else ""
            below = "below " if field.get("exclusiveMaximum") else ""
            return f"{field['type']}, {above}{low} to {below}{high}"
        case _:
            return str(field["type"])
