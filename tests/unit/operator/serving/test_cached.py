"""A ModelService seen through watches that lag, or lie: what serves goes on serving."""

import pytest

from support.serving import World, a_model_service, a_succeeded_job, a_world_serving
from support.watching import Watching
from trainyard_operator.cluster.errors import Unavailable
from trainyard_operator.cluster.kinds import CONFIG_MAP, DEPLOYMENT, POD, SERVICE, TRAINING_JOB, Kind


def watched(world: World) -> Watching:
    watching = Watching(world.cluster)
    world.port = watching.port
    return watching


async def test_at_rest_a_service_costs_no_call() -> None:
    world = await a_world_serving()
    watched(world)
    world.cluster.calls.clear()

    await world.reconcile()

    assert world.cluster.calls == []


async def test_a_service_that_waits_for_its_pods_costs_no_call() -> None:
    world = World().put(a_model_service())
    watching = watched(world)
    await world.settle()
    world.control()
    watching.tell()
    await world.settle()
    world.cluster.calls.clear()

    await world.later(minutes=1).reconcile()

    assert world.cluster.calls == []


@pytest.mark.parametrize("kind", [DEPLOYMENT, SERVICE, CONFIG_MAP, POD])
async def test_a_list_without_what_is_there_takes_nothing_from_what_serves(kind: Kind) -> None:
    world = await a_world_serving()
    serving, deployments = world.serving(), world.deployments()
    world.put_job(a_succeeded_job(2))
    watching = watched(world)
    watching.lie(kind)

    for _ in range(3):
        await world.reconcile()

    assert world.serving() == serving
    assert set(deployments) <= set(world.deployments())


async def test_not_even_an_empty_list_of_the_server_itself_takes_the_traffic_from_what_serves() -> None:
    world = await a_world_serving()
    serving, deployments = world.serving(), world.deployments()
    world.put_job(a_succeeded_job(2))
    watching = watched(world)
    for kind in (DEPLOYMENT, SERVICE):
        watching.lie(kind)
        for child in world.cluster.objects.values():
            if child["kind"] == kind.name:
                child["metadata"]["labels"].pop("app.kubernetes.io/managed-by", None)

    for _ in range(3):
        await world.reconcile()

    assert world.serving() == serving
    assert set(deployments) <= set(world.deployments())


async def test_what_cannot_be_seen_is_an_error_and_nothing_is_deleted() -> None:
    world = await a_world_serving()
    world.put_job(a_succeeded_job(2))
    watching = watched(world)
    watching.lie(DEPLOYMENT)
    serving = world.serving()
    world.cluster.fail_at, world.cluster.failure = len(world.cluster.calls), Unavailable("got '<html>'")

    with pytest.raises(Unavailable):
        await world.reconcile()

    assert world.serving() == serving
    assert [verb for verb, _ in world.cluster.writes if verb == "delete"] == []


async def test_a_new_version_takes_over_through_the_watches_too() -> None:
    world = await a_world_serving()
    watching = watched(world)
    world.put_job(a_succeeded_job(2))

    for _ in range(10):
        watching.tell()
        await world.reconcile()
        world.control()
        world.start_pods()

    assert world.status()["current"]["modelVersion"] == 2
    watching.lie(TRAINING_JOB)
    await world.reconcile()
    assert world.status()["current"]["modelVersion"] == 2
