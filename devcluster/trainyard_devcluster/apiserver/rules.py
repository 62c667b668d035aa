"""Validation rules of custom resources (`x-kubernetes-validations`)."""

from collections.abc import Iterator, Sequence

from trainyard_devcluster.apiserver.cel import CelError, Scope, optional
from trainyard_devcluster.apiserver.errors import FieldError, forbidden_field, invalid_value, printed, required
from trainyard_devcluster.apiserver.schema.decode import json_type
from trainyard_devcluster.apiserver.schema.lists import counterparts
from trainyard_devcluster.apiserver.schema.node import MISSING, Schema
from trainyard_devcluster.apiserver.values import Json, Object

_ROOT_METADATA = ("name", "generateName")
_UNCHECKED = (
    "some validation rules were not checked because the object was invalid; "
    "correct the existing errors to complete validation"
)


def broken_rules(
    new: Object, old: Object | None, schema: Schema, earlier: Sequence[FieldError]
) -> Iterator[FieldError]:
    """Yield the rules that an object breaks.

    Rules over an object of the wrong shape mean nothing: where schema validation found such an error, they are left
    out and one error says so.
    """
    if not has_rules(schema):
        return
    if any(error.blocking for error in earlier):
        yield FieldError("FieldValueInvalid", "<nil>", f"Invalid value: null: {_UNCHECKED}")
        return
    yield from _walk(_root(new), _root(old), schema, "")


def has_rules(schema: Schema) -> bool:
    """Return whether a schema has rules anywhere."""
    if "x-kubernetes-validations" in schema.raw:
        return True
    inner = [*schema.properties.values(), *filter(None, (schema.items, schema.additional))]
    return any(not each.native and has_rules(each) for each in inner if each is not schema)


def _root(obj: Object | None) -> Object | None:
    """Rules see of the metadata only the names."""
    if obj is None:
        return None
    metadata = {name: obj["metadata"][name] for name in _ROOT_METADATA if name in obj["metadata"]}
    return obj | {"metadata": metadata}


def _walk(value: Json, old: Json, schema: Schema, path: str) -> Iterator[FieldError]:
    unchanged = old is not None and value == old
    rules = schema.raw.get("x-kubernetes-validations", ())
    # Ratcheting: what did not change is not judged anew, so that old objects survive new rules.
    rules = [rule for rule in rules if not unchanged or "oldSelf" in rule["rule"]]
    if rules:
        scope = Scope({"self": value, "oldSelf": old})
        for rule in rules:
            asks = rule.get("optionalOldSelf")
            suits = Scope({"self": value, "oldSelf": optional(old)}) if asks else scope
            yield from _check(suits, value, old, rule, schema, path)
    if isinstance(value, dict):
        for name, item in value.items():
            child = schema.field(name)
            if child is not None and not child.native:
                before = old.get(name) if isinstance(old, dict) else None
                inside = f"{path}[{name}]" if name not in schema.properties else f"{path}.{name}" if path else name
                yield from _walk(item, before, child, inside)
    elif isinstance(value, list) and schema.items is not None:
        for index, (item, before) in enumerate(
            zip(value, counterparts(value, old if isinstance(old, list) else [], schema), strict=True)
        ):
            yield from _walk(item, None if before is MISSING else before, schema.items, f"{path}[{index}]")


def _check(scope: Scope, value: Json, old: Json, rule: Object, schema: Schema, path: str) -> Iterator[FieldError]:
    text = rule["rule"]
    if "oldSelf" in text and old is None and not rule.get("optionalOldSelf"):
        return
    try:
        holds = scope.evaluate(text)
    except CelError as error:
        kind = schema.type or json_type(value)
        yield invalid_value(path or "<nil>", kind, f"{error} evaluating rule: {rule.get('message') or rule['rule']}")
        return
    if not holds:
        at = (path + rule.get("fieldPath", "")).lstrip(".") or "<nil>"
        yield _error(rule, at, value, _message(rule, scope))


def _message(rule: Object, scope: Scope) -> str:
    expression = rule.get("messageExpression")
    if expression:
        try:
            return str(scope.evaluate(expression))
        except CelError:
            pass  # Kubernetes falls back to the fixed message.
    return str(rule.get("message") or f"failed rule: {rule['rule'].strip()}").strip()


def _error(rule: Object, path: str, value: Json, message: str) -> FieldError:
    shown = "" if isinstance(value, dict | list) else f": {printed(value)}"
    match rule.get("reason"):
        case "FieldValueRequired":
            return required(path, message)
        case "FieldValueForbidden":
            return forbidden_field(path, message)
        case "FieldValueDuplicate":
            return FieldError("FieldValueDuplicate", path, f"Duplicate value{shown}")
    return FieldError("FieldValueInvalid", path, f"Invalid value{shown}: {message}")
