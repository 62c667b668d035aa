"""The published schemas of the built-in kinds, as the kubernetes-validate package ships them."""

import json
from functools import cache
from importlib.resources import files

from trainyard_devcluster.apiserver.schema.node import Schema
from trainyard_devcluster.apiserver.values import Object

VERSION = "1.36.0"
META = "io.k8s.apimachinery.pkg.apis.meta.v1."

# Defaults of list keys. The published schemas leave them out, but an item's identity depends on them.
_KEY_DEFAULTS = {
    "io.k8s.api.core.v1.ContainerPort": ("protocol", "TCP"),
    "io.k8s.api.core.v1.ServicePort": ("protocol", "TCP"),
}


_SCHEMA = "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaProps"


@cache
def definitions() -> dict[str, Object]:
    """Return every published definition by its full name."""
    folder = files("kubernetes_validate") / "kubernetes-json-schema" / f"v{VERSION}-local"
    found: dict[str, Object] = json.loads((folder / "_definitions.json").read_text())["$defs"]
    for name, (field, default) in _KEY_DEFAULTS.items():
        found[name]["properties"][field]["default"] = default
    # Published as anything at all: a schema, or where it says so a list of them or a boolean.
    for name in ("OrArray", "OrBool", "OrStringArray"):
        found[_SCHEMA + name] = found[_SCHEMA] | {"type": ""}
    return found


@cache
def definition(name: str) -> Schema:
    """Return one definition by its full name, such as `io.k8s.api.core.v1.Pod`."""
    return Schema({"x-kubernetes-go-name": name.rpartition(".")[2]} | definitions()[name], definition, native=True)


def object_meta() -> Schema:
    """Return the schema of `metadata`."""
    return definition(META + "ObjectMeta")
