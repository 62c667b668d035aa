"""Asks a training pod how far it is: by HTTP, or by its log."""

import asyncio
from dataclasses import dataclass
from typing import Protocol

import aiohttp

from trainyard_api.names import TRAINER_PORT
from trainyard_operator.cluster.errors import ApiError
from trainyard_operator.cluster.port import Cluster, Manifest
from trainyard_operator.training.log_progress import last
from trainyard_operator.training.pod import CONTAINER
from trainyard_operator.training.progress import Snapshot, parse

LINES = 500
"""How far back a line is looked for: Keras prints up to 20 lines a second where there is no terminal."""
_MOST_LOG_BYTES = 256 * 1024
_LOG_TIMEOUT = 5.0
_MOST_BYTES = 64 * 1024
_TIMEOUT = 2.0


class ProgressReader(Protocol):
    """Asks a training pod how far it is."""

    async def read(self, address: str) -> Snapshot | None:
        """Return what the pod at this IP address answers, or None where it does not, or not in a way we understand."""
        ...


@dataclass(slots=True)
class HttpProgressReader:
    """Asks by HTTP. Open it with `async with`."""

    port: int = TRAINER_PORT
    _session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> "HttpProgressReader":
        # Trainers are asked every few seconds at most: a kept connection would only be in the way when they end.
        connector = aiohttp.TCPConnector(limit=32, force_close=True)
        timeout = aiohttp.ClientTimeout(total=_TIMEOUT)
        self._session = aiohttp.ClientSession(connector=connector, timeout=timeout, cookie_jar=aiohttp.DummyCookieJar())
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._session is not None:
            await self._session.close()

    async def read(self, address: str) -> Snapshot | None:
        """See `ProgressReader.read`."""
        host = f"[{address}]" if ":" in address else address
        if self._session is None:
            raise RuntimeError("the reader is not open")
        try:
            # A redirect could lead anywhere the operator may go and the pod may not.
            async with self._session.get(f"http://{host}:{self.port}/progress", allow_redirects=False) as response:
                if response.status != 200:
                    return None
                content = await response.content.read(_MOST_BYTES)
                while len(content) < _MOST_BYTES and (more := await response.content.read(_MOST_BYTES - len(content))):
                    content += more
                return parse(content)
        except (aiohttp.ClientError, TimeoutError, ValueError):
            return None


async def read_log(cluster: Cluster, pod: Manifest) -> Snapshot | None:
    """Return what the last such line in the pod's log says, or None where there is none, or no log to be had.

    Never raises: progress is not worth failing for, and the next look is seconds away.
    """
    at = pod["metadata"]
    try:
        # A node that hangs must not keep a worker for as long as other requests may take.
        async with asyncio.timeout(_LOG_TIMEOUT):
            log = await cluster.log(
                at["namespace"], at["name"], container=CONTAINER, lines=LINES, most_bytes=_MOST_LOG_BYTES
            )
    except (ApiError, TimeoutError):
        return None
    return last(log)
