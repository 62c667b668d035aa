"""A scripted API server: one list to answer with, and watches that a test feeds by hand."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from trainyard_devcluster.client import Client
from trainyard_devcluster.kubeconfig import Access
from trainyard_devcluster.resources import Object


def a_pod(name: str, version: int, *, uid: str = "", node: str = "") -> Object:
    metadata = {"name": name, "namespace": "default", "uid": uid or f"uid-{name}", "resourceVersion": str(version)}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": {"nodeName": node}}


class ScriptedApi:
    """Serves /api/v1/pods. `events` feeds the open watch; None ends it."""

    def __init__(self) -> None:
        self.items: list[Object] = []
        self.version = 1
        self.events: asyncio.Queue[Object | None] = asyncio.Queue()
        self.requests: list[tuple[str, str, dict[str, str], Any]] = []
        self.refusal: tuple[int, Any] | None = None
        self.refused = asyncio.Event()
        self.url = ""

    def emit(self, kind: str, obj: Object) -> None:
        self.events.put_nowait({"type": kind, "object": obj})

    async def handle(self, request: web.Request) -> web.StreamResponse:
        text = await request.text()
        headers = {name: request.headers.get(name, "") for name in ("Authorization", "Content-Type")}
        self.requests.append((request.method, request.path_qs, headers, json.loads(text) if text else None))
        if self.refusal:
            code, body = self.refusal
            self.refused.set()
            return web.Response(status=code, text=body if isinstance(body, str) else json.dumps(body))
        if request.query.get("watch"):
            return await self._watch(request)
        if request.method == "GET":
            return web.json_response({"metadata": {"resourceVersion": str(self.version)}, "items": self.items})
        return web.json_response(json.loads(text) if text else {})

    async def _watch(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        while (event := await self.events.get()) is not None:
            await response.write(json.dumps(event).encode() + b"\n")
        return response


@pytest.fixture
async def api() -> AsyncIterator[ScriptedApi]:
    scripted = ScriptedApi()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", scripted.handle)
    async with TestServer(app) as server:
        scripted.url = str(server.make_url("/")).rstrip("/")
        yield scripted


@pytest.fixture
async def client(api: ScriptedApi) -> AsyncIterator[Client]:
    access = Access(server=api.url, token="secret", tls=None, tls_server_name=None, namespace="default")
    async with Client(access) as connected:
        yield connected
