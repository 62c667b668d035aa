"""The one port of the operator: /metrics, /healthz and /readyz."""

import asyncio
import logging
from collections.abc import MutableMapping
from dataclasses import dataclass
from typing import Any

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from trainyard_operator.runtime.gate import Gate
from trainyard_operator.runtime.health import Health
from trainyard_operator.runtime.metrics import Metrics

_CONNECTIONS = 64
"""Prometheus and the kubelet need three or four."""
_HEADER_SECONDS = 5.0
_IDLE_SECONDS = 75.0
"""Longer than Prometheus usually waits between two scrapes."""


def application(metrics: Metrics, health: Health) -> web.Application:
    async def scrape(_: web.Request) -> web.Response:
        return web.Response(body=metrics.render(), headers={"Content-Type": "text/plain; version=0.0.4; charset=utf-8"})

    def probe(*, readiness: bool) -> web.Response:
        problems = health.problems(readiness=readiness)
        lines = problems or ["ok", *(health.notes() if readiness else [])]
        return web.Response(text="\n".join(lines) + "\n", status=503 if problems else 200)

    async def healthz(_: web.Request) -> web.Response:
        return probe(readiness=False)

    async def readyz(_: web.Request) -> web.Response:
        return probe(readiness=True)

    app = web.Application()
    app.add_routes([web.get("/metrics", scrape), web.get("/healthz", healthz), web.get("/readyz", readyz)])
    return app


@dataclass(frozen=True, slots=True)
class Endpoint:
    """The port, open."""

    gate: Gate
    _runner: web.AppRunner
    _server: asyncio.Server

    @property
    def port(self) -> int:
        """The number of the port."""
        return int(self._server.sockets[0].getsockname()[1])

    async def close(self) -> None:
        """Serve no longer."""
        self._server.close()
        await self._runner.cleanup()


class _WithoutRequests(logging.LoggerAdapter[logging.Logger]):
    """Logs no errors of aiohttp's parser: they quote what was sent, be it the token of an Authorization header."""

    def process(self, msg: Any, kwargs: MutableMapping[str, Any]) -> tuple[Any, MutableMapping[str, Any]]:
        if isinstance(kwargs.get("exc_info"), HttpProcessingError):
            kwargs["exc_info"] = None
        return msg, kwargs


async def serve(
    app: web.Application, host: str, port: int, *, most: int = _CONNECTIONS, seconds: float = _HEADER_SECONDS
) -> Endpoint:
    """Start serving.

    Args:
        most: Connections at a time.
        seconds: How long the header of a request may take.

    Raises:
        OSError: the port is taken.
    """
    log = _WithoutRequests(logging.getLogger(__name__))
    runner = web.AppRunner(app, access_log=None, logger=log, shutdown_timeout=1.0, keepalive_timeout=_IDLE_SECONDS)
    await runner.setup()
    if runner.server is None:
        raise RuntimeError("the application did not start")
    gate = Gate(runner.server, most=most, seconds=seconds)
    return Endpoint(gate, runner, await asyncio.get_running_loop().create_server(gate, host, port))
