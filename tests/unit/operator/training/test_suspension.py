"""What another controller does to our Job is respected, shown, and never fought over."""

from typing import Any

import pytest

from support.training import NAMESPACE, World, a_training_job
from trainyard_api.times import to_rfc3339
from trainyard_operator.cluster.kinds import JOB


def set_suspend(world: World, value: bool, manager: str) -> None:
    """Somebody writes `spec.suspend` of the Job."""
    job = world.job()
    job["spec"]["suspend"] = value
    entry: dict[str, Any] = {
        "manager": manager,
        "operation": "Update",
        "time": to_rfc3339(world.now),
        "fieldsV1": {"f:spec": {"f:suspend": {}}},
    }
    job["metadata"]["managedFields"] = [entry]
    world.cluster.put(JOB, job)


def suspend_writes(world: World) -> int:
    return sum(call == ("apply", "jobs") for call in world.cluster.calls)


async def test_a_job_that_a_queue_suspends_stays_suspended() -> None:
    world = await World().put(a_training_job()).running()
    world.cluster.calls.clear()
    set_suspend(world, True, "kueue")

    for _ in range(30):
        await world.later(seconds=1).reconcile()

    assert suspend_writes(world) == 0
    assert world.job()["spec"]["suspend"] is True
    assert world.status()["phase"] == "Suspended"
    suspended = world.conditions()["Suspended"]
    assert (suspended["status"], suspended["reason"]) == ("True", "SuspendedByOther")
    assert "suspended by kueue" in suspended["message"]
    assert world.events()[-1] == "Normal SuspendedByOther"
    assert "Stalled" not in world.conditions()


async def test_it_goes_on_when_the_queue_resumes_it() -> None:
    world = await World().put(a_training_job()).running()
    set_suspend(world, True, "kueue")
    await world.settle()

    set_suspend(world, False, "kueue")
    await world.settle()

    assert world.status()["phase"] != "Suspended"
    assert world.events()[-1] == "Normal Resumed"


async def test_a_queue_that_resumes_what_the_spec_suspends_is_answered_once_a_minute() -> None:
    world = await World().put(a_training_job().with_run_policy(suspend=False)).running()
    world.update_spec(suspend=True)
    await world.settle()
    world.cluster.calls.clear()

    for _ in range(180):
        if not world.job()["spec"]["suspend"]:
            await world.later(seconds=1).reconcile()
        else:
            set_suspend(world.later(seconds=1), False, "kueue")

    assert 1 <= suspend_writes(world) <= 3


async def test_our_own_suspension_is_ours_to_lift() -> None:
    world = await World().put(a_training_job()).running()
    world.update_spec(suspend=True)
    await world.settle()
    assert world.job()["spec"]["suspend"] is True

    world.update_spec(suspend=False)
    await world.settle()

    assert world.job()["spec"]["suspend"] is False
    assert world.conditions()["Suspended"]["reason"] == "NotSuspended"


@pytest.mark.parametrize(
    ("edits", "seconds"),
    [
        pytest.param([{"attemptDeadline": "20s"}], 20, id="set"),
        pytest.param([{"attemptDeadline": "20s"}, {"attemptDeadline": "1h"}], 3600, id="changed"),
        pytest.param([{"attemptDeadline": "20s"}, {"attemptDeadline": None}], None, id="taken away"),
    ],
)
async def test_an_attempts_deadline_that_is_edited_reaches_the_running_job(
    edits: list[dict[str, Any]], seconds: int
) -> None:
    world = await World().put(a_training_job()).running()

    for edit in edits:
        world.update_spec(**edit)
        await world.settle()

    assert world.job()["spec"].get("activeDeadlineSeconds") == seconds
    assert world.jobs() == ["churn-worker-0"]


async def test_every_field_of_the_run_policy_acts_on_a_running_job() -> None:
    from trainyard_api.run_policy import RunPolicy

    world = await World().put(a_training_job()).running()
    world.update_spec(maxRestarts=0, maxDisruptions=0, attemptDeadline="20s", suspend=False)
    await world.settle()
    assert world.job()["spec"]["activeDeadlineSeconds"] == 20

    world.fail(code=1)
    await world.settle()

    assert world.status()["phase"] == "Failed"
    timers = {"startup_timeout", "stall_timeout", "active_deadline"}  # tests/unit/operator/training/test_timeouts.py
    after_the_end = {
        "clean_pods",
        "ttl_after_finished",
        "rerun",
        "schedule",
    }  # test_cleanup.py, test_rerun.py, test_scheduling.py
    here = {"suspend", "max_restarts", "max_disruptions", "attempt_deadline"}
    fixed = {"queue_name"}  # below
    assert set(RunPolicy.model_fields) == here | timers | after_the_end | fixed


async def test_a_finished_job_that_is_edited_tells_its_end_once() -> None:
    world = await World().put(a_training_job()).running()
    world.succeed()
    await world.settle()
    told = world.events()

    job = world.cluster.objects["trainingjobs", NAMESPACE, "churn"]
    job["metadata"]["generation"] += 1
    await world.settle()

    assert world.status()["observedGeneration"] == job["metadata"]["generation"]
    assert world.events() == told
    assert told.count("Normal Succeeded") == 1


async def test_a_job_with_a_queue_waits_until_the_queue_resumes_it_and_again_when_it_is_preempted() -> None:
    world = World().put(a_training_job().with_run_policy(queueName="gpu"))

    outcome = await world.settle()

    assert world.job()["spec"]["suspend"] is True
    assert (world.status()["phase"], world.conditions()["Suspended"]["reason"]) == ("Suspended", "Queued")
    assert "waits in queue 'gpu'" in world.conditions()["Suspended"]["message"]
    assert world.events() == ["Normal TrainingStarted", "Normal Queued"]
    assert outcome.requeue_after is not None
    assert outcome.requeue_after >= 10

    set_suspend(world.later(minutes=5), False, "kueue")
    writes = suspend_writes(world)
    await world.settle()
    assert world.status()["phase"] == "Starting"
    set_suspend(world.later(minutes=5), True, "kueue")
    await world.settle()

    assert (world.status()["phase"], world.conditions()["Suspended"]["reason"]) == ("Suspended", "Queued")
    assert suspend_writes(world) == writes
    assert [attempt["outcome"] for attempt in world.status()["attempts"]] == ["Running"]


async def test_a_pause_takes_a_job_out_of_its_queue_and_it_queues_again_afterwards() -> None:
    world = World().put(a_training_job().with_run_policy(queueName="gpu"))
    await world.settle()
    set_suspend(world, False, "kueue")
    await world.settle()

    world.update_spec(suspend=True)
    await world.settle()

    # Suspended only, the queue would resume it.
    assert world.jobs() == []
    assert (world.status()["phase"], world.conditions()["Suspended"]["reason"]) == ("Suspended", "Suspended")
    assert world.status()["restarts"] == 0

    world.later(seconds=10).update_spec(suspend=False)
    await world.settle()

    assert world.jobs() == ["churn-worker-1"]
    assert world.conditions()["Suspended"]["reason"] == "Queued"
