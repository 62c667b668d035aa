"""Asks a model server for its metrics, by HTTP. What it answers is bounded in size and time."""

from dataclasses import dataclass
from typing import Protocol

from trainyard_api.names import REST_PORT
from trainyard_operator.runtime.pod_client import PodError, PodHttp
from trainyard_operator.runtime.poller import Poller, Reading
from trainyard_operator.runtime.reconciler import Key
from trainyard_operator.serving.pod import METRICS_PATH
from trainyard_operator.serving.server_metrics import ServerMetrics, parse

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


@dataclass(frozen=True, slots=True)
class HttpServerMetricsReader:
    """Asks one server."""

    http: PodHttp
    port: int = REST_PORT

    async def ask(self, server: ScrapedServer) -> ServerMetrics | None:
        """Return what the server says of its model, or None where it does not, or not in a way we understand."""
        try:
            answer = await self.http.ask(
                server.address, self.port, METRICS_PATH, most_bytes=_MOST_BYTES, deadline=_TIMEOUT
            )
            return parse(answer.content, server.model) if answer.status == 200 else None
        except (PodError, ValueError):
            return None
