"""Rollouts where the cluster is full: who makes room, and who waits."""

import pytest

from support.serving import LABELS, ModelServiceBuilder, World, a_model_service, a_succeeded_job
from trainyard_api.rollout import Rollout
from trainyard_operator.cluster.kinds import DEPLOYMENT
from trainyard_operator.serving.room import Update, read_progress

GPU = a_model_service().following(**LABELS).with_server(gpus=1)


@pytest.mark.parametrize(
    ("spec", "replicas", "floor"),
    [
        pytest.param({}, 3, 2, id="one may be missing"),
        pytest.param({}, 1, 1, id="never the only one"),
        pytest.param({"allowUnavailable": True}, 1, 0, id="but where that is allowed"),
        pytest.param({"allowUnavailable": True}, 3, 2, id="which is no reason to stop more"),
        pytest.param({"minAvailable": 1}, 3, 1, id="fewer where that is said"),
        pytest.param({"minAvailable": 0}, 3, 1, id="but one at least"),
        pytest.param({"minAvailable": 0, "allowUnavailable": True}, 3, 0, id="or none"),
    ],
)
def test_how_many_answer_at_least(spec: dict[str, object], replicas: int, floor: int) -> None:
    assert Update.of(Rollout.model_validate(spec), replicas).floor == floor


@pytest.mark.parametrize(
    "text", [None, "", "1", '{"revision": "a", "since": "soon"}', '{"revision": "a", "yielded": 2}']
)
def test_a_progress_that_nobody_can_read_is_none(text: str | None) -> None:
    assert read_progress(text) is None


async def a_full_cluster(service: ModelServiceBuilder, room: int) -> World:
    """Version 1 serves on all there is, and version 2 comes."""
    world = World(room=room).put(service).put_job(a_succeeded_job(1))
    await world.run()
    assert world.versions() == {1: room}
    await world.put_job(a_succeeded_job(2)).run()
    assert world.versions() == {1: room}
    return world


