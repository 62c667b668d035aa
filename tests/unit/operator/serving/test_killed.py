"""The operator dies, or is refused, at any single call: the outcome is the same."""

from contextlib import suppress
from typing import Any

import pytest

from support.deaths import Change, Moment, every_death
from support.fake_cluster import Killed
from support.serving import LABELS, World, a_model_service, a_succeeded_job, a_world_serving
from trainyard_api.names import REVISION_LABEL
from trainyard_operator.cluster.errors import Unavailable
from trainyard_operator.cluster.kinds import CONFIG_MAP, POD, SERVICE

pytestmark = pytest.mark.exhaustive

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


def see(versions: dict[int, int]) -> Change[World]:
    """The Service sends requests to so many pods of these versions."""

    def see(world: World) -> None:
        assert world.versions() == versions

    return see


LIFE: list[Change[World]] = [
    lambda world: world.put(FOLLOWING).put_job(a_succeeded_job(1)),
    lambda world: world.put_job(a_succeeded_job(2)),
    lambda world: world.update(FOLLOWING.with_replicas(2)),
    lambda world: world.update(FOLLOWING.with_replicas(2).with_server(image="tensorflow/serving:2.20.1")),
    lambda world: world.later(seconds=15),
]
"""A first version, a second, a change of mind, a scaling and an end of the drain."""


@pytest.mark.parametrize("moment", ["fail_at", "fail_after"])
async def test_killed_at_any_call_the_life_of_a_service_ends_the_same(moment: Moment) -> None:
    undisturbed, deaths = World(), 0

    async for death, world in every_death(undisturbed, LIFE, moment):
        assert essence(world) == essence(undisturbed), death
        deaths += 1
    assert deaths == len(undisturbed.cluster.calls) > 100
    assert len(undisturbed.deployments()) == 1


STEPPING = FOLLOWING.with_replicas(3).with_steps((25, "1m"), (100, "1m"))
CANARY_LIFE: list[Change[World]] = [
    lambda world: world.put(STEPPING).put_job(a_succeeded_job(1)),
    lambda world: world.put_job(a_succeeded_job(2)),
    see({1: 3, 2: 1}),
    lambda world: world.later(seconds=60),
    see({2: 3}),
    lambda world: world.later(seconds=60),
    lambda world: world.later(seconds=15),
    lambda world: world.put_job(a_succeeded_job(3)),
    see({2: 3, 3: 1}),
    lambda world: world.put_job(a_succeeded_job(4)),
    lambda world: world.later(seconds=5),  # a canary without a share stays until gateways have followed
    see({2: 3, 4: 1}),
]
"""The second of four versions goes all the way, the third makes room for the fourth."""


@pytest.mark.parametrize("moment", ["fail_at", "fail_after"])
async def test_killed_at_any_call_the_life_of_a_canary_ends_the_same(moment: Moment) -> None:
    undisturbed, deaths = World(), 0

    async for death, world in every_death(undisturbed, CANARY_LIFE, moment):
        assert essence(world) == essence(undisturbed), death
        deaths += 1
    assert deaths == len(undisturbed.cluster.calls) > 100
    assert len(undisturbed.deployments()) == 2


JUDGED = FOLLOWING.with_replicas(2).with_steps((50, "1m")).with_rollout(analysis={"maxErrorRate": 0.01})


def count_errors_anew(world: World) -> None:
    """An operator that died before it had counted counts anew."""
    if world.versions() != {1: 2}:
        world.count(2, 100, 180).later(seconds=10)


def count_answers_anew(world: World) -> None:
    if world.versions() != {3: 2}:
        world.count(3, 200).later(seconds=60)


def see_the_rollback(world: World) -> None:
    assert world.versions() == {1: 2}
    assert world.condition("Degraded") == ("True", "RolledBack")


ROLLBACK_LIFE: list[Change[World]] = [
    lambda world: world.put(JUDGED).put_job(a_succeeded_job(1)),
    lambda world: world.put_job(a_succeeded_job(2)),
    see({1: 2, 2: 2}),
    lambda world: world.count(2, 10, 90).later(seconds=10),
    count_errors_anew,
    see_the_rollback,
    lambda world: world.later(seconds=600),
    see({1: 2}),
    lambda world: world.put_job(a_succeeded_job(3)),
    lambda world: world.count(3, 100).count(1, 100).later(seconds=60),
    count_answers_anew,
    see({3: 2}),
    lambda world: world.later(seconds=15),
]
"""The second version is a canary that errs, and the third takes over."""


@pytest.mark.parametrize("moment", ["fail_at", "fail_after"])
async def test_killed_at_any_call_a_canary_that_errs_is_sent_back_once(moment: Moment) -> None:
    undisturbed, deaths = World(), 0

    async for death, world in every_death(undisturbed, ROLLBACK_LIFE, moment):
        assert world.deployments() == undisturbed.deployments(), death
        outcomes = [(entry["modelVersion"], entry["outcome"]) for entry in world.status()["history"]]
        assert outcomes == [(3, "Promoted"), (2, "RolledBack"), (1, "Superseded")], death
        deaths += 1
    assert deaths == len(undisturbed.cluster.calls) > 100


async def test_killed_at_any_call_of_a_rollout_something_always_answers() -> None:
    begin = (await a_world_serving()).put_job(a_succeeded_job(2))
    begin.cluster.calls.clear()
    undisturbed = begin.fork()
    await undisturbed.run()
    assert len(undisturbed.cluster.calls) > 20

    for number in range(len(undisturbed.cluster.calls)):
        world = begin.fork()
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
    begin = (await a_world_serving()).put_job(a_succeeded_job(2))
    begin.cluster.calls.clear()
    undisturbed = begin.fork()
    await undisturbed.run()
    assert len(undisturbed.cluster.calls) > 20

    for number in range(len(undisturbed.cluster.calls)):
        world = begin.fork()
        world.cluster.fail_at, world.cluster.failure = number, Unavailable("busy")
        with suppress(Unavailable):
            await world.run()
        world.cluster.fail_at = None
        await world.run()
        assert essence(world) == essence(undisturbed)
