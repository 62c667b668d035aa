"""The operator dies, or is refused, at any single call: the outcome is the same."""

from contextlib import suppress
from typing import Any

import pytest

from support.fake_cluster import Killed
from support.serving import LABELS, World, a_model_service, a_succeeded_job, a_world_serving
from trainyard_api.names import REVISION_LABEL
from trainyard_operator.cluster.errors import Unavailable
from trainyard_operator.cluster.kinds import CONFIG_MAP, POD, SERVICE

FOLLOWING = a_model_service().following(**LABELS)


def essence(world: World) -> dict[str, Any]:
    """What must come out the same, whoever died on the way."""
    return {
        "deployments": world.deployments(),
        "config maps": [each["metadata"]["name"] for each in world.cluster.peek(CONFIG_MAP)],
        "service": world.cluster.peek(SERVICE)[0]["spec"]["selector"],
        "current": world.status()["current"],
        "conditions": [(each["type"], each["status"], each["reason"]) for each in world.status()["conditions"]],
        "events": sorted(str(event) for _, _, event in world.cluster.events),
    }


async def a_life(world: World) -> World:
    """A first version, a second, a change of mind, a scaling and an end of the drain, killed once on the way."""
    world.put(FOLLOWING).put_job(a_succeeded_job(1))
    await world.run_and_die()
    world.put_job(a_succeeded_job(2))
    await world.run_and_die()
    world.update(FOLLOWING.with_replicas(2))
    await world.run_and_die()
    world.update(FOLLOWING.with_replicas(2).with_server(image="tensorflow/serving:2.20.1"))
    await world.run_and_die()
    await world.later(seconds=15).run_and_die()
    return world


@pytest.mark.parametrize("moment", ["fail_at", "fail_after"])
async def test_killed_at_any_call_the_life_of_a_service_ends_the_same(moment: str) -> None:
    undisturbed = await a_life(World())
    wanted, calls = essence(undisturbed), len(undisturbed.cluster.calls)
    assert len(wanted["deployments"]) == 1

    for number in range(calls):
        world = World()
        setattr(world.cluster, moment, number)
        await a_life(world)
        assert essence(world) == wanted, f"{moment} {undisturbed.cluster.calls[number]} (call {number})"


STEPPING = FOLLOWING.with_replicas(3).with_steps((25, "1m"), (100, "1m"))


async def a_canary_life(world: World) -> World:
    """Three versions: the second goes all the way, the third makes room for the fourth; killed once on the way."""
    world.put(STEPPING).put_job(a_succeeded_job(1))
    await world.run_and_die()
    world.put_job(a_succeeded_job(2))
    await world.run_and_die()
    assert world.versions() == {1: 3, 2: 1}
    await world.later(seconds=60).run_and_die()
    assert world.versions() == {2: 3}
    await world.later(seconds=60).run_and_die()
    await world.later(seconds=15).run_and_die()
    world.put_job(a_succeeded_job(3))
    await world.run_and_die()
    assert world.versions() == {2: 3, 3: 1}
    world.put_job(a_succeeded_job(4))
    await world.run_and_die()
    assert world.versions() == {2: 3, 4: 1}
    return world


JUDGED = FOLLOWING.with_replicas(2).with_steps((50, "1m")).with_rollout(analysis={"maxErrorRate": 0.01})


async def a_rollback_life(world: World) -> World:
    """The second version is a canary that errs, and the third takes over; killed once on the way."""
    world.put(JUDGED).put_job(a_succeeded_job(1))
    await world.run_and_die()
    world.put_job(a_succeeded_job(2))
    await world.run_and_die()
    assert world.versions() == {1: 2, 2: 2}
    await world.count(2, 10, 90).later(seconds=10).run_and_die()
    if world.versions() != {1: 2}:  # it died before it had counted: the next operator counts anew
        await world.count(2, 100, 180).later(seconds=10).run_and_die()
    assert world.versions() == {1: 2}
    assert world.condition("Degraded") == ("True", "RolledBack")
    await world.later(seconds=600).run_and_die()
    assert world.versions() == {1: 2}
    world.put_job(a_succeeded_job(3))
    await world.run_and_die()
    await world.count(3, 100).count(1, 100).later(seconds=60).run_and_die()
    if world.versions() != {3: 2}:
        await world.count(3, 200).later(seconds=60).run_and_die()
    assert world.versions() == {3: 2}
    await world.later(seconds=15).run_and_die()
    return world


@pytest.mark.parametrize("moment", ["fail_at", "fail_after"])
async def test_killed_at_any_call_a_canary_that_errs_is_sent_back_once(moment: str) -> None:
    undisturbed = await a_rollback_life(World())
    calls = len(undisturbed.cluster.calls)

    # Every other call of each kind: a call that is lost and one whose answer is lost differ in little.
    for number in range(moment == "fail_after", calls, 2):
        world = World()
        setattr(world.cluster, moment, number)
        await a_rollback_life(world)
        assert world.deployments() == undisturbed.deployments(), number
        outcomes = [(entry["modelVersion"], entry["outcome"]) for entry in world.status()["history"]]
        assert outcomes == [(3, "Promoted"), (2, "RolledBack"), (1, "Superseded")], number


@pytest.mark.parametrize("moment", ["fail_at", "fail_after"])
async def test_killed_at_any_call_the_life_of_a_canary_ends_the_same(moment: str) -> None:
    undisturbed = await a_canary_life(World())
    wanted, calls = essence(undisturbed), len(undisturbed.cluster.calls)
    assert len(wanted["deployments"]) == 2

    for number in range(moment == "fail_after", calls, 2):
        world = World()
        setattr(world.cluster, moment, number)
        await a_canary_life(world)
        assert essence(world) == wanted, f"{moment} {undisturbed.cluster.calls[number]} (call {number})"


async def test_killed_at_any_call_of_a_rollout_something_always_answers() -> None:
    undisturbed = await a_world_serving()
    undisturbed.cluster.calls.clear()
    undisturbed.put_job(a_succeeded_job(2))
    await undisturbed.run()

    for number in range(len(undisturbed.cluster.calls)):
        world = await a_world_serving()
        world.put_job(a_succeeded_job(2))
        world.cluster.calls.clear()
        world.cluster.fail_at = number
        for _ in range(4):
            try:
                await world.reconcile()
            except Killed:
                world.cluster.fail_at = None
            assert any(
                pod["metadata"]["labels"][REVISION_LABEL] == world.serving() and pod["status"].get("podIP")
                for pod in world.cluster.peek(POD)
            )
            world.control()
            world.start_pods()
        assert world.status()["current"]["modelVersion"] == 2


async def test_an_error_of_the_api_server_at_any_call_of_a_rollout_is_overcome() -> None:
    undisturbed = await a_world_serving()
    undisturbed.cluster.calls.clear()
    undisturbed.put_job(a_succeeded_job(2))
    await undisturbed.run()

    for number in range(len(undisturbed.cluster.calls)):
        world = await a_world_serving()
        world.put_job(a_succeeded_job(2))
        world.cluster.calls.clear()
        world.cluster.fail_at, world.cluster.failure = number, Unavailable("busy")
        with suppress(Unavailable):
            await world.run()
        world.cluster.fail_at = None
        await world.run()
        assert essence(world) == essence(undisturbed)
