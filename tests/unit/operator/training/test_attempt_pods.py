"""Trainings in several pods: who decides, who is asked, and that they start and end together."""

from typing import Any

import pytest

from support.training import World, a_report, a_training_job
from trainyard_operator.training.attempt_pods import decider
from trainyard_operator.training.progress import Snapshot

DISRUPTED = {"conditions": [{"type": "DisruptionTarget", "status": "True"}]}
DISRUPTION = "Pod team/churn-worker-0-1-abcde has condition DisruptionTarget matching FailJob rule at index 1"


def a_pod(code: int | None = None, *, deleted: bool = False, **status: Any) -> dict[str, Any]:
    state: dict[str, Any] = {"running": {}} if code is None else {"terminated": {"exitCode": code}}
    phase = "Running" if code is None else "Failed" if code else "Succeeded"
    metadata = {"deletionTimestamp": "2026-11-23T10:00:00Z"} if deleted else {}
    return {
        "metadata": metadata,
        "status": {"phase": phase, "containerStatuses": [{"name": "trainer", "state": state}]} | status,
    }


@pytest.mark.parametrize(
    ("pods", "expected"),
    [
        ([], None),
        ([a_pod(), a_pod(1)], 1),
        ([a_pod(0), a_pod(1)], 1),
        ([a_pod(1), a_pod(2)], 1),
        ([a_pod(75), a_pod(3)], 1),
        ([a_pod(69), a_pod(1)], 1),
        ([a_pod(1), a_pod(75)], 1),
        ([a_pod(69), a_pod(75)], 1),
        ([a_pod(69), a_pod(69)], 0),
        ([a_pod(137), a_pod(1)], 0),
        # The Job stops the others once one has failed: how they end then is no news.
        ([a_pod(75, deleted=True), a_pod(1)], 1),
        ([a_pod(143, deleted=True), a_pod(69)], 1),
        ([a_pod(143, deleted=True), a_pod(143, deleted=True)], None),
        ([a_pod(69), a_pod(137, deleted=True, **DISRUPTED)], 1),
        ([a_pod(1), a_pod(2, deleted=True)], 1),
    ],
)
def test_the_worker_whose_end_tells_most_decides(pods: list[dict[str, Any]], expected: int | None) -> None:
    assert decider(dict(enumerate(pods))) == expected


async def several(count: int = 2, **run_policy: Any) -> World:
    job = a_training_job().with_worker(replicas=count, gpus=4).with_run_policy(**run_policy)
    return await World().put(job).running()


async def test_a_failure_names_the_worker_its_node_and_what_it_said() -> None:
    world = await several()
    world.end_pod(index=1, code=1, message="ValueError: boom")
    world.end_pod(index=0, code=69, message=a_report(reason="PeerLost", message="worker 1 has left", model=None))
    world.end_job()

    await world.settle()

    assert world.status()["failure"] == {
        "reason": "Error",
        "reasonClass": "ApplicationError",
        "message": "worker 1: exit code 1: ValueError: boom",
        "attempt": 0,
        "exitCode": 1,
        "node": "node-2",
        "role": "worker",
        "index": 1,
        "logTail": ["ValueError: boom"],
    }
    assert world.status()["gpus"] == 8
    # What there is to go on from comes from worker 0, whoever failed.
    assert world.status()["lastCheckpoint"]["step"] == 100


@pytest.mark.parametrize(
    ("codes", "outcome", "phase", "index"),
    [
        ((2, 69), "Failed", "Failed", 0),
        ((69, 3), "Failed", "Failed", 1),
        ((75, 75), "Stopped", "Starting", 0),
        ((69, 75), "Stopped", "Starting", 1),
        ((69, 137), "Failed", "Starting", 1),
        ((69, 69), "Failed", "Starting", 0),
    ],
)
async def test_an_attempt_of_several_pods_ends_as_one(
    codes: tuple[int, int], outcome: str, phase: str, index: int
) -> None:
    world = await several()
    for number, code in enumerate(codes):
        world.end_pod(index=number, code=code)
    world.end_job()

    await world.settle()

    (attempt,) = world.status()["attempts"]
    assert (attempt["outcome"], attempt["index"], attempt["exitCode"]) == (outcome, index, codes[index])
    assert world.status()["phase"] == phase


