"""Asks a model server for its metrics, by HTTP. What it answers is bounded in size and time."""

from dataclasses import dataclass
from typing import Protocol

import aiohttp

from trainyard_api.names import REST_PORT
from trainyard_operator.runtime.poller import Poller, Reading
from trainyard_operator.runtime.reconciler import Key
from trainyard_operator.serving.pod import METRICS_PATH
from trainyard_operator.serving.server_metrics import ServerMetrics, parse
from trainyard_operator.workloads.pods import url_host

_MOST_BYTES = 512 * 1024
"""TensorFlow Serving's page has some 20 KiB with one model."""
_TIMEOUT = 2.0


@dataclass(frozen=True, slots=True)
class ScrapedServer:
    """A model server whose metrics are read.

    Attributes:
        address: The pod's IP address.
    """

    address: str
    model: str


class ServerMetricsSource(Protocol):
    """Knows what model servers tell of their requests."""

    async def latest(self, key: Key, server: ScrapedServer) -> Reading[ServerMetrics] | None:
        """Return what the server said last, at once; None where it has not said anything that we understand."""
        ...


@dataclass(frozen=True, slots=True)
class PolledServerMetrics:
    """Implements `ServerMetricsSource`: servers are asked in the background."""

    poller: Poller[ScrapedServer, ServerMetrics]

    async def latest(self, key: Key, server: ScrapedServer) -> Reading[ServerMetrics] | None:
        return self.poller.latest(key, server)


@dataclass(slots=True)
class HttpServerMetricsReader:
    """Asks one server. Open it with `async with`."""

    port: int = REST_PORT
    _session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> "HttpServerMetricsReader":
        # A kept connection would only be in the way when a server ends.
        connector = aiohttp.TCPConnector(limit=32, force_close=True)
        timeout = aiohttp.ClientTimeout(total=_TIMEOUT)
        self._session = aiohttp.ClientSession(connector=connector, timeout=timeout, cookie_jar=aiohttp.DummyCookieJar())
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._session is not None:
            await self._session.close()

    async def ask(self, server: ScrapedServer) -> ServerMetrics | None:
        """Return what the server says of its model, or None where it does not, or not in a way we understand."""
        host = url_host(server.address)
        if self._session is None:
            raise RuntimeError("the reader is not open")
        try:
            # A redirect could lead anywhere the operator may go and the pod may not.
            async with self._session.get(f"http://{host}:{self.port}{METRICS_PATH}", allow_redirects=False) as response:
                if response.status != 200:
                    return None
                content = bytearray()
                async for chunk in response.content.iter_chunked(65536):
                    content += chunk
                    if len(content) > _MOST_BYTES:
                        return None
                return parse(bytes(content), server.model)
        except (aiohttp.ClientError, TimeoutError, ValueError):
            return None
