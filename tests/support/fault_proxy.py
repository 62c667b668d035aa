"""A proxy in front of an API server that answers in its place where a test says so."""

import asyncio
import json
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web
from kubernetes import client, config

from support.fake_api import kubeconfig

_PASSED_ON = ("Content-Type", "Accept", "User-Agent")
_SECONDS = 30.0


@dataclass(frozen=True)
class Asked:
    """A request, as far as faults depend on it."""

    method: str
    path: str
    watch: bool


Fault = Callable[[Asked], web.StreamResponse | None]
"""Answers in place of the API server, or not."""
Edit = Callable[[Asked, Any], Any]
"""Changes what is written, as an admission webhook does."""


def page(_: Asked) -> web.Response:
    """What a login page or a broken gateway says."""
    return web.Response(text="<html>please log in</html>", content_type="text/html")


def refusal(code: int, reason: str, *, retry_after: int | None = None) -> web.Response:
    """A `metav1.Status` that refuses."""
    headers = {} if retry_after is None else {"Retry-After": str(retry_after)}
    body = {
        "kind": "Status",
        "apiVersion": "v1",
        "status": "Failure",
        "reason": reason,
        "code": code,
        "message": reason,
    }
    return web.json_response(body, status=code, headers=headers)


@dataclass
class FaultProxy:
    """Change `fault` and `edit` at any time: they are asked at each request.

    Attributes:
        kubeconfig: For whoever shall go through the proxy.
        met: How many requests a fault answered.
    """

    kubeconfig: Path
    fault: Fault = lambda _: None
    edit: Edit = lambda _, body: body
    met: int = 0
    _cut: threading.Event = field(default_factory=threading.Event)
    _watches: list[web.Request] = field(default_factory=list)

    def cut_watches(self) -> None:
        """End every watch in the middle, as an API server does that is restarted."""
        self._cut.set()

    async def run(self, upstream: Path, started: threading.Event, stopped: threading.Event) -> None:
        """Serve until told to stop."""
        app = web.Application(client_max_size=2**26)
        app.router.add_route("*", "/{path:.*}", self._handle)
        async with _session(upstream) as app[_SESSION]:
            runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
            await runner.setup()
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            self.kubeconfig.write_text(kubeconfig(f"http://127.0.0.1:{runner.addresses[0][1]}"))
            started.set()
            # Events of threads have nothing to await.
            while not stopped.is_set():
                await asyncio.sleep(0.02)
                if self._cut.is_set():
                    self._cut.clear()
                    self._abort()
            self._abort()
            await runner.cleanup()

    def _abort(self) -> None:
        for request in self._watches:
            if request.transport is not None:
                request.transport.abort()

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        asked = Asked(request.method, request.path_qs, request.query.get("watch") in ("true", "1"))
        if (answer := self.fault(asked)) is not None:
            self.met += 1
            return answer
        body = await request.read()
        if body and asked.method != "DELETE":
            body = json.dumps(self.edit(asked, json.loads(body))).encode()
        session: aiohttp.ClientSession = request.app[_SESSION]
        headers = {name: request.headers[name] for name in _PASSED_ON if name in request.headers}
        async with session.request(asked.method, request.path_qs, data=body or None, headers=headers) as upstream:
            response = web.StreamResponse(status=upstream.status)
            response.content_type = upstream.content_type
            await response.prepare(request)
            if asked.watch:
                self._watches.append(request)
            try:
                async for chunk in upstream.content.iter_any():
                    await response.write(chunk)
            except ConnectionError:
                return response  # whoever asked has gone
            finally:
                self._watches = [watch for watch in self._watches if watch is not request]
            return response


_SESSION = web.AppKey("session", aiohttp.ClientSession)


@contextmanager
def fault_proxy(upstream: Path, folder: Path) -> Iterator[FaultProxy]:
    """Serve in a thread; `upstream` is the kubeconfig of the API server."""
    proxy = FaultProxy(folder / "proxied")
    started, stopped = threading.Event(), threading.Event()
    thread = threading.Thread(target=asyncio.run, args=(proxy.run(upstream, started, stopped),), daemon=True)
    thread.start()
    assert started.wait(_SECONDS), "the proxy did not start"
    try:
        yield proxy
    finally:
        stopped.set()
        thread.join(_SECONDS)


def _session(upstream: Path) -> aiohttp.ClientSession:
    access = client.Configuration()
    config.load_kube_config(str(upstream), client_configuration=access)
    return aiohttp.ClientSession(
        access.host,
        headers={"Authorization": token} if (token := access.get_api_key_with_prefix("BearerToken")) else {},
        connector=aiohttp.TCPConnector(limit=0, ssl=_tls(access)),
        timeout=aiohttp.ClientTimeout(total=None),
    )


def _tls(access: client.Configuration) -> ssl.SSLContext | bool:
    if not access.host.startswith("https"):
        return True
    context = ssl.create_default_context(cafile=access.ssl_ca_cert)
    if access.cert_file:
        context.load_cert_chain(access.cert_file, access.key_file)
    return context
