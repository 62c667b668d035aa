"""Printer columns of custom resources."""

from collections.abc import Iterable
from datetime import datetime

from trainyard_devcluster.apiserver.jsonpath import JsonPath
from trainyard_devcluster.apiserver.tables.age import since
from trainyard_devcluster.apiserver.tables.column import Cell, Column
from trainyard_devcluster.apiserver.tables.render import AGE, NAME
from trainyard_devcluster.apiserver.values import Json, Object, encode


def printer_columns(definitions: Iterable[Object]) -> tuple[Column, ...]:
    """Return the columns of a version's `additionalPrinterColumns`; without any, name and age."""
    found = tuple(_column(each) for each in definitions)
    return (NAME, *found) if found else (NAME, AGE)


def _column(definition: Object) -> Column:
    return Column(
        definition["name"],
        _cell(JsonPath.parse(definition["jsonPath"]), definition["type"]),
        type=definition["type"],
        format=definition.get("format", ""),
        description=definition.get("description")
        or f"Custom resource definition column (in JSONPath format): {definition['jsonPath']}",
        priority=definition.get("priority", 0),
    )


def _cell(path: JsonPath, kind: str) -> Cell:
    def cell(obj: Object, now: datetime) -> Json:
        found = path.find(obj)
        return _shown(found[0], kind, now) if found else None

    return cell


def _shown(value: Json, kind: str, now: datetime) -> Json:
    """Return a value as its column's type shows it, None where it does not fit."""
    match kind:
        case "date":
            return _since(value, now)
        case "integer":
            return int(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
        case "number":
            return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
        case "boolean":
            return value if isinstance(value, bool) else None
    if isinstance(value, str):
        return value
    return encode(value).decode()


def _since(value: Json, now: datetime) -> str:
    try:
        return since(value, now)
    except (ValueError, TypeError):
        return "<invalid>"
