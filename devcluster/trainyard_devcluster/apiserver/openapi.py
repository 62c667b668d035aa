"""OpenAPI v3: an index, and one document for each group version. OpenAPI v2: all of them in one document.

Good enough for `kubectl explain`, for kubectl's question whether a kind takes `fieldValidation`, for its patch keys,
and for clients that generate themselves. Paths carry what those look for; what nobody reads is left out.
"""

import hashlib
from collections.abc import Iterable

from trainyard_devcluster.apiserver.discovery import VERSION
from trainyard_devcluster.apiserver.patching import APPLY_PATCH, JSON_PATCH, MERGE_PATCH, STRATEGIC_PATCH
from trainyard_devcluster.apiserver.registry import Registry
from trainyard_devcluster.apiserver.resource import Resource
from trainyard_devcluster.apiserver.schema.builtin import META, definitions
from trainyard_devcluster.apiserver.values import Json, Object, encode

V2_ASKED = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf"
V2_SENT = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf"
"""Not what was asked for, because @ may not be in a media type."""
_INFO: Object = {"title": "Kubernetes", "version": VERSION["gitVersion"]}
_COMPONENTS = "#/components/schemas/"
_ACTIONS = {"get": "get", "post": "post", "put": "put", "patch": "patch", "delete": "delete"}
_WRITE_PARAMETERS = ("dryRun", "fieldManager", "fieldValidation")


class OpenApi:
    """Makes the documents when they are asked for and keeps them until the resources change."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._made: dict[str, tuple[int, bytes]] = {}

    def index(self) -> Object:
        """Return the answer of /openapi/v3."""
        paths = {path: {"serverRelativeURL": f"/openapi/v3/{path}?hash={self._hash(path)}"} for path in self._paths()}
        return {"paths": paths}

    def document(self, path: str) -> bytes | None:
        """Return the document of `api/v1` or `apis/<group>/<version>`, None where there is none."""
        if path not in self._paths():
            return None
        made = self._made.get(path)
        if made is None or made[0] != self._registry.changes:
            made = self._made[path] = (self._registry.changes, encode(self._make(path)))
        return made[1]

    def version_2(self) -> bytes:
        """Return the answer of /openapi/v2: the definitions of all kinds, without paths."""
        made = self._made.get("v2")
        if made is None or made[0] != self._registry.changes:
            schemas: dict[str, Json] = {}
            for path in self._paths():
                schemas |= self._make(path)["components"]["schemas"]
            document = {"swagger": "2.0", "info": _INFO, "paths": {}, "definitions": schemas}
            content = encode(document).replace(_COMPONENTS.encode(), b"#/definitions/")
            made = self._made["v2"] = (self._registry.changes, content)
        return made[1]

    def _paths(self) -> list[str]:
        found = self._registry.group_versions().items()
        return [f"apis/{name}/{each}" if name else f"api/{each}" for name, versions in found for each in versions]

    def _hash(self, path: str) -> str:
        """Built-in groups never change; a custom one does with its definitions."""
        resources = self._resources(path)
        marks = [str((each.custom or {}).get("metadata", {}).get("resourceVersion", "")) for each in resources]
        return hashlib.sha256("/".join([path, *marks]).encode()).hexdigest()[:32].upper()

    def _resources(self, path: str) -> list[Resource]:
        *_, group, version = ("", *path.split("/")) if path.startswith("apis/") else ("", path.split("/")[1])
        return self._registry.within(group, version)

    def _make(self, path: str) -> Object:
        resources = self._resources(path)
        schemas: dict[str, Object] = {}
        for resource in resources:
            _collect(resource, schemas)
        for name in ("DeleteOptions", "Status", "ListMeta", "ObjectMeta"):
            _add_builtin(META + name, schemas)
        paths: Object = {}
        for resource in resources:
            paths |= _operations(f"/{path}", resource)
        return {"openapi": "3.0.0", "info": _INFO, "paths": paths, "components": {"schemas": schemas}}


def version_2_protobuf() -> bytes:
    """Return what kubectl reads of /openapi/v2: a document without definitions.

    kubectl validates by v3, and comes here for kinds that v3 does not have. That none is here either tells it that the
    kind does not exist, which it then says.
    """
    info = _field(1, str(_INFO["title"]).encode()) + _field(2, str(_INFO["version"]).encode())
    return _field(1, b"2.0") + _field(2, info) + _field(8, b"") + _field(9, b"")


def _field(number: int, content: bytes) -> bytes:
    return bytes([number << 3 | 2, len(content)]) + content


def _gvk(resource: Resource) -> Object:
    return {"group": resource.group, "version": resource.version, "kind": resource.kind}


def schema_name(resource: Resource) -> str:
    """Return the name of a resource's schema: its group backwards, version and kind."""
    if not resource.custom:
        for name, raw in definitions().items():
            if _gvk(resource) in (raw.get("x-kubernetes-group-version-kind") or ()):
                return name
    return ".".join([*reversed(resource.group.split(".")), resource.version, resource.kind])


