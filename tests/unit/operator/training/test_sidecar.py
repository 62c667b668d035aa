"""A container beside the trainer that never ends keeps neither the end of the training nor its GPUs."""

import pytest

from support.fake_cluster import Killed
from support.training import NAMESPACE, World, a_report, a_training_job
from trainyard_operator.cluster.kinds import JOB, POD


async def a_world(workers: int = 1, **policy: int) -> World:
    return await World().put(a_training_job().with_worker(replicas=workers).with_run_policy(**policy)).running()


@pytest.mark.parametrize("workers", [pytest.param(1, id="one worker"), pytest.param(3, id="three workers")])
async def test_the_end_of_the_trainers_is_the_end_of_the_training(workers: int) -> None:
    world = await a_world(workers)
    for index in range(workers):
        world.end_trainer(code=0, message=a_report() if index == 0 else "", index=index)

    await world.later(seconds=10).settle()

    assert world.status()["phase"] == "Succeeded"
    assert world.status()["model"]["uri"] == "pvc://models/churn/1"
    assert world.jobs() == []
    assert world.cluster.peek(POD, NAMESPACE) == []


async def test_other_containers_have_a_moment_to_end_by_themselves() -> None:
    world = await a_world()
    world.end_trainer(code=0, message=a_report())

    outcome = await world.later(seconds=9).settle()

    assert outcome.requeue_after == 10.0
    assert world.jobs() == ["churn-worker-0"]
    assert "completionTime" not in world.status()


async def test_a_success_waits_for_all_workers() -> None:
    world = await a_world(2)
    world.end_trainer(code=0, message=a_report(), index=0)

    await world.later(minutes=5).settle()

    assert "completionTime" not in world.status()
    assert world.jobs() == ["churn-worker-0"]


@pytest.mark.parametrize("workers", [pytest.param(1, id="one worker"), pytest.param(2, id="two workers")])
@pytest.mark.parametrize(
    ("code", "outcome", "phase"),
    [
        pytest.param(2, "Failed", "Failed", id="bad input is final"),
        pytest.param(3, "Failed", "Failed", id="divergence is final"),
        pytest.param(75, "Stopped", "Starting", id="a stop is followed by another attempt"),
        pytest.param(1, "Failed", "Starting", id="a crash is followed by another attempt"),
    ],
)
async def test_exit_codes_mean_the_same_beside_a_sidecar(workers: int, code: int, outcome: str, phase: str) -> None:
    world = await a_world(workers)
    world.end_trainer(code=code, message="why", index=workers - 1)

    await world.later(seconds=10).settle()
    await world.later(seconds=10).settle()

    attempt = world.status()["attempts"][0]
    assert (attempt["outcome"], attempt["exitCode"]) == (outcome, code)
    assert world.status()["phase"] == phase
    assert world.jobs() == ([] if phase == "Failed" else ["churn-worker-1"])
    assert len(world.status()["attempts"]) == (1 if phase == "Failed" else 2)


@pytest.mark.parametrize("code", [0, 1, 2])
@pytest.mark.parametrize("lost", [pytest.param(False, id="before the call"), pytest.param(True, id="after the call")])
async def test_an_operator_killed_at_any_call_ends_the_pods_all_the_same(code: int, lost: bool) -> None:
    for number in range(80):
        world = await a_world()
        world.end_trainer(code=code, message=a_report() if code == 0 else "boom")
        world.later(seconds=10).cluster.calls.clear()
        world.cluster.fail_at, world.cluster.fail_after = (None, number) if lost else (number, None)
        try:
            await world.settle()
            killed = False
        except Killed:
            killed = True
        world.cluster.fail_at = world.cluster.fail_after = None
        await world.restart().settle()
        await world.later(seconds=10).settle()

        assert world.status()["attempts"][0]["outcome"] == ("Succeeded" if code == 0 else "Failed")
        assert [job["metadata"]["name"] for job in world.cluster.peek(JOB)] == (["churn-worker-1"] if code == 1 else [])
        if not killed:
            return
    raise AssertionError("the operator needs more calls than were tried")
