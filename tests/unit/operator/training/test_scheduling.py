"""Trainings that train again by themselves."""

from typing import Any

import pytest

from support.fake_cluster import Killed
from support.training import START, World, a_report, a_training_job
from trainyard_api.run_policy import RunPolicy
from trainyard_api.trainingjob import TrainingJobStatus
from trainyard_operator.training.scheduling import Due, due, noted

HOURLY = {"cron": "0 * * * *"}
REPLACE = HOURLY | {"concurrencyPolicy": "Replace"}
COME, TO_COME = "2026-11-23T10:00:00Z", "2026-11-23T10:00:01Z"
DONE = {"start_time": "2026-11-23T07:30:00Z", "completion_time": "2026-11-23T07:40:00Z", "next_schedule_time": COME}
TRAINS = DONE | {"completion_time": None}


@pytest.mark.parametrize(
    ("policy", "status", "begins"),
    [
        pytest.param({}, DONE, None, id="no schedule"),
        pytest.param({"schedule": HOURLY}, {}, None, id="not at first sight"),
        pytest.param({"schedule": HOURLY}, DONE, True, id="on time"),
        pytest.param({"schedule": HOURLY}, DONE | {"next_schedule_time": TO_COME}, None, id="not before"),
        pytest.param({"schedule": HOURLY}, TRAINS, False, id="while it trains"),
        pytest.param({"schedule": REPLACE}, TRAINS, True, id="while it trains, where that is replaced"),
        pytest.param({"schedule": REPLACE}, TRAINS | {"start_time": None}, False, id="before it has started at all"),
        pytest.param({"schedule": HOURLY, "suspend": True}, DONE, None, id="not while suspended"),
    ],
)
def test_what_is_due(policy: dict[str, Any], status: dict[str, Any], begins: bool | None) -> None:
    found = due(RunPolicy.model_validate(policy), TrainingJobStatus(**status), START)

    assert found == (None if begins is None else Due(START, begins))


@pytest.mark.parametrize(
    ("policy", "status", "changed", "expected"),
    [
        pytest.param({"schedule": HOURLY}, {}, False, "2026-11-23T11:00:00Z", id="at first sight"),
        pytest.param({"schedule": HOURLY}, DONE, False, "2026-11-23T11:00:00Z", id="the one after what has come"),
        pytest.param({"schedule": HOURLY}, {"next_schedule_time": TO_COME}, False, TO_COME, id="as noted"),
        pytest.param(
            {"schedule": HOURLY}, {"next_schedule_time": TO_COME}, True, "2026-11-23T11:00:00Z", id="of a new schedule"
        ),
        pytest.param({}, {"next_schedule_time": TO_COME}, False, None, id="of none any more"),
        pytest.param({"schedule": HOURLY, "suspend": True}, {}, False, None, id="of a suspended training"),
        pytest.param({"schedule": HOURLY | {"timeZone": "No/Where"}}, {}, False, None, id="of no such zone"),
    ],
)
def test_the_next_time_is_noted(
    policy: dict[str, Any], status: dict[str, Any], changed: bool, expected: str | None
) -> None:
    found = noted(TrainingJobStatus(**status), RunPolicy.model_validate(policy), START, changed=changed)

    assert found.next_schedule_time == expected


async def succeeded(**schedule: Any) -> World:
    """A world whose training has ended at 10:10."""
    world = await World().put(a_training_job().with_run_policy(schedule=HOURLY | schedule)).running()
    await world.settle()
    world.later(minutes=10).succeed()
    await world.settle()
    return world


async def test_a_training_trains_again_at_its_time_and_once() -> None:
    world = await succeeded()
    assert world.status()["nextScheduleTime"] == "2026-11-23T11:00:00Z"
    outcome = await world.later(minutes=49).settle()
    assert outcome.requeue_after == 60
    assert world.jobs() == ["churn-worker-0"]

    await world.later(minutes=1).settle()

    assert world.jobs() == ["churn-worker-0", "churn-worker-1"]
    status = world.status()
    assert (status["run"], status["lastScheduleTime"]) == (1, "2026-11-23T11:00:00Z")
    assert status["nextScheduleTime"] == "2026-11-23T12:00:00Z"
    told = [event.message for _, _, event in world.cluster.events if event.reason == "RerunStarted"]
    assert told == ["Started to train again (run 1, scheduled for 2026-11-23T11:00:00Z)"]


