"""Requests to the API server over `kubernetes.aio`: logged in, counted, and repeated where the server asks for that."""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass

import aiohttp
from kubernetes.aio.client import ApiClient

from trainyard_api.names import FIELD_MANAGER
from trainyard_operator.cluster.answers import Answer
from trainyard_operator.cluster.connect import load_configuration
from trainyard_operator.cluster.errors import ApiError, ConnectionLost, Unavailable
from trainyard_operator.cluster.port import Manifest

_REPEATS = 10
"""As client-go: how often a request is repeated that the server, or the network, turned away for the moment."""
_SILENCE = 75.0
"""Seconds after which a watch that says nothing is taken to be dead: servers send a bookmark every minute or so."""


@dataclass(frozen=True, slots=True)
class Request:
    """One request.

    Attributes:
        url: Its path.
    """

    method: str
    url: str
    query: Mapping[str, str] | None = None
    body: Manifest | None = None
    content_type: str = "application/json"

    def __str__(self) -> str:
        return f"{self.method} {self.url}"


class Transport:
    """Sends requests. Open it with `async with`.

    Args:
        timeout: Seconds for one request, connecting included.
        patience: Seconds for one request and all its repetitions.
        observe: Told of each request: HTTP method, status (0 where no answer came) and seconds.
    """

    def __init__(
        self,
        *,
        timeout: float,
        patience: float,
        observe: Callable[[str, int, float], None],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._timeout = timeout
        self._patience = patience
        self._observe = observe
        self._sleep = sleep
        self._client: ApiClient | None = None
        self._streams: ApiClient | None = None
        self._login = asyncio.Lock()

    async def __aenter__(self) -> "Transport":
        await self._connect()
        return self

    async def __aexit__(self, *_: object) -> None:
        for client in (self._client, self._streams):
            if client is not None:
                await client.close()

    async def fetch(self, request: Request) -> bytes:
        """Return the content of a good answer.

        Raises:
            ApiError: there was none, however often the request was repeated.
        """
        ends = time.monotonic() + self._patience
        for number in range(_REPEATS + 1):
            try:
                return await self._once(request)
            except ApiError as error:
                pause = _pause(error, number)
                if pause is None or number == _REPEATS or time.monotonic() + pause > ends:
                    raise
            await self._sleep(pause)
        raise AssertionError("unreachable")

    async def stream(self, request: Request) -> AsyncIterator[bytes]:
        """Yield the lines of an answer that goes on, until the server ends it or falls silent.

        Raises:
            ConnectionLost: the connection broke.
            ApiError: there was no good answer.
        """
        response = await self._open(request)
        try:
            async for line in response.content:
                yield line
        except TimeoutError:
            return
        except (aiohttp.ClientError, ValueError) as error:
            raise ConnectionLost(f"{request}: {error}") from error
        finally:
            response.close()

    async def _once(self, request: Request) -> bytes:
        answer = await self._exchange(request)
        if answer.code == 401:
            # Projected tokens rotate and kubeconfig plugins hand out new ones: log in once more.
            await self._connect()
            answer = await self._exchange(request)
        if answer.code >= 300:
            raise answer.error(str(request))
        return answer.content

    async def _exchange(self, request: Request) -> Answer:
        started = time.monotonic()
        code = 0
        try:
            async with asyncio.timeout(self._timeout):
                response = await _send(self._client, request, self._timeout)
                content = await response.read()
                code = response.status
        except TimeoutError as error:
            raise Unavailable(f"{request}: no answer within {self._timeout:g} s") from error
        except aiohttp.ClientConnectorError as error:
            raise Unavailable(f"{request}: {error}") from error
        # A session that another request has just replaced, for its token was no longer taken, is a RuntimeError.
        except (aiohttp.ClientError, RuntimeError) as error:
            raise ConnectionLost(f"{request}: {error}") from error
        finally:
            self._observe(request.method, code, time.monotonic() - started)
        return Answer(code, content, response.headers.get("Retry-After"))

    async def _open(self, request: Request) -> aiohttp.ClientResponse:
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=self._timeout, sock_read=_SILENCE)
        code, started = 0, time.monotonic()
        try:
            async with asyncio.timeout(self._timeout):
                response = await _send(self._streams, request, timeout)
                code = response.status
                if code < 300:
                    return response
                answer = Answer(code, await response.read(), response.headers.get("Retry-After"))
        except TimeoutError as error:
            raise Unavailable(f"{request}: no answer within {self._timeout:g} s") from error
        except (aiohttp.ClientError, RuntimeError) as error:
            raise Unavailable(f"{request}: {error}") from error
        finally:
            self._observe("WATCH", code, time.monotonic() - started)
        if code == 401:
            await self._connect()
        raise answer.error(str(request))

    async def _connect(self) -> None:
        before, streams = self._client, self._streams
        async with self._login:
            if self._client is not before:
                return
            self._client, self._streams = await _client(), await _client(pool=0)
        for old in (before, streams):
            if old is not None:
                await old.close()


async def _client(pool: int | None = None) -> ApiClient:
    """Return a client with so many connections at most; 0 sets no limit, since each watch keeps one."""
    configuration = await load_configuration()
    if pool is not None:
        configuration.connection_pool_maxsize = pool
    client = ApiClient(configuration)
    client.user_agent = f"{FIELD_MANAGER}-operator"
    return client


async def _send(
    client: ApiClient | None, request: Request, limit: float | aiohttp.ClientTimeout
) -> aiohttp.ClientResponse:
    if client is None:
        raise Unavailable("not connected")
    serialized = await client.param_serialize(
        request.method,
        request.url,
        query_params=list((request.query or {}).items()),
        # As kubectl asks: a log is text, all else is JSON.
        header_params={"Accept": "application/json, */*", "Content-Type": request.content_type},
        body=request.body,
        auth_settings=["BearerToken"],
    )
    response: aiohttp.ClientResponse = (await client.call_api(*serialized, _request_timeout=limit)).response
    return response


def _pause(error: ApiError, number: int) -> float | None:
    """Return after how many seconds to repeat a request, or None where that would not help."""
    if isinstance(error, ConnectionLost):
        return float(min(2.0, 0.05 * 2**number) * (0.5 + random.random() / 2))  # noqa: S311
    return error.retry_after if isinstance(error, Unavailable) else None
