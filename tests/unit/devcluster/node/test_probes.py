"""Probes: single looks, and the verdicts they add up to."""

import asyncio
from collections.abc import AsyncIterator

import grpc.aio
import pytest
from aiohttp import web
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from trainyard_devcluster.node.probes import Timing, grpc_health, http_get, port_number, tcp_connect, verdicts

HOST = "127.0.0.1"


@pytest.fixture
async def http_port() -> AsyncIterator[int]:
    async def serve(request: web.Request) -> web.Response:
        if request.path == "/slow":
            await asyncio.sleep(60)
        if request.path == "/moved":
            raise web.HTTPFound("/bad")
        return web.Response(status=int(request.headers.get("X-Status", "200")), text="said")

    app = web.Application()
    app.router.add_get("/{path:.*}", serve)
    runner = web.AppRunner(app, shutdown_timeout=0)
    await runner.setup()
    await web.TCPSite(runner, HOST, 0).start()
    yield runner.addresses[0][1]
    await runner.cleanup()


def status_header(status: int) -> dict[str, object]:
    return {"path": "/x", "httpHeaders": [{"name": "X-Status", "value": str(status)}]}


@pytest.mark.parametrize(
    ("action", "wrong"),
    [
        ({}, None),
        (status_header(399), None),
        ({"path": "/moved"}, None),
        (status_header(404), "HTTP probe failed with statuscode: 404 (said)"),
        (status_header(500), "HTTP probe failed with statuscode: 500 (said)"),
    ],
)
async def test_http_is_well_from_200_to_399(http_port: int, action: dict[str, object], wrong: str | None) -> None:
    assert await http_get(action, HOST, http_port) == wrong


async def test_what_does_not_listen_is_not_well(unused_tcp_port: int) -> None:
    assert await tcp_connect(HOST, unused_tcp_port) == f"dial tcp {HOST}:{unused_tcp_port}: Connection refused"
    assert f"http://{HOST}:{unused_tcp_port}/x" in (await http_get({"path": "x"}, HOST, unused_tcp_port) or "")
    assert "UNAVAILABLE" in (await grpc_health("", HOST, unused_tcp_port) or "")


async def test_an_open_port_is_well(http_port: int) -> None:
    assert await tcp_connect(HOST, http_port) is None


async def test_grpc_is_well_when_the_health_service_says_serving() -> None:
    server = grpc.aio.server()
    servicer = health.aio.HealthServicer()
    health_pb2_grpc.add_HealthServicer_to_server(servicer, server)
    port = server.add_insecure_port(f"{HOST}:0")
    await server.start()
    await servicer.set("", health_pb2.HealthCheckResponse.SERVING)
    await servicer.set("down", health_pb2.HealthCheckResponse.NOT_SERVING)
    assert await grpc_health("", HOST, port) is None
    assert await grpc_health("down", HOST, port) == "service unhealthy (responded with 'NOT_SERVING')"
    assert "NOT_FOUND" in (await grpc_health("unknown", HOST, port) or "")
    await server.stop(None)


def test_a_port_may_be_named() -> None:
    container = {"name": "c", "ports": [{"name": "http", "containerPort": 8080}]}
    assert port_number("http", container) == 8080
    assert port_number(9, container) == 9
    assert port_number("9", container) == 9
    with pytest.raises(ValueError, match="no port named grpc"):
        port_number("grpc", container)


async def collected(looks: list[bool], timing: Timing, count: int) -> tuple[list[bool], list[str]]:
    """The first verdicts about a container whose looks go like this, the last one for ever."""
    failures: list[str] = []
    rest = iter(looks)
    last = looks[-1]

    async def look() -> str | None:
        return None if next(rest, last) else "bad"

    found: list[bool] = []
    async for verdict in verdicts(timing, look, failures.append):
        found.append(verdict)
        if len(found) == count:
            break
    return found, failures


FAST = Timing(period=0.001)


@pytest.mark.parametrize(
    ("looks", "successes", "failures", "found"),
    [
        ([True], 1, 3, [True]),
        ([False, False, True], 1, 3, [True]),
        ([False, False, False], 1, 3, [False]),
        ([True, False, True, True], 2, 3, [True]),
        ([True, False, False, False], 1, 3, [True, False]),
        ([True, False, True, False, False, False], 1, 3, [True, True, False]),
    ],
)
async def test_enough_looks_in_a_row_make_a_verdict(
    looks: list[bool], successes: int, failures: int, found: list[bool]
) -> None:
    timing = Timing(period=0.001, successes=successes, failures=failures)
    assert (await collected(looks, timing, len(found)))[0] == found


async def test_every_look_that_goes_wrong_is_heard_of() -> None:
    assert (await collected([False, False, True], FAST, 1))[1] == ["bad", "bad"]


async def test_a_look_that_takes_too_long_went_wrong() -> None:
    failures: list[str] = []

    async def look() -> str | None:
        await asyncio.Event().wait()
        return None

    async for verdict in verdicts(Timing(period=0.001, timeout=0.01, failures=1), look, failures.append):
        assert not verdict
        break
    assert "timed out after 0.01s" in failures[0]


async def test_the_first_look_waits_for_the_initial_delay() -> None:
    loop = asyncio.get_running_loop()
    begin = loop.time()
    await collected([True], Timing(initial_delay=0.05), 1)
    assert loop.time() - begin >= 0.05


def test_timing_has_the_defaults_of_the_api() -> None:
    assert Timing.of({}) == Timing(0, 10, 1, 1, 3)
    assert Timing.of({"periodSeconds": 2, "failureThreshold": 30}) == Timing(0, 2, 1, 1, 30)
