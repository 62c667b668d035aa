import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import ClientSession, ClientTimeout

from trainyard_operator.runtime.health import Check, Health, LoopLag
from trainyard_operator.runtime.http import Endpoint, application, serve
from trainyard_operator.runtime.metrics import Metrics


async def ask(health: Health, path: str) -> tuple[int, str]:
    async with serving(health) as endpoint, ClientSession() as session:
        return await probe(session, endpoint, path)


@asynccontextmanager
async def serving(health: Health, *, most: int = 64, seconds: float = 5.0) -> AsyncIterator[Endpoint]:
    endpoint = await serve(application(Metrics("1.2.3"), health), "127.0.0.1", 0, most=most, seconds=seconds)
    try:
        yield endpoint
    finally:
        await endpoint.close()


async def probe(session: ClientSession, endpoint: Endpoint, path: str = "/healthz") -> tuple[int, str]:
    async with session.get(f"http://127.0.0.1:{endpoint.port}{path}", timeout=ClientTimeout(5)) as answer:
        return answer.status, await answer.text()


def says(text: str | None) -> Check:
    return lambda: text


async def test_a_sound_operator_is_live_and_ready() -> None:
    health = Health(live=[says(None)], ready=[says(None)])

    assert await ask(health, "/healthz") == (200, "ok\n")
    assert await ask(health, "/readyz") == (200, "ok\n")


async def test_an_operator_that_is_not_ready_is_still_live() -> None:
    health = Health(live=[says(None)], ready=[says("the watches have not started yet")])

    assert await ask(health, "/healthz") == (200, "ok\n")
    assert await ask(health, "/readyz") == (503, "the watches have not started yet\n")


async def test_what_is_wrong_is_said() -> None:
    health = Health(live=[says("3 workers are running"), says("a reconcile hangs")])

    assert await ask(health, "/healthz") == (503, "3 workers are running\na reconcile hangs\n")


async def test_metrics_are_served_with_help_for_each() -> None:
    status, text = await ask(Health(), "/metrics")

    assert status == 200
    assert 'trainyard_build_info{version="1.2.3"} 1.0' in text
    helped = {line.split()[2] for line in text.splitlines() if line.startswith("# HELP") and len(line.split()) > 3}
    assert {line.split()[2] for line in text.splitlines() if line.startswith("# TYPE")} <= helped


def test_a_blocked_event_loop_is_noticed() -> None:
    lag = LoopLag(Metrics("test"), limit=0)
    lag._due -= 1

    assert "s late" in (lag.check() or "")


async def test_a_thousand_connections_that_say_nothing_keep_nobody_out() -> None:
    async with serving(Health(), most=16, seconds=60) as endpoint:
        idle = [await asyncio.open_connection("127.0.0.1", endpoint.port) for _ in range(300)]

        async with ClientSession() as session:
            assert await probe(session, endpoint) == (200, "ok\n")
        assert len(endpoint.gate) <= 16
        for _, writer in idle:
            writer.close()


async def test_a_header_that_never_ends_is_not_waited_for() -> None:
    async with serving(Health(), seconds=0.1) as endpoint:
        reader, writer = await asyncio.open_connection("127.0.0.1", endpoint.port)
        writer.write(b"GET /healthz HTTP/1.1\r\nHost: ")

        assert await _ended(reader)
        writer.close()


async def test_neither_is_one_that_comes_drop_by_drop_after_a_good_request() -> None:
    async with serving(Health(), seconds=0.2) as endpoint:
        reader, writer = await asyncio.open_connection("127.0.0.1", endpoint.port)
        writer.write(b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n")
        assert b"200 OK" in await reader.readline()

        for _ in range(20):
            writer.write(b"x")
            await asyncio.sleep(0.05)
            if endpoint.gate.__len__() == 0:
                break

        assert len(endpoint.gate) == 0
        writer.close()


async def test_a_connection_that_asks_now_and_then_is_kept() -> None:
    async with serving(Health(), seconds=0.1) as endpoint, ClientSession() as session:
        for _ in range(3):
            assert await probe(session, endpoint) == (200, "ok\n")
            await asyncio.sleep(0.15)
        assert len(endpoint.gate) == 1


async def _ended(reader: asyncio.StreamReader) -> bool:
    try:
        return await asyncio.wait_for(reader.read(), 5) == b""
    except ConnectionResetError:
        return True