def _collect(resource: Resource, schemas: dict[str, Object]) -> None:
    name = schema_name(resource)
    if not resource.custom:
        _add_builtin(name, schemas)
        if f"{name}List" in definitions():
            _add_builtin(f"{name}List", schemas)
        return
    raw = resource.schema.raw
    meta = {"description": "Standard object's metadata.", "allOf": [{"$ref": f"{_COMPONENTS}{META}ObjectMeta"}]}
    texts = {
        "apiVersion": {"type": "string", "description": "The versioned schema of this representation of an object."},
        "kind": {"type": "string", "description": "The REST resource that this object represents."},
    }
    properties = (
        texts
        | {"metadata": meta}
        | {k: v for k, v in raw.get("properties", {}).items() if k not in (*texts, "metadata")}
    )
    schemas[name] = raw | {"properties": properties, "x-kubernetes-group-version-kind": [_gvk(resource)]}
    listed = {"type": "array", "items": {"allOf": [{"$ref": _COMPONENTS + name}]}}
    list_meta = {"allOf": [{"$ref": f"{_COMPONENTS}{META}ListMeta"}]}
    schemas[f"{name}List"] = {
        "type": "object",
        "required": ["items"],
        "properties": texts | {"items": listed, "metadata": list_meta},
        "x-kubernetes-group-version-kind": [_gvk(resource) | {"kind": resource.list_kind}],
    }


def _add_builtin(name: str, schemas: dict[str, Object]) -> None:
    """Add a published definition and all that it refers to."""
    waiting = [name]
    while waiting:
        name = waiting.pop()
        if name not in schemas:
            references: set[str] = set()
            schemas[name] = _converted(definitions()[name], references)
            waiting.extend(references)


def _converted(raw: Json, references: set[str]) -> Json:
    """Return a published schema in OpenAPI's words: no null types, references into the components."""
    if isinstance(raw, list):
        return [_converted(each, references) for each in raw]
    if not isinstance(raw, dict):
        return raw
    if isinstance(reference := raw.get("$ref"), str):
        name = reference.rpartition("/")[2]
        references.add(name)
        described = {"description": raw["description"]} if "description" in raw else {}
        return described | {"allOf": [{"$ref": _COMPONENTS + name}]} if described else {"$ref": _COMPONENTS + name}
    converted = {key: _converted(value, references) for key, value in raw.items()}
    kinds = converted.get("type")
    if isinstance(kinds, list):
        converted["type"] = next(each for each in kinds if each != "null")
    return converted


def _operations(prefix: str, resource: Resource) -> Object:
    scoped = f"{prefix}/namespaces/{{namespace}}" if resource.namespaced else prefix
    collection, item = f"{scoped}/{resource.plural}", f"{scoped}/{resource.plural}/{{name}}"
    verbs = set(resource.verbs)
    found: Object = {
        collection: _methods(
            resource, {"get": "list" in verbs, "post": "create" in verbs, "delete": "deletecollection" in verbs}
        )
    }
    if "get" in verbs:
        methods = dict.fromkeys(("get", "put", "patch", "delete"), True)
        found[item] = _methods(resource, methods)
        if resource.status:
            found[f"{item}/status"] = _methods(resource, dict.fromkeys(("get", "put", "patch"), True))
    if resource.namespaced and "list" in verbs:
        found[f"{prefix}/{resource.plural}"] = _methods(resource, {"get": True})
    return found


def _methods(resource: Resource, wanted: dict[str, bool]) -> Object:
    return {method: _operation(resource, method) for method, offered in wanted.items() if offered}


def _operation(resource: Resource, method: str) -> Object:
    reference = {"$ref": _COMPONENTS + schema_name(resource)}
    operation: Object = {
        "x-kubernetes-action": _ACTIONS[method],
        "x-kubernetes-group-version-kind": _gvk(resource),
        "responses": {"200": {"description": "OK", "content": {"application/json": {"schema": reference}}}},
    }
    if method in ("post", "put", "patch"):
        operation["parameters"] = list(_parameters([*_WRITE_PARAMETERS, *(["force"] if method == "patch" else [])]))
        kinds = _patch_types(resource) if method == "patch" else ["*/*"]
        operation["requestBody"] = {"content": {kind: {"schema": reference} for kind in kinds}}
    return operation


def _patch_types(resource: Resource) -> list[str]:
    """What a PATCH takes: kubectl looks here for whether lists of a kind merge by key."""
    strategic = [] if resource.custom else [STRATEGIC_PATCH]
    return [APPLY_PATCH, JSON_PATCH, MERGE_PATCH, *strategic]


def _parameters(names: Iterable[str]) -> Iterable[Object]:
    for name in names:
        kind = "boolean" if name == "force" else "string"
        yield {"name": name, "in": "query", "schema": {"type": kind, "uniqueItems": True}}
