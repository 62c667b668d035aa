"""The HTTP face: from requests to the parts that answer them."""

import asyncio
import zlib
from collections.abc import Awaitable, Callable
from typing import Any, ClassVar

from aiohttp import web

from trainyard_devcluster.apiserver import deletion, discovery, errors, patching, pod_subresources, service_proxy
from trainyard_devcluster.apiserver.auth import reviews
from trainyard_devcluster.apiserver.auth.identity import Authenticator, User
from trainyard_devcluster.apiserver.auth.rbac import Action, check
from trainyard_devcluster.apiserver.body import Body, parse
from trainyard_devcluster.apiserver.call import Call
from trainyard_devcluster.apiserver.cluster import Cluster
from trainyard_devcluster.apiserver.errors import ApiError
from trainyard_devcluster.apiserver.listing import Selection, list_page
from trainyard_devcluster.apiserver.logs import Logs
from trainyard_devcluster.apiserver.negotiate import Format, negotiate
from trainyard_devcluster.apiserver.openapi import OpenApi
from trainyard_devcluster.apiserver.output import Renderer, to_yaml
from trainyard_devcluster.apiserver.request import Target, WriteOptions, flag, parse_path
from trainyard_devcluster.apiserver.scale import scale_of, with_scale
from trainyard_devcluster.apiserver.values import Json, Object, encode
from trainyard_devcluster.apiserver.watching import Watch, WatchOptions
from trainyard_devcluster.apiserver.writer import Writer

