"""What goes of a training that has ended, and when; its record stays."""

from datetime import timedelta
from typing import Any

import pytest

from support.fake_cluster import Killed
from support.training import NAMESPACE, START, World, a_report, a_training_job
from trainyard_api.run_policy import RunPolicy
from trainyard_operator.cluster.kinds import CLAIM, CONFIG_MAP, JOB, NETWORK_POLICY, POD, SERVICE
from trainyard_operator.training.cleanup import scope, seconds_left


@pytest.mark.parametrize(
    ("policy", "after", "expected", "left"),
    [
        pytest.param({}, 9999, "Running", None, id="by default what still runs"),
        pytest.param({"cleanPods": "All"}, 0, "All", None, id="all pods"),
        pytest.param({"ttlAfterFinished": "1h"}, 3599, "Running", 1, id="not before its time"),
        pytest.param({"ttlAfterFinished": "1h"}, 3600, "Children", 0, id="all that was made, on time"),
        pytest.param(
            {"ttlAfterFinished": "1h", "cleanPods": "None"}, 3600, "Children", 0, id="pods that were kept too"
        ),
    ],
)
def test_what_is_to_be_gone(policy: dict[str, Any], after: int, expected: str, left: float | None) -> None:
    parsed, now = RunPolicy.model_validate(policy), START + timedelta(seconds=after)

    assert scope(parsed, ended=START, now=now) == expected
    assert seconds_left(parsed, ended=START, now=now) == left


async def finished(workers: int = 1, **policy: Any) -> World:
    """A world whose training has succeeded at its second attempt."""
    world = await World().put(a_training_job().with_worker(replicas=workers).with_run_policy(**policy)).running()
    world.fail(code=1)
    for index in range(1, workers):
        world.end_pod(index=index, code=1)
    await world.settle()
    await world.later(seconds=10).running(1)
    for index in range(1, workers):
        world.end_pod(1, index=index, code=0)
    world.succeed(1)
    await world.settle()
    return world


def children(world: World) -> list[str]:
    kinds = (JOB, POD, SERVICE, CONFIG_MAP, NETWORK_POLICY)
    names = [child["metadata"]["name"] for kind in kinds for child in world.cluster.peek(kind, NAMESPACE)]
    return [name for name in names if name != "rows"]


async def test_by_default_ended_pods_stay_for_their_logs() -> None:
    world = await finished()

    await world.later(hours=48).settle()

    assert world.jobs() == ["churn-worker-0", "churn-worker-1"]
    assert len(world.cluster.peek(POD, NAMESPACE)) == 2


async def test_all_pods_go_where_nobody_wants_their_logs() -> None:
    world = await finished(cleanPods="All")

    assert world.jobs() == []
    assert world.cluster.peek(POD, NAMESPACE) == []
    assert world.status()["phase"] == "Succeeded"


async def test_a_pod_beside_which_others_go_on_can_stay() -> None:
    world = await World().put(a_training_job().with_run_policy(cleanPods="None")).running()
    world.end_trainer(code=0, message=a_report())
    await world.later(seconds=10).settle()
    assert world.status()["phase"] == "Succeeded"

    assert world.jobs() == ["churn-worker-0"]


async def test_a_trainer_that_is_out_of_time_never_goes_on() -> None:
    world = await World().put(a_training_job().with_run_policy(cleanPods="None", activeDeadline="1h")).running()

    await world.later(hours=1).settle()

    assert world.status()["phase"] == "Failed"
    assert world.jobs() == []


@pytest.mark.parametrize("workers", [pytest.param(1, id="one worker"), pytest.param(2, id="two workers")])
async def test_after_its_time_only_the_record_is_left(workers: int) -> None:
    world = await finished(workers, ttlAfterFinished="1h")
    before = world.status()
    outcome = await world.later(seconds=3590).settle()
    assert outcome.requeue_after == 10
    assert len(children(world)) > 0

    await world.later(seconds=10).settle()

    assert children(world) == []
    assert world.status() == before
    assert before["model"]["uri"] == "pvc://models/churn/1"
    assert [claim["metadata"]["name"] for claim in world.cluster.peek(CLAIM, NAMESPACE)] == ["models"]


async def test_what_is_gone_does_not_come_back() -> None:
    world = await finished(ttlAfterFinished="1h")
    await world.later(hours=2).settle()

    world.update_spec(suspend=True)
    await world.restart().settle()
    world.update_spec(suspend=False, ttlAfterFinished=None)
    await world.later(hours=2).settle()

    assert children(world) == []
    assert world.status()["phase"] == "Succeeded"


async def test_a_time_that_is_set_later_counts_from_the_end() -> None:
    world = await finished()
    await world.later(hours=2).settle()

    world.update_spec(ttlAfterFinished="1h")
    await world.settle()

    assert children(world) == []


async def test_what_others_made_under_its_names_stays() -> None:
    world = await finished(ttlAfterFinished="1h")
    labels = {"trainyard.dev/training-job": "churn", "app.kubernetes.io/managed-by": "trainyard"}
    foreign = {"metadata": {"name": "churn-training", "namespace": NAMESPACE, "labels": labels}, "spec": {}}
    world.cluster.put(SERVICE, foreign)
    world.cluster.put(NETWORK_POLICY, foreign)

    await world.later(hours=1).settle()

    assert children(world) == ["churn-training", "churn-training"]


@pytest.mark.parametrize("lost", [pytest.param(False, id="before the call"), pytest.param(True, id="after the call")])
async def test_an_operator_killed_at_any_call_leaves_no_child_behind(lost: bool) -> None:
    killed = 0
    for number in range(20):
        world = await finished(2, ttlAfterFinished="1h")
        world.later(hours=1).cluster.calls.clear()
        world.cluster.fail_at, world.cluster.fail_after = (None, number) if lost else (number, None)
        try:
            await world.settle()
        except Killed:
            killed += 1
        world.cluster.fail_at = world.cluster.fail_after = None
        await world.restart().settle()
        assert children(world) == []
    assert killed > 3