async def test_a_disruption_of_one_pod_is_not_charged_even_where_only_the_job_still_tells_of_it() -> None:
    world = await several(maxRestarts=0)
    world.end_pod(index=0, code=69, message="worker 1 has left")
    world.remove_pod(index=1)
    world.end_job(reason="PodFailurePolicy", message=DISRUPTION)
    await world.settle()

    world.later(seconds=1)
    await world.running(1)

    assert [each["outcome"] for each in world.status()["attempts"]] == ["Stopped", "Running"]
    assert world.status()["restarts"] == 0


async def test_the_next_attempt_waits_until_every_pod_of_the_last_one_has_ended() -> None:
    world = await several()
    world.end_pod(index=1, code=1, message="boom")
    world.delete_pod(index=0)
    world.end_job()
    await world.settle()
    world.later(minutes=1)

    outcome = await world.settle()

    assert world.jobs() == ["churn-worker-0"]
    assert outcome.requeue_after == 1.0
    world.remove_pod(index=0)
    await world.settle()
    assert world.jobs() == ["churn-worker-0", "churn-worker-1"]


async def test_the_result_and_the_progress_are_those_of_worker_0() -> None:
    world = await several()
    world.progress.answer = Snapshot(phase="training", epoch=3, epochs=10)
    await world.settle()
    assert set(world.progress.asked) == {"10.0.0.7"}
    assert world.conditions()["Running"]["message"] == "attempt 0 on 2 nodes"

    world.end_pod(index=1, code=0, message=a_report(model=None, message="worker 1 is done"))
    await world.settle()
    assert world.status()["phase"] == "Running"

    world.end_pod(index=0, code=0, message=a_report())
    world.end_job(failed=False)
    await world.settle()
    assert world.status()["phase"] == "Succeeded"
    assert world.status()["model"]["uri"] == "pvc://models/churn/1"


async def test_several_pods_are_starting_until_all_of_them_run() -> None:
    world = World().put(a_training_job().with_worker(replicas=3))
    await world.settle()
    world.create_pod(index=0)
    world.run_pod(index=0)
    world.create_pod(index=1)

    await world.settle()

    assert world.conditions()["Running"]["message"] == "the pods of attempt 0 are starting: 1 of 3 run"
    world.later(seconds=61)
    await world.settle()
    assert world.conditions()["Stalled"]["reason"] == "PodsNotCreated"
    assert "only 2 of 3 pods" in world.conditions()["Stalled"]["message"]


async def test_pods_that_no_node_can_take_are_counted() -> None:
    world = World().put(a_training_job().with_worker(replicas=3, gpus=8))
    await world.settle()
    refused = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/1 nodes"}
    world.create_pod(index=0)
    world.run_pod(index=0)
    for index in (1, 2):
        world.create_pod(index=index, conditions=[refused])

    await world.settle()

    message = world.conditions()["Running"]["message"]
    assert "no node can take 2 of 3 pods (0/1 nodes). Each asks for 8 nvidia.com/gpu" in message


async def test_a_pod_that_waits_for_a_volume_on_another_node_says_which_claims_must_be_shared() -> None:
    world = World().put(a_training_job().with_worker(replicas=2))
    await world.settle()
    creating = [{"name": "trainer", "state": {"waiting": {"reason": "ContainerCreating"}}}]
    world.create_pod(index=0)
    world.run_pod(index=0)
    world.create_pod(index=1, containerStatuses=creating)
    world.later(seconds=61)

    await world.settle()

    running = world.conditions()["Running"]
    assert running["reason"] == "WaitingForVolumes"
    assert "pod 'churn-worker-0-1-abcde' has waited" in running["message"]
    assert "the claim 'models': where that is not ReadWriteMany" in running["message"]


async def test_pods_that_the_job_takes_away_once_one_has_failed_are_no_problem() -> None:
    world = await several()
    world.progress.answer = Snapshot(phase="training", epoch=3, epochs=10)
    await world.settle()
    world.end_pod(index=1, code=1)
    world.remove_pod(index=0)
    world.later(minutes=5)
    job = world.job()
    target = {"type": "FailureTarget", "status": "True", "reason": "BackoffLimitExceeded"}
    job["status"]["conditions"] = [target]

    await world.settle()

    assert world.status()["phase"] == "Running"
    assert "Stalled" not in world.conditions()