_BODY_LIMIT = 8 * 1024 * 1024
_COMPRESS_FROM = 128 * 1024
_HEALTH = ("/healthz", "/livez", "/readyz")
_VERBS = {"GET": "get", "HEAD": "get", "POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}

Answer = Callable[["Server", Call], Awaitable[web.StreamResponse]]


class Server:
    """Answers every request of one cluster."""

    def __init__(self, cluster: Cluster, authenticator: Authenticator, logs: Logs, address: str) -> None:
        self._cluster = cluster
        self._store = cluster.store
        self._registry = cluster.registry
        self._authenticator = authenticator
        self._logs = logs
        self._address = address
        self._writer = Writer(cluster)
        self._openapi = OpenApi(cluster.registry)
        self._stopping = asyncio.Event()

    def application(self) -> web.Application:
        """Return the application to serve."""
        app = web.Application(client_max_size=_BODY_LIMIT)
        app.router.add_route("*", "/{path:.*}", self._handle)
        app.on_shutdown.append(self._shut_down)
        return app

    async def _shut_down(self, app: web.Application) -> None:
        self._stopping.set()
        await self._logs.close()

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        try:
            user = self._authenticator.user(request.headers.get("Authorization", ""))
            if user is None:
                if request.path in (*_HEALTH, "/version"):
                    return self._plain(request)
                raise errors.unauthorized()
            target = parse_path(request.path)
            return await (self._resource(request, user, target) if target else self._path(request, user))
        except ApiError as error:
            return _json(encode(error.status), error.code)

    async def _path(self, request: web.Request, user: User) -> web.StreamResponse:
        check(self._store, user, Action(_VERBS.get(request.method, "get"), path=request.path))
        return self._plain(request)

    def _plain(self, request: web.Request) -> web.StreamResponse:
        path, accept = request.path.rstrip("/"), request.headers.get("Accept", "")
        if path.startswith(_HEALTH):
            return web.Response(text="ok")
        if path.startswith("/openapi/"):
            return self._open_api(request, path)
        found = self._discovered(path, discovery.aggregated_version(accept))
        if found is None:
            raise errors.no_such_path()
        if found.get("kind") == "APIGroupDiscoveryList":
            version = found["apiVersion"].rpartition("/")[2]
            kind = f"application/json;g=apidiscovery.k8s.io;v={version};as=APIGroupDiscoveryList"
            return _respond(request, encode(found), content_type=kind)
        return self._send(request, encode(found), negotiate(accept))

    def _discovered(self, path: str, aggregated: discovery.Aggregated | None) -> Object | None:
        match path.strip("/").split("/"):
            case ["version"]:
                return discovery.VERSION
            case ["api"] if not aggregated:
                return discovery.core_versions(self._address)
            case ["apis"] if not aggregated:
                return discovery.group_list(self._registry)
            case ["api" | "apis" as root] if aggregated:
                return discovery.aggregated(self._registry, aggregated, core=root == "api")
            case ["api", version]:
                return discovery.resource_list(self._registry, "", version)
            case ["apis", group]:
                return discovery.group(self._registry, group)
            case ["apis", group, version]:
                return discovery.resource_list(self._registry, group, version)
            case [""]:
                return {"paths": ["/api", "/apis", "/healthz", "/livez", "/openapi/v3", "/readyz", "/version"]}
        return None

    def _open_api(self, request: web.Request, path: str) -> web.StreamResponse:
        if path == "/openapi/v3":
            return _respond(request, encode(self._openapi.index()))
        if path.startswith("/openapi/v3/"):
            document = self._openapi.document(path.removeprefix("/openapi/v3/"))
            if document is not None:
                return _respond(request, document)
        raise errors.no_such_path()

    async def _resource(self, request: web.Request, user: User, target: Target) -> web.StreamResponse:
        resource = self._registry.find(target.group, target.version, target.plural)
        if resource is None:
            raise errors.no_such_path()
        query: dict[str, str] = dict(request.query)
        verb = _VERBS.get(request.method)
        if verb is None:
            raise errors.method_not_allowed()
        if not target.name:
            watching = flag(query, "watch")
            verb = {"get": "watch" if watching else "list", "delete": "deletecollection"}.get(verb, verb)
        action = Action(
            verb, target.group, target.plural, target.subresource, _authorized_namespace(target), target.name
        )
        check(self._store, user, action)
        if resource.namespaced and target.name and not target.namespace:
            raise errors.no_such_path()
        if not target.subresource and verb not in resource.verbs:
            raise errors.method_not_allowed()
        call = Call(request, resource, target, verb, query, user)
        if target.subresource:
            return await self._subresource(call)
        if request.method == "GET" and flag(query, "watch"):
            return await self._watch(call)
        return await self._verbs[verb](self, call)

    async def _list(self, call: Call) -> web.StreamResponse:
        selection = Selection.of(call.resource, call.target.namespace, "", call.query)
        page = list_page(self._store, selection, call.query)
        renderer = self._renderer(call)
        return self._send(call.request, renderer.several(page.items, page.metadata), renderer.format)

    async def _get(self, call: Call) -> web.StreamResponse:
        stored = self._writer.stored(call.resource, call.target.namespace, call.target.name)
        renderer = self._renderer(call)
        return self._send(call.request, renderer.stored(stored), renderer.format)

    async def _watch(self, call: Call) -> web.StreamResponse:
        selection = Selection.of(call.resource, call.target.namespace, call.target.name, call.query)
        options = WatchOptions.of(self._store, call.query)
        watch = Watch(self._store, selection, self._renderer(call), options)
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        response.enable_chunked_encoding()
        await response.prepare(call.request)
        await self._until_stopped(_pump(watch, response))
        return response

    async def _until_stopped(self, streaming: Any) -> None:
        """Run a stream until it ends, the client leaves or the server stops."""
        stream, stop = asyncio.ensure_future(streaming), asyncio.ensure_future(self._stopping.wait())
        try:
            await asyncio.wait({stream, stop}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (stream, stop):
                task.cancel()
            await asyncio.gather(stream, stop, return_exceptions=True)

    async def _create(self, call: Call) -> web.StreamResponse:
        body = await self._body(call)
        options = self._options(call)
        obj = self._writer.decode(call.resource, body, options)
        if call.resource.verbs == ("create",):
            review = reviews.answer(self._store, self._authenticator, call.resource, call.user, obj)
            return self._send(call.request, encode(review), Format(), code=201)
        return self._written(
            call, self._writer.create(call.resource, call.target.namespace, obj, options), options, 201
        )

    async def _update(self, call: Call) -> web.StreamResponse:
        body = await self._body(call)
        options = self._options(call)
        new = self._writer.decode(call.resource, body, options)
        _check_name(new, call.target)
        found = self._store.get(call.resource.storage, (call.target.namespace, call.target.name))
        if found is None:
            raise errors.not_found(call.resource.plural, call.resource.group, call.target.name)
        if call.resource.custom and not new["metadata"].get("resourceVersion"):
            problem = errors.FieldError(
                "FieldValueInvalid", "metadata.resourceVersion", "Invalid value: 0: must be specified for an update"
            )
            raise errors.invalid(call.resource.kind, call.resource.group, call.target.name, [problem])
        if call.resource.namespaced:
            new["metadata"].setdefault("namespace", call.target.namespace)
        return self._written(call, self._writer.update(call.resource, found.obj, new, options), options)

    async def _patch(self, call: Call) -> web.StreamResponse:
        kind = call.request.content_type
        body = await self._body(call)
        options = self._options(call)
        if kind == patching.APPLY_PATCH and not call.query.get("fieldManager"):
            problem = errors.required("fieldManager", "is required for apply patch")
            raise errors.invalid("PatchOptions", "meta.k8s.io", "", [problem])
        target = call.target
        done = patching.patch(self._writer, call.resource, target.namespace, target.name, kind, body, options)
        return self._written(call, done.obj, options, 201 if done.created else 200)

    async def _delete(self, call: Call) -> web.StreamResponse:
        options = deletion.DeleteOptions.of((await self._body(call)).value, call.query)
        stored = self._writer.stored(call.resource, call.target.namespace, call.target.name)
        done = deletion.delete(self._cluster, call.resource, stored, options)
        if done.gone and not call.resource.returns_deleted:
            return self._send(call.request, encode(_deleted(call, stored.obj)), Format())
        return self._written(call, done.obj, WriteOptions())

    async def _delete_collection(self, call: Call) -> web.StreamResponse:
        options = deletion.DeleteOptions.of((await self._body(call)).value, call.query)
        selection = Selection.of(call.resource, call.target.namespace, "", call.query)
        page = list_page(self._store, selection, call.query)
        for stored in page.items:
            deletion.delete(self._cluster, call.resource, stored, options)
        renderer = self._renderer(call)
        return self._send(call.request, renderer.several(page.items, page.metadata), renderer.format)

    async def _subresource(self, call: Call) -> web.StreamResponse:
        match call.target.subresource, call.verb:
            case "status", "get" if call.resource.status:
                return await self._get(call)
            case "status", "update" | "patch" if call.resource.status:
                return await self._verbs[call.verb](self, call)
            case "scale", "get" | "update" | "patch" if call.resource.scale:
                return await self._scale(call)
            case "proxy", _ if call.resource.plural == "services":
                name, _ = service_proxy.split_name(call.target.name)
                service = self._writer.stored(call.resource, call.target.namespace, name).obj
                return await service_proxy.forward(call.request, call.target, service)
        if call.target.subresource in {each.name for each in call.resource.subresources}:
            return await self._action(call)
        raise errors.no_such_path()

    async def _scale(self, call: Call) -> web.StreamResponse:
        resource, target = call.resource, call.target
        old = self._writer.stored(resource, target.namespace, target.name).obj
        if call.verb == "get":
            return self._send(call.request, encode(scale_of(resource, old)), Format())
        body, options = await self._body(call), self._options(call)
        old = self._writer.stored(resource, target.namespace, target.name).obj
        sent = body.value
        if call.verb == "patch":
            kind = call.request.content_type
            kind = patching.MERGE_PATCH if kind in (patching.STRATEGIC_PATCH, patching.APPLY_PATCH) else kind
            sent = patching.patched_value(resource, kind, scale_of(resource, old), body)
        new = with_scale(resource, old, sent)
        done = self._writer.update(resource, old, new, options)
        return self._send(call.request, encode(scale_of(resource, done)), Format())

    async def _action(self, call: Call) -> web.StreamResponse:
        resource, target = call.resource, call.target
        body = await self._body(call) if call.verb != "get" else Body(None)
        stored = self._writer.stored(resource, target.namespace, target.name)
        sent: Object = body.value if isinstance(body.value, dict) else {}
        match target.subresource, call.verb:
            case "log", "get":
                return await self._logs.stream(call.request, stored.obj, call.query)
            case "binding", "create":
                done = pod_subresources.bind(self._cluster, resource, stored, sent)
            case "eviction", "create":
                done = pod_subresources.evict(self._cluster, resource, stored, sent)
            case "token", "create":
                signer = self._authenticator.signer
                done = pod_subresources.request_token(self._cluster, signer, stored.obj, sent)
            case "finalize", "update":
                done = pod_subresources.finalize(self._cluster, self._writer, resource, stored, sent)
            case _:
                raise errors.method_not_allowed()
        return self._send(call.request, encode(done), Format(), code=200 if call.verb == "update" else 201)

    _verbs: ClassVar[dict[str, Answer]] = {
        "list": _list,
        "get": _get,
        "watch": _watch,
        "create": _create,
        "update": _update,
        "patch": _patch,
        "delete": _delete,
        "deletecollection": _delete_collection,
    }

    async def _body(self, call: Call) -> Body:
        content = await call.request.read()
        if not content.strip() and call.verb in ("delete", "deletecollection"):
            return Body(None)
        return parse(content, call.request.content_type)

    def _options(self, call: Call) -> WriteOptions:
        return WriteOptions.of(call.query, call.request.headers.get("User-Agent", ""), call.target.subresource)

    def _renderer(self, call: Call) -> Renderer:
        include: Any = call.query.get("includeObject", "Metadata")
        if include not in ("None", "Metadata", "Object"):
            raise errors.bad_request(f"unrecognized includeObject value: {include!r}")
        return Renderer(self._cluster, call.resource, negotiate(call.request.headers.get("Accept", "")), include)

    def _written(self, call: Call, obj: Object, options: WriteOptions, code: int = 200) -> web.StreamResponse:
        renderer = self._renderer(call)
        response = self._send(call.request, renderer.one(obj), renderer.format, code=code)
        for warning in options.warnings:
            text = warning.replace("\\", "\\\\").replace('"', '\\"')
            response.headers.add("Warning", f'299 - "{text}"')
        return response

    def _send(self, request: web.Request, body: bytes, form: Format, *, code: int = 200) -> web.Response:
        if form.yaml:
            return _respond(request, to_yaml(body), code, "application/yaml")
        return _respond(request, body, code)


async def _pump(watch: Watch, response: web.StreamResponse) -> None:
    try:
        async for chunk in watch.lines():
            if chunk:
                await response.write(chunk)
        await response.write_eof()
    except ConnectionError:
        return  # The client has left, which is how most watches end.


def _authorized_namespace(target: Target) -> str:
    # A namespace is authorised within itself, so that roles inside it can speak of it.
    return target.name if target.plural == "namespaces" and not target.group else target.namespace


def _check_name(obj: Object, target: Target) -> None:
    name = obj["metadata"].get("name")
    if name != target.name:
        raise errors.bad_request(f"the name of the object ({name}) does not match the name on the URL ({target.name})")
    if obj["metadata"].get("namespace", target.namespace) != target.namespace:
        raise errors.bad_request(
            "the namespace of the provided object does not match the namespace sent on the request"
        )


def _deleted(call: Call, obj: Object) -> Json:
    details = {"name": obj["metadata"]["name"], "group": call.resource.group, "kind": call.resource.plural}
    details["uid"] = obj["metadata"]["uid"]
    if not details["group"]:
        del details["group"]
    return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details}


def _respond(
    request: web.Request, body: bytes, code: int = 200, content_type: str = "application/json"
) -> web.Response:
    response = _json(body, code, content_type)
    if len(body) >= _COMPRESS_FROM and "gzip" in request.headers.get("Accept-Encoding", ""):
        packer = zlib.compressobj(1, zlib.DEFLATED, 31)
        response.body = packer.compress(body) + packer.flush()
        response.headers["Content-Encoding"] = "gzip"
    return response


def _json(body: bytes, code: int, content_type: str = "application/json") -> web.Response:
    return web.Response(
        body=body, status=code, headers={"Content-Type": content_type, "Cache-Control": "no-cache, private"}
    )