async def test_of_many_missed_times_the_last_is_made_up_for() -> None:
    world = await succeeded()

    await world.later(hours=30).restart().settle()

    assert world.jobs() == ["churn-worker-0", "churn-worker-1"]
    assert world.status()["run"] == 1


async def test_a_time_at_which_it_still_trains_is_left_out() -> None:
    world = await (await succeeded()).later(minutes=50).running(1)

    await world.later(hours=1).settle()
    await world.later(minutes=5).settle()

    assert world.jobs() == ["churn-worker-0", "churn-worker-1"]
    assert (world.status()["run"], world.status()["lastScheduleTime"]) == (1, "2026-11-23T12:00:00Z")
    assert world.events().count("Normal ScheduleSkipped") == 1
    world.succeed(1, a_report(model=a_report()["model"] | {"version": 2, "path": "churn/2"}))
    await world.settle()
    assert world.jobs() == ["churn-worker-0", "churn-worker-1"]


async def test_a_training_that_is_replaced_ends_before_the_next_begins() -> None:
    world = await (await succeeded(concurrencyPolicy="Replace")).later(minutes=50).running(1)

    await world.later(hours=1).reconcile()
    assert world.jobs() == []
    await world.settle()

    assert world.jobs() == ["churn-worker-2"]
    assert [former["outcome"] for former in world.status()["runs"]] == ["Succeeded", "Replaced"]


async def test_a_suspended_training_has_no_next_time() -> None:
    world = await succeeded()
    world.update_spec(suspend=True)

    await world.later(hours=3).settle()

    assert world.jobs() == ["churn-worker-0"]
    assert "nextScheduleTime" not in world.status()


@pytest.mark.parametrize(
    ("schedule", "words"),
    [
        pytest.param(HOURLY | {"timeZone": "No/Where"}, "'No/Where'", id="no such zone"),
        pytest.param({"cron": "0 0 31 2 *"}, "it never comes", id="no such day"),
        pytest.param({"cron": "61 * * * *"}, "expected a minute from 0 to 59", id="no such minute"),
    ],
)
async def test_a_schedule_that_is_wrong_from_now_on_is_said_of_what_has_ended(
    schedule: dict[str, str], words: str
) -> None:
    world = await succeeded()
    told = len(world.cluster.events)

    world.update_spec(schedule=schedule)
    await world.settle()

    assert world.status()["phase"] == "Succeeded"
    said = world.conditions()["ScheduleInvalid"]
    assert (said["status"], said["reason"], said["observedGeneration"]) == ("True", "InvalidSchedule", 2)
    assert said["message"].startswith("spec.runPolicy.schedule: ")
    assert words in said["message"]
    assert said["message"].endswith("; nothing is trained by it until you change it")
    assert [event.reason for _, _, event in world.cluster.events[told:]] == ["InvalidSchedule"]

    # An operator that starts anew, and a later look, tell nothing twice.
    await world.restart().later(hours=3).settle()
    assert world.jobs() == ["churn-worker-0"]
    assert [event.reason for _, _, event in world.cluster.events[told:]] == ["InvalidSchedule"]

    world.update_spec(schedule=HOURLY)
    await world.settle()
    assert "ScheduleInvalid" not in world.conditions()
    assert world.status()["nextScheduleTime"] == "2026-11-23T14:00:00Z"


async def test_a_schedule_that_nobody_can_follow_is_refused() -> None:
    world = World().put(a_training_job().with_run_policy(schedule={"cron": "61 * * * *"}))

    await world.settle()

    assert world.status()["failure"]["reason"] == "InvalidSpec"
    assert "spec.runPolicy.schedule: expected a minute from 0 to 59" in world.status()["failure"]["message"]


@pytest.mark.parametrize("lost", [pytest.param(False, id="before the call"), pytest.param(True, id="after the call")])
async def test_an_operator_killed_at_any_call_begins_one_run(lost: bool) -> None:
    killed = 0
    for number in range(20):
        world = await succeeded()
        world.later(minutes=50).cluster.calls.clear()
        world.cluster.fail_at, world.cluster.fail_after = (None, number) if lost else (number, None)
        try:
            await world.settle()
        except Killed:
            killed += 1
        world.cluster.fail_at = world.cluster.fail_after = None
        await world.restart().settle()
        assert world.jobs() == ["churn-worker-0", "churn-worker-1"]
        assert (world.status()["run"], len(world.status()["runs"])) == (1, 1)
    assert killed > 5
