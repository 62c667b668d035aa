"""A TrainingJob seen through watches that lag, or lie: nothing runs twice, and no result is lost."""

from dataclasses import replace

import pytest

from support.training import NAMESPACE, World, a_training_job
from support.watching import Watching
from trainyard_operator.cluster.errors import Unavailable
from trainyard_operator.cluster.kinds import CONFIG_MAP, JOB, POD, SERVICE, TRAINING_JOB


def watched(world: World) -> Watching:
    watching = Watching(world.cluster)
    world.reconciler = replace(world.reconciler, cluster=watching.port)
    return watching


async def test_up_to_its_pod_a_job_costs_three_calls() -> None:
    world = World().put(a_training_job())
    watched(world)
    await world.reconciler.profiles.choose(world.cluster, None, world.now)  # as for any job of the last seconds
    world.cluster.calls.clear()

    await world.reconcile()

    calls = world.cluster.calls
    assert calls[: calls.index(("create", "jobs")) + 1] == [
        ("get", "configmaps"),  # its input
        ("create", "configmaps"),
        ("create", "jobs"),
    ]


@pytest.mark.parametrize("stage", ["unschedulable", "running"])
async def test_at_rest_a_job_costs_no_call(stage: str) -> None:
    world = World().put(a_training_job())
    watching = watched(world)
    await world.settle()
    world.create_pod()
    if stage == "running":
        world.run_pod()
    watching.tell()
    await world.later(minutes=5).settle()  # a trainer that nobody hears of is told
    world.cluster.calls.clear()

    for _ in range(3):
        await world.reconcile()

    assert world.cluster.calls == []


async def test_the_end_of_a_job_that_is_known_before_that_of_its_pod_loses_no_result() -> None:
    world = await World().put(a_training_job()).running()
    watching = watched(world)
    world.succeed()
    watching.tell(JOB)

    await world.settle()

    assert world.status()["phase"] == "Succeeded"
    assert world.status()["model"]["version"] == 1


@pytest.mark.parametrize("kind", [JOB, POD, SERVICE, CONFIG_MAP])
@pytest.mark.parametrize("replicas", [1, 2])
async def test_a_list_without_what_is_there_starts_nothing(kind: object, replicas: int) -> None:
    world = await World().put(a_training_job().with_worker(replicas=replicas)).running()
    watching = watched(world)
    watching.lie(kind)  # type: ignore[arg-type]

    await world.reconcile()
    await world.later(minutes=1).reconcile()

    assert world.jobs() == ["churn-worker-0"]
    assert [attempt["outcome"] for attempt in world.status()["attempts"]] == ["Running"]


async def test_not_even_an_empty_list_of_the_server_itself_starts_a_second_trainer() -> None:
    world = await World().put(a_training_job()).running()
    watched(world).lie(JOB)
    world.cluster.objects["jobs", NAMESPACE, "churn-worker-0"]["metadata"]["labels"] = {}

    for _ in range(3):
        await world.later(minutes=1).reconcile()

    assert world.jobs() == ["churn-worker-0"]
    assert [attempt["outcome"] for attempt in world.status()["attempts"]] == ["Running"]


async def test_a_job_that_cannot_be_seen_is_an_error_and_not_gone() -> None:
    world = await World().put(a_training_job()).running()
    watching = watched(world)
    watching.lie(JOB)
    world.cluster.fail_at, world.cluster.failure = len(world.cluster.calls), Unavailable("got '<html>'")
    before = world.status()

    with pytest.raises(Unavailable):
        await world.reconcile()

    assert world.status() == before
    assert world.jobs() == ["churn-worker-0"]


async def test_a_job_that_is_really_gone_is_noticed_and_started_again() -> None:
    world = await World().put(a_training_job()).running()
    watching = watched(world)
    world.cluster.remove(JOB, NAMESPACE, "churn-worker-0")
    watching.tell()

    await world.settle()
    await world.later(minutes=1).settle()

    assert world.jobs() == ["churn-worker-1"]


async def test_a_resource_that_was_deleted_behind_the_watch_gets_nothing_new() -> None:
    world = await World().put(a_training_job()).running()
    watched(world)
    world.cluster.remove(TRAINING_JOB, NAMESPACE, "churn")

    await world.reconcile()

    assert world.jobs() == []
