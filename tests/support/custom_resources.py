"""What an API server does with a custom resource at apply time, without one: defaults, schema and CEL rules."""

import copy
from collections.abc import Iterator
from typing import Any

import cel
from jsonschema import Draft4Validator

from trainyard_api.crd import RESOURCES, crd

Json = dict[str, Any]
CRDS = {resource.model.__name__: crd(resource) for resource in RESOURCES}
SCHEMAS: dict[str, Json] = {
    kind: each["spec"]["versions"][0]["schema"]["openAPIV3Schema"] for kind, each in CRDS.items()
}


def nodes(schema: Json, path: str = "") -> Iterator[tuple[str, Json]]:
    """Yield every schema inside a schema with its path, each before what is inside it."""
    yield path, schema
    for name, each in schema.get("properties", {}).items():
        yield from nodes(each, f"{path}.{name}")
    for key, suffix in (("items", "[]"), ("additionalProperties", ".*")):
        if key in schema:
            yield from nodes(schema[key], path + suffix)


def with_defaults(value: Any, schema: Json) -> Any:
    """Return the value with every default that applies, also inside defaults."""
    value = copy.deepcopy(value)
    if isinstance(value, dict):
        for name, each in schema.get("properties", {}).items():
            if "default" in each:
                value.setdefault(name, copy.deepcopy(each["default"]))
        inner = schema.get("properties", {})
        return {k: with_defaults(v, inner.get(k, schema.get("additionalProperties", {}))) for k, v in value.items()}
    if isinstance(value, list):
        return [with_defaults(each, schema.get("items", {})) for each in value]
    return value


def refusals(resource: Json, old: Json | None = None) -> list[str]:
    """Return why the API server would refuse a resource: nothing where it would not."""
    schema = SCHEMAS[resource["kind"]]
    resource = with_defaults(resource, schema)
    errors = [f"{error.json_path}: {error.message}" for error in Draft4Validator(schema).iter_errors(resource)]
    inner = {key: each for key, each in resource.items() if key not in ("apiVersion", "kind", "metadata")}
    errors += [f"unknown field {path}" for path in unknown_fields(inner, schema, "")]
    if not errors:
        errors += broken_rules(resource, with_defaults(old, schema) if old else None, schema)
    return errors


def broken_rules(value: Any, old: Any, schema: Json) -> Iterator[str]:
    """Yield the messages of the CEL rules, here and inside, that do not hold for a value as it stands."""
    for rule in schema.get("x-kubernetes-validations", ()):
        variables = {"self": value, "oldSelf": old}
        if (old is not None or "oldSelf" not in rule["rule"]) and cel.evaluate(rule["rule"], variables) is not True:
            yield rule["message"]
    if isinstance(value, dict):
        for name, each in value.items():
            inner = schema.get("properties", {}).get(name) or schema.get("additionalProperties") or {}
            yield from broken_rules(each, old.get(name) if isinstance(old, dict) else None, inner)
    elif isinstance(value, list):
        for each in value:
            yield from broken_rules(each, None, schema.get("items", {}))


def unknown_fields(value: Any, schema: Json, path: str) -> Iterator[str]:
    """Yield the paths of what the schema does not declare, and the API server would prune."""
    if schema.get("x-kubernetes-preserve-unknown-fields"):
        return
    if isinstance(value, list):
        for each in value:
            yield from unknown_fields(each, schema.get("items", {}), f"{path}[]")
    elif isinstance(value, dict):
        for name, each in value.items():
            inner = schema.get("properties", {}).get(name, schema.get("additionalProperties"))
            yield from [f"{path}.{name}"] if inner is None else unknown_fields(each, inner, f"{path}.{name}")
