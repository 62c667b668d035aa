"""Turns a pydantic model into the structural schema that a CustomResourceDefinition takes.

pydantic writes JSON Schema 2020-12; apiextensions/v1 wants the OpenAPI 3.0 subset described at
https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/#specifying-a-structural-schema:
everything inline, a type everywhere, boolean `exclusiveMinimum`, no `null`. Whatever this module does not know is an
error, so that a schema keyword the API server would refuse or ignore never gets into a CRD unnoticed.
"""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema

from trainyard_api.forms import in_words

Schema = dict[str, Any]

# Also the order in which they are written.
_KEYWORDS = (
    "description", "type", "format", "default", "enum", "pattern", "minLength", "maxLength",
    "minimum", "exclusiveMinimum", "maximum", "exclusiveMaximum", "minItems", "maxItems", "minProperties",
    "maxProperties", "anyOf", "x-kubernetes-int-or-string", "x-kubernetes-preserve-unknown-fields",
    "x-kubernetes-map-type", "x-kubernetes-list-type", "x-kubernetes-list-map-keys", "x-kubernetes-validations",
    "required", "items", "additionalProperties", "properties",
)  # fmt: skip
_DROPPED = {"title", "propertyNames"}


class _Generator(GenerateJsonSchema):
    """pydantic's generator, with defaults in their wire form."""

    def encode_default(self, dflt: Any) -> Any:
        """Return a default as JSON; models in camelCase and without their nulls."""
        if isinstance(dflt, BaseModel):
            return dflt.model_dump(mode="json", by_alias=True, exclude_none=True)
        return super().encode_default(dflt)


def structural_schema(model: type[BaseModel]) -> Schema:
    """Return the structural schema of a model.

    Raises:
        ValueError: the model uses something that has no structural form, such as a union of two objects.
    """
    root = model.model_json_schema(by_alias=True, schema_generator=_Generator, mode="validation")
    return _convert(root, root.get("$defs", {}), model.__name__)


def _convert(node: Mapping[str, Any], definitions: Mapping[str, Any], path: str) -> Schema:
    node = _resolve({key: value for key, value in node.items() if key != "$defs"}, definitions, path)
    node = in_words(node)
    unknown = node.keys() - set(_KEYWORDS) - _DROPPED
    if unknown:
        raise ValueError(f"{path}: {', '.join(sorted(unknown))} cannot be expressed in a structural schema")
    if "properties" in node:
        node["properties"] = {
            name: _convert(property_, definitions, f"{path}.{name}") for name, property_ in node["properties"].items()
        }
        node.pop("additionalProperties", None)
    elif node.get("type") == "object":
        node |= _values(node.pop("additionalProperties", True), definitions, path)
    if node.get("type") == "array":
        node["items"] = _convert(node["items"], definitions, f"{path}[]")
        node.setdefault("x-kubernetes-list-type", "atomic")
    if "default" in node:
        node["default"] = _shortest_default(node["default"], node)
    return {key: _number(node[key]) for key in _KEYWORDS if key in node}


def _resolve(node: Schema, definitions: Mapping[str, Any], path: str) -> Schema:
    """Replace references, nullable unions, constants and 2020-12 bounds by what OpenAPI 3.0 has for them."""
    if "$ref" in node:
        target = definitions[node.pop("$ref").removeprefix("#/$defs/")]
        return _resolve({**target, **node}, definitions, path)
    if "anyOf" in node:
        variants = [variant for variant in node.pop("anyOf") if variant.get("type") != "null"]
        return _resolve({**_one_of(variants, path), **node}, definitions, path)
    if "const" in node:
        node["enum"] = [node.pop("const")]
    if node.get("default", 0) is None:
        del node["default"]
    for exclusive, bound in (("exclusiveMinimum", "minimum"), ("exclusiveMaximum", "maximum")):
        if not isinstance(node.get(exclusive, True), bool):
            node |= {bound: node[exclusive], exclusive: True}
    return node


def _one_of(variants: list[Schema], path: str) -> Schema:
    if len(variants) == 1:
        return variants[0]
    if [variant.get("type") for variant in variants] == ["integer", "string"]:
        # The API server takes this one union, under this name and in this form.
        bounds = {key: value for variant in variants for key, value in variant.items() if key != "type"}
        return bounds | {"x-kubernetes-int-or-string": True}
    raise ValueError(f"{path}: a union can only be int | str, or a type and None")


def _values(values: Any, definitions: Mapping[str, Any], path: str) -> Schema:
    if values is True:
        return {"x-kubernetes-preserve-unknown-fields": True}
    return {"additionalProperties": _convert(values, definitions, f"{path}.*")}


def _shortest_default(value: Any, schema: Mapping[str, Any]) -> Any:
    """Leave to the nested defaults what they say themselves; the API server applies them inside a default, too."""
    if not isinstance(value, dict) or "properties" not in schema:
        return value
    nested = {name: _shortest_default(item, schema["properties"][name]) for name, item in value.items()}
    return {
        name: item for name, item in nested.items() if "default" not in (own := schema["properties"][name])
        or own["default"] != item
    }  # fmt: skip


def _number(value: Any) -> Any:
    """Write 1.0 as 1, as the API server stores it, so that comparing a live CRD with its file finds no difference."""
    return int(value) if isinstance(value, float) and value.is_integer() else value
