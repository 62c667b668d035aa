"""Timers: what ends that does not come to an end by itself, when, and in which words."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from support.training import START, World, a_training_job
from trainyard_operator.training.progress import Snapshot
from trainyard_operator.training.timeouts import Timer, expired, seconds_left

UNSCHEDULABLE = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/3 nodes fit"}
BAD_IMAGE = {"waiting": {"reason": "ImagePullBackOff", "message": "no such manifest"}}


def a_world(**policy: Any) -> World:
    return World().put(a_training_job().with_run_policy(**policy))


async def started(**pod: Any) -> World:
    """A world whose first pod is there and does not run."""
    world = a_world(startupTimeout="10m")
    await world.settle()
    world.create_pod(**pod)
    await world.settle()
    return world


def at_step(step: int, phase: Any = "training") -> Snapshot:
    return Snapshot(phase=phase, epoch=1, epochs=10, step=step, steps=1000)


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


@pytest.mark.parametrize(
    ("timers", "expected"),
    [
        pytest.param([], None, id="none runs"),
        pytest.param([Timer(at(61), "A", "")], None, id="not before its time"),
        pytest.param([Timer(at(60), "A", "")], "A", id="on time"),
        pytest.param([Timer(at(50), "A", ""), Timer(at(40), "B", "")], "B", id="the one that was over first"),
        pytest.param([Timer(at(40), "A", ""), Timer(at(50), "B", "", final=True)], "B", id="what is final comes first"),
    ],
)
def test_the_timer_that_is_over(timers: list[Timer], expected: str | None) -> None:
    over = expired(timers, at(60))

    assert (over and over.reason) == expected


def test_the_next_look_is_when_the_next_timer_is_over() -> None:
    assert seconds_left([Timer(at(90), "A", ""), Timer(at(70), "B", "")], at(60)) == 10
    assert seconds_left([], at(60)) is None


@pytest.mark.parametrize(
    ("pod", "reason", "says"),
    [
        pytest.param({"conditions": [UNSCHEDULABLE]}, "Unschedulable", "0/3 nodes fit", id="the scheduler's words"),
        pytest.param(
            {"containerStatuses": [{"name": "trainer", "image": "me/x", "state": BAD_IMAGE}]},
            "ImagePullFailed",
            "no such manifest",
            id="the kubelet's words",
        ),
        pytest.param({}, "StartupTimeout", "spec.runPolicy.startupTimeout (10m)", id="nobody says why"),
    ],
)
async def test_pods_that_do_not_start_in_time_end_their_attempt(pod: dict[str, Any], reason: str, says: str) -> None:
    world = await started(**pod)

    await world.later(seconds=599).settle()
    assert world.status()["attempts"][0]["outcome"] == "Running"
    await world.later(seconds=1).reconcile()

    failure = world.status()["failure"]
    assert (failure["reason"], world.status()["attempts"][0]["outcome"]) == (reason, "Failed")
    assert says in failure["message"]
    assert world.jobs() == ["churn-worker-0"]  # the end is recorded before the Job goes
    await world.settle()
    assert world.jobs() == []


async def test_a_timer_wakes_the_reconciler_in_time() -> None:
    world = await started(conditions=[UNSCHEDULABLE])
    world.later(seconds=596)

    outcome = await world.settle()

    assert outcome.requeue_after is not None
    assert outcome.requeue_after <= 4


async def test_a_startup_that_fails_is_charged_and_the_last_one_is_the_end() -> None:
    world = a_world(startupTimeout="1m", maxRestarts=1)
    for attempt in range(2):
        await world.settle()
        world.create_pod(attempt, conditions=[UNSCHEDULABLE])
        await world.later(seconds=60).settle()
        world.later(seconds=10)

    assert world.status()["phase"] == "Failed"
    assert world.status()["restarts"] == 1
    assert world.status()["failure"]["reason"] == "Unschedulable"
    assert "spec.runPolicy.maxRestarts is 1" in world.status()["failure"]["message"]


async def test_pods_that_run_have_no_startup_timeout() -> None:
    world = await a_world(startupTimeout="1m").running()

    await world.later(hours=2).settle()

    assert world.status()["attempts"][0]["outcome"] == "Running"


async def test_the_startup_of_a_suspended_job_has_no_end() -> None:
    world = a_world(startupTimeout="1m", suspend=True)
    await world.settle()
    await world.later(hours=1).settle()
    assert world.status()["phase"] == "Suspended"

    world.update_spec(suspend=False)
    await world.settle()

    assert world.status()["attempts"][0]["outcome"] == "Running"


async def stalling(**policy: Any) -> World:
    """A world whose trainer has got to step 40, two minutes after its start."""
    world = await a_world(stallTimeout="5m", **policy).running()
    world.progress.answer = at_step(40)
    await world.later(minutes=2).settle()
    return world


async def test_a_trainer_that_gets_no_further_ends_and_goes_on_from_its_checkpoint() -> None:
    world = await stalling()
    await world.later(seconds=299).settle()
    assert world.status()["attempts"][0]["outcome"] == "Running"

    await world.later(seconds=1).settle()

    status = world.status()
    assert (status["failure"]["reason"], status["attempts"][0]["outcome"]) == ("Stalled", "Failed")
    assert "step 40 within spec.runPolicy.stallTimeout (5m)" in status["failure"]["message"]
    assert world.jobs() == []
    await world.later(seconds=10).settle()
    assert world.jobs() == ["churn-worker-1"]
    assert (world.status()["restarts"], world.status()["disruptions"]) == (1, 0)
    assert "Warning AttemptFailed" in world.events()


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(at_step(41), id="a new step"),
        pytest.param(at_step(40, "exporting"), id="no step, since it exports"),
        pytest.param(at_step(40, "starting"), id="no step, since it reads data"),
    ],
)
async def test_a_trainer_that_gets_on_is_let_alone(answer: Snapshot) -> None:
    world = await stalling()
    world.progress.answer = answer
    await world.later(seconds=299).settle()

    await world.later(seconds=200).settle()

    assert world.status()["attempts"][0]["outcome"] == "Running"


async def test_a_trainer_that_falls_silent_has_stalled() -> None:
    world = await stalling()
    world.progress.answer = None

    await world.later(seconds=300).settle()

    assert world.status()["failure"]["reason"] == "Stalled"


async def test_a_program_that_never_tells_how_far_it_is_cannot_stall() -> None:
    world = await a_world(stallTimeout="5m").running()

    await world.later(hours=2).settle()

    assert world.status()["attempts"][0]["outcome"] == "Running"


async def test_after_a_restart_of_the_operator_the_stall_is_known_at_the_first_answer() -> None:
    world = await stalling()

    await world.later(seconds=300).restart().settle()

    assert world.status()["failure"]["reason"] == "Stalled"


async def test_after_a_restart_of_the_operator_old_numbers_end_nothing() -> None:
    world = await stalling()
    world.progress.answer = None
    world.progress.last.clear()

    await world.later(hours=3).restart().settle()
    assert world.status()["attempts"][0]["outcome"] == "Running"
    world.progress.answer = at_step(900)
    await world.later(seconds=30).settle()

    assert world.status()["attempts"][0]["outcome"] == "Running"
    assert world.status()["progress"]["step"] == 900


async def test_after_a_restart_of_the_operator_silence_has_its_minute() -> None:
    world = await stalling()
    world.progress.answer = None
    world.progress.last.clear()
    await world.later(hours=3).restart().settle()

    outcome = await world.later(seconds=50).settle()
    assert outcome.requeue_after == 10
    await world.later(seconds=10).settle()

    assert world.status()["failure"]["reason"] == "Stalled"


async def test_the_whole_training_has_its_time_and_no_second_try() -> None:
    world = await a_world(activeDeadline="1h").running()
    await world.later(seconds=3599).settle()
    assert world.status()["phase"] == "Running"

    await world.later(seconds=1).settle()

    status = world.status()
    assert (status["phase"], status["failure"]["reason"]) == ("Failed", "DeadlineExceeded")
    assert "spec.runPolicy.activeDeadline (1h)" in status["failure"]["message"]
    assert world.jobs() == []


async def test_restarts_do_not_begin_the_time_of_the_whole_anew() -> None:
    world = await a_world(activeDeadline="1h").running()
    world.later(minutes=50).fail(code=1, message="boom")
    await world.settle()
    await world.later(seconds=10).running(1)

    await world.later(minutes=10).settle()

    assert world.status()["failure"]["reason"] == "DeadlineExceeded"


async def test_the_time_of_the_whole_can_end_between_two_attempts() -> None:
    world = await a_world(activeDeadline="1h").running()
    world.later(seconds=3598).fail(code=1, message="boom")
    await world.settle()

    outcome = await world.settle()
    assert outcome.requeue_after == 2
    await world.later(seconds=2).settle()

    status = world.status()
    assert (status["phase"], status["failure"]["reason"]) == ("Failed", "DeadlineExceeded")
    assert "boom" in status["failure"]["message"]
    assert world.jobs() == ["churn-worker-0"]


async def test_a_pause_stops_the_time_of_the_whole_and_begins_it_anew() -> None:
    world = await a_world(activeDeadline="1h").running()
    world.later(minutes=50).update_spec(suspend=True)
    await world.settle()
    await world.later(hours=5).settle()
    assert world.status()["phase"] == "Suspended"
    world.update_spec(suspend=False)
    await world.settle()

    await world.later(minutes=59).settle()
    assert world.status()["phase"] != "Failed"
    await world.later(minutes=1).settle()

    assert world.status()["failure"]["reason"] == "DeadlineExceeded"


async def test_a_training_that_ended_in_time_stays_as_it_ended() -> None:
    world = await a_world(activeDeadline="1h", stallTimeout="5m", startupTimeout="1m").running()
    world.later(minutes=10).succeed()
    await world.settle()

    await world.later(hours=5).settle()

    assert world.status()["phase"] == "Succeeded"


async def test_a_success_that_nobody_has_seen_yet_comes_before_any_timer() -> None:
    world = await stalling()
    world.succeed()

    await world.later(hours=1).settle()

    assert world.status()["phase"] == "Succeeded"
