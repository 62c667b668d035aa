"""Probes: one look at a container (http, tcp, exec, grpc), and the loop that turns looks into verdicts."""

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import TypeAlias

import aiohttp

from trainyard_devcluster.resources import Object

Look: TypeAlias = Callable[[], Awaitable[str | None]]
"""One look at the container: None where it is well, else what was wrong."""

LONGEST_MESSAGE = 10 * 1024
# What some servers refuse to answer without.
_HEADERS = {"User-Agent": "kube-probe/trainyard-devcluster", "Accept": "*/*"}


@dataclass(frozen=True, slots=True)
class Timing:
    """When a probe looks, and how many looks make a verdict. Seconds."""

    initial_delay: float = 0
    period: float = 10
    timeout: float = 1
    successes: int = 1
    failures: int = 3

    @classmethod
    def of(cls, probe: Object) -> "Timing":
        """The timing that a probe asks for, with the defaults of the API."""
        return cls(
            initial_delay=probe.get("initialDelaySeconds") or 0,
            period=probe.get("periodSeconds") or 10,
            timeout=probe.get("timeoutSeconds") or 1,
            successes=probe.get("successThreshold") or 1,
            failures=probe.get("failureThreshold") or 3,
        )


async def verdicts(timing: Timing, look: Look, failed: Callable[[str], None]) -> AsyncIterator[bool]:
    """Look again and again; yield True or False each time enough looks in a row agree.

    `failed` hears of every look that went wrong.
    """
    loop = asyncio.get_running_loop()
    due = loop.time() + timing.initial_delay
    agreed, last = 0, None
    while True:
        await asyncio.sleep(due - loop.time())
        wrong = await _look(look, timing.timeout)
        if wrong is not None:
            failed(wrong)
        agreed = agreed + 1 if (wrong is None) == last else 1
        last = wrong is None
        if agreed >= (timing.successes if last else timing.failures):
            yield last
        due = max(due + timing.period, loop.time())


async def _look(look: Look, seconds: float) -> str | None:
    try:
        async with asyncio.timeout(seconds):
            return await look()
    except TimeoutError:
        return f"command or request timed out after {seconds:g}s"


def port_number(port: int | str, container: Object) -> int:
    """A probe's port, which may be the name of one of the container's. ValueError where there is no such port."""
    if isinstance(port, int):
        return port
    for each in container.get("ports") or ():
        if each.get("name") == port:
            return int(each["containerPort"])
    if port.isdigit():
        return int(port)
    raise ValueError(f"container {container['name']} has no port named {port}")


async def http_get(action: Object, host: str, port: int) -> str | None:
    """An HTTP GET: well with a status from 200 to 399. Certificates are not checked, redirects not followed."""
    scheme = (action.get("scheme") or "HTTP").lower()
    path = action.get("path") or "/"
    url = f"{scheme}://{action.get('host') or host}:{port}/{path.removeprefix('/')}"
    headers = _HEADERS | {each["name"]: each["value"] for each in action.get("httpHeaders") or ()}
    try:
        async with (
            aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=False, force_close=True)) as session,
            session.get(url, headers=headers, allow_redirects=False) as response,
        ):
            body = await response.content.read(LONGEST_MESSAGE)
            if 200 <= response.status < 400:
                return None
            return f"HTTP probe failed with statuscode: {response.status}" + _excerpt(body)
    except (aiohttp.ClientError, OSError, ValueError) as error:
        return f'Get "{url}": {error}'


def _excerpt(body: bytes) -> str:
    text = body[:256].decode(errors="replace").strip()
    return f" ({text})" if text else ""


async def tcp_connect(host: str, port: int) -> str | None:
    """A TCP connection: well when it is accepted."""
    try:
        _, writer = await asyncio.open_connection(host, port)
    except OSError as error:
        return f"dial tcp {host}:{port}: {os.strerror(error.errno) if error.errno else error}"
    writer.close()
    return None


async def grpc_health(service: str, host: str, port: int) -> str | None:
    """The standard gRPC health service: well when it answers SERVING."""
    # Imported only where a pod asks for it: it takes as much memory as the rest of the agent. Its handlers for
    # fork() would only get in the way of starting processes, which call nothing of it.
    os.environ["GRPC_ENABLE_FORK_SUPPORT"] = "0"
    import grpc.aio
    from grpc_health.v1 import health_pb2, health_pb2_grpc

    async with grpc.aio.insecure_channel(f"{host}:{port}", options=[("grpc.use_local_subchannel_pool", 1)]) as channel:
        try:
            answer = await health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(service=service))
        except grpc.aio.AioRpcError as error:
            return f"error: health rpc probe failed: {error.code().name}: {error.details()}"
    if answer.status == health_pb2.HealthCheckResponse.SERVING:
        return None
    name = health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status)
    return f"service unhealthy (responded with {name!r})"
