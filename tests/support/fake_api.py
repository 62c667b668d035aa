"""The fake cluster behind HTTP: enough of Kubernetes' wire protocol for kopf and for our client."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from support.fake_cluster import FakeCluster
from trainyard_operator.cluster import kinds
from trainyard_operator.cluster.errors import AlreadyExists, ApiError, Forbidden
from trainyard_operator.cluster.kinds import Kind
from trainyard_operator.cluster.port import Manifest

KINDS = [each for each in vars(kinds).values() if isinstance(each, Kind)]
_Change = tuple[int, str, str, str]
_VERBS = ["create", "delete", "get", "list", "patch", "update", "watch"]


class FakeApi:
    """Serves a FakeCluster.

    Attributes:
        watches: How many watches are open.
        broken: What every watch says next, instead of an event.
        forbidden: Namespaces in which nothing may be read or written.
        refused: How many requests were refused for that.
    """

    def __init__(self, cluster: FakeCluster) -> None:
        self.cluster = cluster
        self.watches = 0
        self.broken: Manifest | None = None
        self.forbidden: set[str] = set()
        self.refused = 0
        self._log: list[_Change] = []
        self._streams: list[asyncio.Queue[_Change | None]] = []
        cluster.on_change = self._remember

    def application(self, *middlewares: Middleware) -> web.Application:
        """Return the web application."""
        app = web.Application(middlewares=[*middlewares, self._authorize])
        app.router.add_get("/api", self._core)
        app.router.add_get("/apis", self._groups)
        for version in sorted({each.api_version for each in KINDS}):
            app.router.add_get(f"/{'apis' if '/' in version else 'api'}/{version}", self._resources)
        for kind in KINDS:
            root = f"/apis/{kind.api_version}" if kind.group else f"/api/{kind.version}"
            home = f"{root}/namespaces/{{namespace}}/{kind.plural}"
            app.router.add_get(f"{root}/{kind.plural}", self._list, name=kind.plural)
            app.router.add_route("*", home, self._collection)
            app.router.add_route("*", f"{home}/{{name}}", self._object)
            app.router.add_patch(f"{home}/{{name}}/status", self._status)
        app.router.add_get("/api/v1/namespaces/{namespace}/pods/{name}/log", self._log_of)
        return app

    @web.middleware
    async def _authorize(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.match_info.get("namespace") in self.forbidden:
            self.refused += 1
            return _refusal(Forbidden("forbidden by the test", code=403, reason="Forbidden"))
        return await handler(request)

    def break_watches(self, code: int) -> None:
        """Have every watch end with an error."""
        self.broken = {"kind": "Status", "code": code, "message": "broken by the test"}
        for stream in self._streams:
            stream.put_nowait(None)

    def _remember(self, change: str, plural: str, manifest: Manifest) -> None:
        version = int(manifest["metadata"]["resourceVersion"])
        entry = (version, plural, change, json.dumps(manifest))
        self._log.append(entry)
        for stream in self._streams:
            stream.put_nowait(entry)

    async def _core(self, _: web.Request) -> web.Response:
        return web.json_response({"versions": ["v1"]})

    async def _groups(self, _: web.Request) -> web.Response:
        pairs = sorted({(each.group, each.version) for each in KINDS if each.group})
        versions = {group: {"groupVersion": f"{group}/{version}", "version": version} for group, version in pairs}
        groups = [{"name": group, "versions": [each], "preferredVersion": each} for group, each in versions.items()]
        return web.json_response({"groups": groups})

    async def _resources(self, request: web.Request) -> web.Response:
        version = request.path.split("/", 2)[2]
        resources = [
            {"name": each.plural, "singularName": "", "kind": each.name, "namespaced": True, "verbs": _VERBS}
            for each in KINDS
            if each.api_version == version
        ]
        # kopf waits for the kinds it may need itself, whether it uses them or not.
        if version == "v1":
            resources.append(
                {"name": "namespaces", "singularName": "", "kind": "Namespace", "namespaced": False, "verbs": _VERBS}
            )
        return web.json_response({"kind": "APIResourceList", "groupVersion": version, "resources": resources})

    async def _list(self, request: web.Request) -> web.StreamResponse:
        kind = _kind(request)
        labels = dict(part.split("=", 1) for part in request.query.get("labelSelector", "").split(",") if part)
        if request.query.get("watch") == "true":
            return await self._watch(request, kind, labels)
        items = await self.cluster.select(kind, request.match_info.get("namespace"), labels=labels)
        metadata = {"resourceVersion": str(self.cluster.version)}
        return web.json_response({"kind": f"{kind.name}List", "metadata": metadata, "items": items})

    async def _watch(self, request: web.Request, kind: Kind, labels: dict[str, str]) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        self.watches += 1
        since = int(request.query.get("resourceVersion", "0"))
        news: asyncio.Queue[_Change | None] = asyncio.Queue()
        for change in self._log:
            news.put_nowait(change)
        self._streams.append(news)
        try:
            while (change_or_break := await news.get()) is not None:
                version, plural, change_type, text = change_or_break
                manifest = json.loads(text)
                mine = labels.items() <= manifest["metadata"].get("labels", {}).items()
                if version > since and plural == kind.plural and mine:
                    await _send(response, {"type": change_type, "object": manifest})
            await _send(response, {"type": "ERROR", "object": self.broken})
            return response
        finally:
            self._streams.remove(news)
            self.watches -= 1

    async def _collection(self, request: web.Request) -> web.StreamResponse:
        if request.method == "GET":
            return await self._list(request)
        return await _answer(self.cluster.create(_kind(request), await request.json()))

    async def _object(self, request: web.Request) -> web.Response:
        kind, at = _kind(request), request.match_info
        if request.method == "GET":
            return await _answer(self.cluster.get(kind, at["namespace"], at["name"]))
        body = await request.json()
        if request.method == "PATCH":
            return await _answer(self.cluster.apply(kind, body))
        return await _answer(self.cluster.delete(kind, at["namespace"], at["name"], uid=body["preconditions"]["uid"]))

    async def _log_of(self, request: web.Request) -> web.Response:
        at, query = request.match_info, request.query
        lines, most_bytes = int(query["tailLines"]), int(query["limitBytes"])
        try:
            text = await self.cluster.log(
                at["namespace"], at["name"], container=query["container"], lines=lines, most_bytes=most_bytes
            )
        except ApiError as error:
            return _refusal(error)
        return web.Response(text=text)

    async def _status(self, request: web.Request) -> web.Response:
        return await _answer(self.cluster.apply_status(_kind(request), await request.json()))


@asynccontextmanager
async def serving(api: FakeApi, *middlewares: Middleware) -> AsyncIterator[str]:
    """Serve on a free port; yield the address."""
    runner = web.AppRunner(api.application(*middlewares), shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


def kubeconfig(server: str, token: str = "t") -> str:
    """Return a kubeconfig for a server, as JSON, which is YAML too."""
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "test",
        "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
        "clusters": [{"name": "test", "cluster": {"server": server}}],
        "users": [{"name": "test", "user": {"token": token}}],
    }
    return json.dumps(config)


def _kind(request: web.Request) -> Kind:
    parts = request.path.split("/")
    return next(each for each in KINDS if each.plural in parts)


async def _answer(call: Any) -> web.Response:
    try:
        return web.json_response(await call or {})
    except ApiError as error:
        return _refusal(error)


def _refusal(error: ApiError) -> web.Response:
    reason = "AlreadyExists" if isinstance(error, AlreadyExists) else error.reason
    return web.json_response({"kind": "Status", "reason": reason, "message": str(error)}, status=error.code)


async def _send(response: web.StreamResponse, event: Manifest) -> None:
    await response.write(json.dumps(event).encode() + b"\n")
