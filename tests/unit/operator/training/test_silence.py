"""Old numbers are not shown as new, and a trainer that nobody can reach is told apart from one that starts."""

import pytest

from support.training import World, a_training_job
from trainyard_operator.training.progress import Snapshot

LIVE = Snapshot(phase="training", epoch=3, epochs=10, eta_seconds=200.0)


async def a_world_that_trains() -> World:
    world = await World().put(a_training_job()).running()
    world.progress.answer = LIVE
    await world.later(seconds=10).settle()
    return world


async def test_progress_has_the_time_of_the_last_answer() -> None:
    world = await a_world_that_trains()
    assert world.status()["progress"]["updated"] == "2026-11-23T10:00:10Z"

    await world.later(minutes=2).settle()

    assert world.status()["progress"]["updated"] == "2026-11-23T10:02:10Z"


async def test_an_answer_without_news_is_written_down_now_and_then_only() -> None:
    world = await a_world_that_trains()
    world.cluster.calls.clear()

    for _ in range(6):
        await world.later(seconds=10).reconcile()

    assert world.cluster.writes == [("apply_status", "trainingjobs")] * 2


async def test_without_news_for_a_minute_the_status_says_so() -> None:
    world = await a_world_that_trains()
    world.progress.answer = None
    await world.later(seconds=59).settle()
    assert world.conditions()["Running"]["reason"] == "Running"

    await world.later(seconds=1).settle()

    assert world.status()["phase"] == "Running"
    assert world.conditions()["Running"]["reason"] == "ProgressStale"
    assert "no news of its progress since 2026-11-23T10:00:10Z" in world.conditions()["Running"]["message"]
    assert "eta" not in world.status()["progress"]
    assert world.status()["progress"]["summary"] == "3/10"
    assert world.events()[-1] == "Warning ProgressStale"

    world.progress.answer = LIVE
    await world.settle()

    assert world.conditions()["Running"]["reason"] == "Running"
    assert world.status()["progress"]["eta"] == "3m20s"


@pytest.mark.parametrize("seconds", [pytest.param(59, id="not yet"), pytest.param(60, id="after a minute")])
async def test_a_trainer_that_never_answered_is_unreachable_after_a_minute(seconds: int) -> None:
    world = await World().put(a_training_job()).running()

    await world.later(seconds=seconds).settle()

    running = world.conditions()["Running"]
    if seconds < 60:
        assert (world.status()["phase"], running["reason"]) == ("Starting", "Starting")
        return
    assert (world.status()["phase"], running["status"], running["reason"]) == ("Running", "True", "PodUnreachable")
    assert "http://10.0.0.7:8080/progress does not answer" in running["message"]
    assert "NetworkPolicy" in running["message"]
    assert world.events()[-1] == "Warning PodUnreachable"


async def test_an_operator_that_was_away_asks_before_it_calls_anybody_silent() -> None:
    world = await a_world_that_trains()
    world.progress.answer = None
    world.progress.last.clear()

    await world.later(minutes=10).restart().settle()
    assert world.conditions()["Running"]["reason"] == "Running"
    await world.later(minutes=1).settle()

    assert world.conditions()["Running"]["reason"] == "ProgressStale"


async def test_a_program_of_the_users_own_may_be_silent() -> None:
    world = await World().put(a_training_job().with_container(image="me/train:1")).running()

    await world.later(hours=1).settle()

    assert world.conditions()["Running"]["reason"] == "Running"


async def test_an_answer_of_an_earlier_attempt_does_not_count() -> None:
    world = await a_world_that_trains()
    world.fail(code=1)
    world.progress.answer = None
    await world.settle()
    await world.later(seconds=10).running(1)

    await world.later(seconds=60).settle()

    assert world.conditions()["Running"]["reason"] == "PodUnreachable"
