"""Defaults of custom resources, from their schemas."""

from trainyard_devcluster.apiserver.schema.node import MISSING, Schema
from trainyard_devcluster.apiserver.values import Json, clone


def apply_defaults(value: Json, schema: Schema) -> Json:
    """Fill in, in place, the default of every absent field that has one, also inside defaults; return the value."""
    if isinstance(value, dict):
        for name, child in schema.properties.items():
            if child.default is not MISSING and name not in value:
                value[name] = clone(child.default)
        for name, item in value.items():
            child_schema = schema.field(name)
            if child_schema is not None and isinstance(item, dict | list):
                apply_defaults(item, child_schema)
    elif isinstance(value, list) and schema.items is not None:
        for item in value:
            apply_defaults(item, schema.items)
    return value
