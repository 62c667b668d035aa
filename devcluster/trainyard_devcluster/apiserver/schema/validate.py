"""Validation of values against a schema, with the field paths and wording of Kubernetes."""

import itertools
import math
import re
from collections.abc import Callable, Iterator

from trainyard_devcluster.apiserver.errors import (
    FieldError,
    invalid_value,
    not_supported,
    required,
    too_long,
    too_many,
    wrong_type,
)
from trainyard_devcluster.apiserver.schema.decode import fits, json_type
from trainyard_devcluster.apiserver.schema.formats import FORMATS
from trainyard_devcluster.apiserver.schema.lists import counterparts, list_errors
from trainyard_devcluster.apiserver.schema.node import MISSING, Schema
from trainyard_devcluster.apiserver.values import Json, Object


def validate(value: Json, schema: Schema, path: str = "", old: Json = MISSING) -> Iterator[FieldError]:
    """Yield everything in which a value breaks its schema, outermost first.

    Given the old value, what did not change is not judged anew (ratcheting), so that old objects survive new schemas.
    """
    if old is not MISSING and value == old:
        return
    if value is None and (schema.nullable or schema.native or not (schema.type or schema.int_or_string)):
        return
    suits = fits(value, schema)
    if not suits:
        wanted = "integer,string" if schema.int_or_string else schema.type
        found = json_type(value)
        yield wrong_type(path, found, f'{path} in body must be of type {wanted}: "{found}"')
    if "enum" in schema.raw and value not in schema.raw["enum"]:
        yield not_supported(path, value, schema.raw["enum"])
    if not suits:
        return
    match value:
        case dict():
            yield from _validate_object(value, schema, path, old if isinstance(old, dict) else {})
        case list():
            yield from _validate_list(value, schema, path, old if isinstance(old, list) else [])
        case str():
            yield from _validate_text(value, schema.raw, path)
        case int() | float() if not isinstance(value, bool):
            yield from _validate_number(value, schema.raw, path)
    if not schema.native:
        yield from _validate_junctors(value, schema, path)


def _validate_object(value: Object, schema: Schema, path: str, old: Object) -> Iterator[FieldError]:
    prefix = path and f"{path}."
    for name in schema.required:
        if value.get(name) is None and name not in value:
            yield required(prefix + name)
    if len(value) < schema.raw.get("minProperties", 0):
        least = schema.raw["minProperties"]
        yield invalid_value(path, len(value), f"{path} in body should have at least {least} properties")
    if len(value) > schema.raw.get("maxProperties", math.inf):
        yield too_many(path, len(value), schema.raw["maxProperties"])
    for name, item in value.items():
        child = schema.properties.get(name)
        if child is not None:
            yield from validate(item, child, prefix + name, old.get(name, MISSING))
        elif schema.additional is not None:
            yield from validate(item, schema.additional, prefix + name, old.get(name, MISSING))


def _validate_list(value: list[Json], schema: Schema, path: str, old: list[Json]) -> Iterator[FieldError]:
    if len(value) < schema.raw.get("minItems", 0):
        least = schema.raw["minItems"]
        yield invalid_value(path, len(value), f"{path} in body should have at least {least} items")
    if len(value) > schema.raw.get("maxItems", math.inf):
        yield too_many(path, len(value), schema.raw["maxItems"])
    yield from list_errors(value, schema, path)
    if schema.items is not None:
        for index, (item, before) in enumerate(zip(value, counterparts(value, old, schema), strict=True)):
            yield from validate(item, schema.items, f"{path}[{index}]", before)


def _validate_text(value: str, raw: Object, path: str) -> Iterator[FieldError]:
    if len(value) < raw.get("minLength", 0):
        yield invalid_value(path, value, f"{path} in body should be at least {raw['minLength']} chars long")
    if len(value) > raw.get("maxLength", math.inf):
        yield too_long(path, raw["maxLength"])
    if "pattern" in raw and not re.search(raw["pattern"], value):
        yield invalid_value(path, value, f"{path} in body should match '{raw['pattern']}'")
    check = FORMATS.get(raw.get("format", ""))
    if check is not None and not check(value):
        yield wrong_type(path, value, f'{path} in body must be of type {raw["format"]}: "{value}"')


_BOUNDS: tuple[tuple[str, str, Callable[[float, float], bool], Callable[[float, float], bool], str, str], ...] = (
    ("minimum", "exclusiveMinimum", float.__ge__, float.__gt__, "greater than or equal to", "greater than"),
    ("maximum", "exclusiveMaximum", float.__le__, float.__lt__, "less than or equal to", "less than"),
)


def _validate_number(value: float, raw: Object, path: str) -> Iterator[FieldError]:
    if raw.get("type") == "integer" and raw.get("format") == "int32" and not -(2**31) <= value < 2**31:
        yield invalid_value("<nil>", "", f"Checked value must be of type integer with format int32 in {path}")
    for keyword, exclusive, holds, holds_strictly, words, strict_words in _BOUNDS:
        bound = raw.get(keyword)
        if bound is None:
            continue
        strict = bool(raw.get(exclusive))
        if not (holds_strictly if strict else holds)(float(value), float(bound)):
            phrase = strict_words if strict else words
            yield invalid_value(path, value, f"{path} in body should be {phrase} {bound}")
    factor = raw.get("multipleOf")
    if factor and not math.isclose(value / factor, round(value / factor), rel_tol=1e-12):
        yield invalid_value(path, value, f"{path} in body should be a multiple of {factor}")


def _validate_junctors(value: Json, schema: Schema, path: str) -> Iterator[FieldError]:
    raw = schema.raw
    if "allOf" in raw:
        failures = _failures(value, raw["allOf"], path)
        yield from itertools.chain.from_iterable(failures)
        if any(failures):
            found = ". None validated" if all(failures) else ""
            yield invalid_value("<nil>", "", f'"{path}" must validate all the schemas (allOf){found}')
    if "anyOf" in raw:
        failures = _failures(value, raw["anyOf"], path)
        if all(failures):
            yield invalid_value("<nil>", "", f'"{path}" must validate at least one schema (anyOf)')
            yield from min(failures, key=len)
    if "oneOf" in raw:
        failures = _failures(value, raw["oneOf"], path)
        count = sum(not each for each in failures)
        if count != 1:
            found = f"{count} valid alternatives" if count else "none valid"
            yield invalid_value("<nil>", "", f'"{path}" must validate one and only one schema (oneOf). Found {found}')
            yield from min(failures, key=len)
    if "not" in raw and not _failures(value, [raw["not"]], path)[0]:
        yield invalid_value("<nil>", "", f'"{path}" must not validate the schema (not)')


def _failures(value: Json, alternatives: list[Object], path: str) -> list[list[FieldError]]:
    """Return what is wrong with a value by each of several schemas."""
    return [list(validate(value, _part(each), path)) for each in alternatives]


def _part(raw: Object) -> Schema:
    def unresolved(name: str) -> Schema:
        raise KeyError(name)

    return Schema(raw, unresolved, native=False)
