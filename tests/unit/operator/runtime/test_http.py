from aiohttp import ClientSession

from trainyard_operator.runtime.health import Check, Health, LoopLag
from trainyard_operator.runtime.http import application, serve
from trainyard_operator.runtime.metrics import Metrics


async def ask(health: Health, path: str) -> tuple[int, str]:
    runner = await serve(application(Metrics("1.2.3"), health), "127.0.0.1", 0)
    try:
        host, port = runner.addresses[0][:2]
        async with ClientSession() as session, session.get(f"http://{host}:{port}{path}") as answer:
            return answer.status, await answer.text()
    finally:
        await runner.cleanup()


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
