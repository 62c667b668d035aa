"""Asks the pods that the operator runs, by HTTP and gRPC; answers are bounded in size and time."""

from dataclasses import dataclass
from typing import Self, TypeVar, cast

import aiohttp
import grpc.aio
from google.protobuf.message import Message

# A proxy named in the environment is for the way out of the cluster, not to its pods.
_NO_PROXY = ("grpc.enable_http_proxy", 0)

Response = TypeVar("Response", bound=Message)


class PodError(Exception):
    """A pod did not answer by HTTP, or with more than it may."""


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    """What a pod answered, whatever its status is."""

    status: int
    content: bytes


@dataclass(slots=True)
class PodHttp:
    """Asks pods by HTTP. Open it with `async with`."""

    _session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        # Pods are asked every few seconds at most: a kept connection would only be in the way when they end. Pollers
        # bound how many are asked at once, each for itself, so that silent pods of one do not delay another.
        connector = aiohttp.TCPConnector(limit=0, force_close=True)
        self._session = aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar())
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._session is not None:
            await self._session.close()

    async def ask(
        self, address: str, port: int, path: str, *, most_bytes: int, deadline: float, json: str | None = None
    ) -> HttpAnswer:
        """GET, or POST where there is JSON to send.

        Args:
            address: The pod's IP address.
            deadline: Most seconds for the whole answer.

        Raises:
            PodError: there is no such answer.
        """
        if self._session is None:
            raise RuntimeError("the client is not open")
        content = bytearray()
        try:
            async with self._session.request(
                "GET" if json is None else "POST",
                f"http://{_url_host(address)}:{port}{path}",
                data=json,
                headers=None if json is None else {"Content-Type": "application/json"},
                # A redirect could lead anywhere the operator may go and the pod may not.
                allow_redirects=False,
                timeout=aiohttp.ClientTimeout(total=deadline),
            ) as response:
                async for chunk in response.content.iter_chunked(2**16):
                    content += chunk
                    if len(content) > most_bytes:
                        raise PodError(f"the answer has more than {most_bytes} bytes")
                return HttpAnswer(response.status, bytes(content))
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            raise PodError(str(error) or type(error).__name__) from error


async def call(
    address: str,
    port: int,
    method: str,
    request: Message,
    response: type[Response],
    *,
    most_bytes: int,
    deadline: float,
) -> Response:
    """Call a gRPC method of a pod.

    Args:
        method: With its service, such as "/tensorflow.serving.ModelService/GetModelStatus".
        deadline: Most seconds for the answer.

    Raises:
        grpc.aio.AioRpcError: there is no such answer.
    """
    options = (_NO_PROXY, ("grpc.max_receive_message_length", most_bytes))
    async with grpc.aio.insecure_channel(f"{_url_host(address)}:{port}", options=options) as channel:
        unary = channel.unary_unary(
            method, request_serializer=type(request).SerializeToString, response_deserializer=response.FromString
        )
        return cast(Response, await unary(request, timeout=deadline))


def _url_host(ip: str) -> str:
    return f"[{ip}]" if ":" in ip else ip
