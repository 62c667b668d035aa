"""A new operator tells of the status it finds, in case the one before died first: no old news, and nothing untrue."""

from support.serving import LABELS, NAMESPACE, World, a_model_service, a_world_serving
from trainyard_operator.cluster.kinds import POD

FOLLOWING = a_model_service().following(**LABELS)


async def test_what_the_operator_before_did_not_come_to_tell_is_told() -> None:
    world = await a_world_serving()
    assert world.cluster.events.pop()[2].reason == "RolledOut"

    await world.restart().reconcile()
    await world.reconcile()

    assert world.events() == ["Normal RolloutStarted", "Normal RolledOut"]


async def test_an_outage_and_its_end_are_told_by_the_next_operator() -> None:
    world = await a_world_serving()
    world.later(minutes=1)
    for pod in world.cluster.peek(POD):
        world.cluster.remove(POD, NAMESPACE, pod["metadata"]["name"])
    await world.reconcile()
    assert world.cluster.events.pop()[2].reason == "Unavailable"

    await world.restart().reconcile()

    assert world.events()[-1] == "Warning Unavailable"
    await world.later(minutes=1).run()
    assert world.cluster.events.pop()[2].reason == "Available"

    await world.restart().reconcile()

    assert world.events()[-1] == "Normal Available"


async def test_what_comes_back_from_a_stop_is_no_outage() -> None:
    world = await a_world_serving()
    await world.later(minutes=1).update(FOLLOWING.with_replicas(0)).run()
    assert world.cluster.events.pop()[2].reason == "Stopped"
    await world.restart().reconcile()
    assert world.events()[-1] == "Normal Stopped"
    await world.later(minutes=1).update(FOLLOWING).reconcile()
    told = world.events()

    await world.restart().reconcile()

    assert world.events() == told


async def test_what_an_api_server_would_have_forgotten_is_not_told_again() -> None:
    world = await a_world_serving()
    world.cluster.events.clear()

    await world.restart().later(minutes=61).reconcile()

    assert world.events() == []


async def test_what_is_in_the_way_is_told_again_however_old_it_is() -> None:
    world = World().put(FOLLOWING)
    await world.settle()
    world.cluster.events.clear()

    await world.restart().later(days=2).reconcile()

    assert world.events() == ["Warning NoTrainingJob"]
