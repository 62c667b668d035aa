"""Paths that are no resources: health, version, discovery and OpenAPI."""

from aiohttp import web

from trainyard_devcluster.apiserver import discovery, errors, openapi
from trainyard_devcluster.apiserver.endpoints.response import respond
from trainyard_devcluster.apiserver.negotiate import media_types, negotiate
from trainyard_devcluster.apiserver.openapi import OpenApi
from trainyard_devcluster.apiserver.output import to_yaml
from trainyard_devcluster.apiserver.registry import Registry
from trainyard_devcluster.apiserver.values import Object, encode

HEALTH = ("/healthz", "/livez", "/readyz")
PUBLIC = (*HEALTH, "/version")
"""Answered without credentials."""


class PlainPaths:
    """Answers them for one registry.

    Args:
        registry: what discovery describes.
        address: host and port, as clients reach the server.
    """

    def __init__(self, registry: Registry, address: str) -> None:
        self._registry = registry
        self._address = address
        self._openapi = OpenApi(registry)

    def answer(self, request: web.Request) -> web.Response:
        """Answer a request.

        Raises:
            ApiError: 404, nothing is there; 406, the client accepts no form that is offered.
        """
        path, accept = request.path.rstrip("/"), request.headers.get("Accept", "")
        if path.startswith(HEALTH):
            return web.Response(text="ok")
        if path.startswith("/openapi/v3"):
            return respond(request, self._open_api(path.removeprefix("/openapi/v3").strip("/")))
        if path == "/openapi/v2":
            if any(entry.name == openapi.V2_ASKED for entry in media_types(accept)):
                return respond(request, openapi.version_2_protobuf(), content_type=openapi.V2_SENT)
            return respond(request, self._openapi.version_2())
        found = self._discovered(path, discovery.aggregated_version(accept))
        if found is None:
            raise errors.no_such_path()
        if found.get("kind") == "APIGroupDiscoveryList":
            version = found["apiVersion"].rpartition("/")[2]
            kind = f"application/json;g=apidiscovery.k8s.io;v={version};as=APIGroupDiscoveryList"
            return respond(request, encode(found), content_type=kind)
        if negotiate(accept).yaml:
            return respond(request, to_yaml(encode(found)), content_type="application/yaml")
        return respond(request, encode(found))

    def _open_api(self, path: str) -> bytes:
        document = self._openapi.document(path) if path else encode(self._openapi.index())
        if document is None:
            raise errors.no_such_path()
        return document

    def _discovered(self, path: str, aggregated: discovery.Aggregated | None) -> Object | None:
        match path.strip("/").split("/"):
            case ["version"]:
                return discovery.VERSION
            case ["api" | "apis" as root] if aggregated:
                return discovery.aggregated(self._registry, aggregated, core=root == "api")
            case ["api"]:
                return discovery.core_versions(self._address)
            case ["apis"]:
                return discovery.group_list(self._registry)
            case ["api", version]:
                return discovery.resource_list(self._registry, "", version)
            case ["apis", group]:
                return discovery.group(self._registry, group)
            case ["apis", group, version]:
                return discovery.resource_list(self._registry, group, version)
            case [""]:
                return {"paths": ["/api", "/apis", *HEALTH, "/openapi/v2", "/openapi/v3", "/version"]}
        return None
