"""The HTTP face: who asks, for what, may they, and which endpoint answers."""

import logging
from collections.abc import Mapping
from http import HTTPStatus

from aiohttp import web

from trainyard_devcluster.apiserver import errors
from trainyard_devcluster.apiserver.auth.identity import Authenticator, User
from trainyard_devcluster.apiserver.auth.impersonation import effective_user
from trainyard_devcluster.apiserver.auth.rbac import Action, check
from trainyard_devcluster.apiserver.cluster import Cluster
from trainyard_devcluster.apiserver.endpoints import metrics, reading, subresources, writing
from trainyard_devcluster.apiserver.endpoints.call import Call, Endpoint, Parts
from trainyard_devcluster.apiserver.endpoints.logs import Logs
from trainyard_devcluster.apiserver.endpoints.plain import PUBLIC, PlainPaths
from trainyard_devcluster.apiserver.endpoints.response import refuse
from trainyard_devcluster.apiserver.errors import ApiError
from trainyard_devcluster.apiserver.request import Target, flag, parse_path
from trainyard_devcluster.apiserver.resource import Resource
from trainyard_devcluster.apiserver.writer import Writer

_BODY_LIMIT = 8 * 1024 * 1024
_VERBS = {"GET": "get", "HEAD": "get", "POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}
_ENDPOINTS: Mapping[str, Endpoint] = {
    "get": reading.get,
    "list": reading.list_objects,
    "watch": reading.watch,
    "create": writing.create,
    "update": writing.update,
    "patch": writing.patch,
    "delete": writing.delete,
    "deletecollection": writing.delete_collection,
}

_log = logging.getLogger(__name__)


class Server:
    """Answers every request of one cluster."""

    def __init__(self, cluster: Cluster, authenticator: Authenticator, logs: Logs, address: str) -> None:
        self._parts = Parts(cluster, Writer(cluster), authenticator, logs)
        self._metrics = metrics.Metrics()
        self._plain = PlainPaths(cluster.registry, address)

    def application(self) -> web.Application:
        """Return the application to serve."""
        app = web.Application(client_max_size=_BODY_LIMIT)
        app.router.add_route("*", "/{path:.*}", self._handle)
        app.on_shutdown.append(self._shut_down)
        return app

    async def _shut_down(self, app: web.Application) -> None:
        self._parts.stopping.set()
        await self._parts.logs.close()
        await self._metrics.close()

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        try:
            return await self._answer(request)
        except ApiError as error:
            return refuse(request, error)
        except web.HTTPRequestEntityTooLarge:
            message = f"Request entity too large: limit is {_BODY_LIMIT}"
            return refuse(request, ApiError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "RequestEntityTooLarge", message))
        except Exception:
            _log.exception("failed to answer %s %s", request.method, request.path_qs)
            message = "Internal error occurred: the server failed on this request and logged why"
            return refuse(request, ApiError(HTTPStatus.INTERNAL_SERVER_ERROR, "InternalError", message))

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        user = self._parts.authenticator.user(request.headers.get("Authorization", ""))
        if user is None:
            if request.path in PUBLIC:
                return self._plain.answer(request)
            raise errors.unauthorized()
        user = effective_user(self._parts.cluster.store, user, request.headers)
        verb = _VERBS.get(request.method)
        if verb is None:
            raise errors.method_not_allowed()
        target = parse_path(request.path)
        if target is None:
            check(self._parts.cluster.store, user, Action(verb, path=request.path))
            return self._plain.answer(request)
        resource = self._parts.cluster.registry.find(target.group, target.version, target.plural)
        if resource is None:
            raise errors.no_such_path()
        return await self._answer_for(request, resource, target, verb, user)

    async def _answer_for(
        self, request: web.Request, resource: Resource, target: Target, verb: str, user: User
    ) -> web.StreamResponse:
        query: dict[str, str] = dict(request.query)
        if not target.name:
            several = {"get": "watch" if flag(query, "watch") else "list", "delete": "deletecollection"}
            verb = several.get(verb, verb)
        namespace = _authorized_namespace(target)
        action = Action(verb, target.group, target.plural, target.subresource, namespace, target.name)
        check(self._parts.cluster.store, user, action)
        if resource.namespaced is not bool(target.namespace) and (target.name or target.namespace):
            raise errors.no_such_path()
        call = Call(self._parts, request, resource, target, verb, query, user)
        if resource.group in metrics.GROUPS:
            return await self._metrics.answer(call)
        if target.subresource:
            return await subresources.answer(call)
        whole_cluster = resource.namespaced and not target.namespace
        if verb not in resource.verbs or (verb == "create" and target.name):
            raise errors.method_not_allowed()
        if whole_cluster and verb in ("create", "deletecollection"):
            raise errors.method_not_allowed()
        return await _ENDPOINTS[verb](call)


def _authorized_namespace(target: Target) -> str:
    # A namespace is authorised within itself, so that roles inside it can speak of it.
    return target.name if target.plural == "namespaces" and not target.group else target.namespace