async def watch(world: World, *, seconds: int = 200) -> list[dict[int, int]]:
    """Let time pass; return whom requests went to, each time that changed."""
    seen = [world.versions()]
    for _ in range(seconds // 5):
        await world.later(seconds=5).reconcile()
        for _ in range(2):
            if world.versions() != seen[-1]:
                seen.append(world.versions())
            world.control()
        world.start_pods()
        if world.versions() != seen[-1]:
            seen.append(world.versions())
    return seen


async def test_old_pods_make_room_one_at_a_time_and_no_more_than_one_is_missed() -> None:
    world = await a_full_cluster(GPU.with_replicas(3), 3)
    assert world.condition("Degraded") == ("True", "InsufficientGPU")

    seen = await watch(world)

    assert min(sum(versions.values()) for versions in seen) == 2
    assert seen[-1] == {2: 3}
    assert {1: 2, 2: 1} in seen
    assert world.status()["phase"] == "Ready"


async def test_making_room_is_progress_and_no_fault() -> None:
    world = await a_full_cluster(GPU.with_replicas(3), 3)

    await world.later(seconds=15).reconcile()
    world.control()
    await world.reconcile()

    assert world.condition("Degraded") == ("False", "AsExpected")
    assert world.condition("Progressing") == ("True", "InsufficientGPU")
    assert "1 of 3 old pods have made room so far" in world.message("Ready")


async def test_a_short_shortage_takes_nothing_away() -> None:
    world = await a_full_cluster(GPU.with_replicas(2), 2)

    await world.later(seconds=14).reconcile()

    world.control()
    assert world.versions() == {1: 2}


async def test_a_single_replica_makes_no_room_unless_that_is_allowed_and_says_so() -> None:
    world = await a_full_cluster(GPU, 1)

    assert (await watch(world)) == [{1: 1}]
    assert world.condition("Degraded") == ("True", "InsufficientGPU")
    assert "set spec.rollout.allowUnavailable to true" in world.message("Ready")

    await world.update(GPU.with_rollout(allowUnavailable=True)).run()
    assert (await watch(world))[-1] == {2: 1}


async def test_surge_waits_and_says_what_holds_what_is_missing() -> None:
    world = await a_full_cluster(GPU.with_replicas(2).with_rollout(update="Surge"), 2)

    assert (await watch(world)) == [{1: 2}]
    assert world.condition("Degraded") == ("True", "InsufficientGPU")
    assert "The 2 pods of revision" in world.message("Ready")
    assert "hold 2 nvidia.com/gpu" in world.message("Ready")
    assert "set spec.rollout.update to Auto" in world.message("Ready")

    world.room = 4
    assert (await watch(world))[-1] == {2: 2}


async def test_a_quota_that_is_used_up_is_said_and_made_room_for() -> None:
    world = await a_full_cluster(GPU.with_replicas(2), 2)
    (new,) = (one for one in world.deployments() if not one.endswith(world.status()["current"]["revision"]))
    failure = {
        "type": "ReplicaFailure",
        "status": "True",
        "message": "exceeded quota: gpus",
        "lastTransitionTime": "2026-11-23T10:00:00Z",
    }
    for pod in world.pods_of(new):
        world.cluster.objects.pop(("pods", "team", pod["metadata"]["name"]))
    world.cluster.set_status(DEPLOYMENT, "team", new, {"conditions": [failure]})
    await world.reconcile()
    assert world.condition("Degraded") == ("True", "QuotaExceeded")

    await world.later(seconds=15).reconcile()

    world.control()
    assert world.versions() == {1: 1}


async def test_a_canary_finds_room_too() -> None:
    world = await a_full_cluster(GPU.with_replicas(3).with_steps((25, "1m")), 3)

    seen = await watch(world, seconds=400)

    assert min(sum(versions.values()) for versions in seen) == 2
    assert seen[-1] == {2: 3}


async def test_recreate_stops_the_old_pods_first() -> None:
    world = await a_full_cluster(GPU.with_replicas(2), 2)

    await world.update(GPU.with_replicas(2).with_rollout(update="Recreate", allowUnavailable=True)).run()

    assert world.versions() == {2: 2}
    assert world.status()["phase"] == "Ready"


async def test_going_back_gives_the_old_revision_all_its_pods_again() -> None:
    pinned = a_model_service().with_server(gpus=1).with_replicas(3)
    world = World(room=3).put(pinned)
    await world.run()
    await world.update(pinned.serving("pvc://models/churn/2")).run()
    await world.later(seconds=15).reconcile()
    world.control()
    world.start_pods()
    await world.reconcile()
    assert world.versions() == {1: 2, 2: 1}

    await world.update(pinned).run()
    await world.later(seconds=5).run()

    assert world.versions() == {1: 3}
    assert len(world.deployments()) == 1


async def test_what_takes_too_long_is_sent_back_with_what_it_waited_for() -> None:
    world = await a_full_cluster(GPU.with_replicas(2).with_rollout(update="Surge", progressDeadline="10m"), 2)
    await world.later(seconds=599).run()
    assert world.condition("Degraded") == ("True", "InsufficientGPU")

    await world.later(seconds=1).run()

    assert world.condition("Degraded") == ("True", "RolledBack")
    assert "did not answer within 0:10:00 (spec.rollout.progressDeadline): no node can take" in world.message("Ready")
    assert world.versions() == {1: 2}
    assert len(world.deployments()) == 1


async def test_a_paused_rollout_takes_nothing_away_and_has_no_deadline() -> None:
    world = await a_full_cluster(GPU.with_replicas(2).with_rollout(progressDeadline="10m"), 2)

    await world.order("pause").reconcile()

    assert (await watch(world, seconds=900)) == [{1: 2}]
    assert world.condition("Degraded")[1] == "InsufficientGPU"


async def test_more_replicas_in_the_middle_of_making_room_are_brought_up() -> None:
    world = await a_full_cluster(GPU.with_replicas(3), 3)
    await world.later(seconds=15).run()
    world.room = 20

    await world.update(GPU.with_replicas(5)).run()

    assert world.versions() == {2: 5}


@pytest.mark.exhaustive
@pytest.mark.parametrize("moment", ["fail_at", "fail_after"])
async def test_killed_at_any_call_no_more_than_one_is_missed(moment: str) -> None:
    begin = await a_full_cluster(GPU.with_replicas(2), 2)
    begin.cluster.calls.clear()
    undisturbed = begin.fork()
    assert (await watch(undisturbed, seconds=60))[-1] == {2: 2}
    calls = len(undisturbed.cluster.calls)

    for number in range(moment == "fail_after", calls, 4):
        world = begin.fork()
        setattr(world.cluster, moment, number)
        for _ in range(16):
            await world.later(seconds=5).reconcile_or_die()
            assert sum(world.versions().values()) >= 1
            world.control()
            assert sum(world.versions().values()) >= 1
            world.start_pods()
        assert world.versions() == {2: 2}, number
