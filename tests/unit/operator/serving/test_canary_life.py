"""The life of a canary: step by step to all requests, whatever happens on the way."""

import pytest

from support.serving import LABELS, NAMESPACE, ModelServiceBuilder, World, a_model_service, a_succeeded_job
from trainyard_operator.cluster.kinds import DEPLOYMENT, MODEL_SERVICE, POD, SERVICE, Kind

STEPPING = a_model_service().following(**LABELS).with_replicas(4).with_steps((20, "1m"), (50, "2m"))


async def a_canary(service: ModelServiceBuilder = STEPPING) -> World:
    """Version 1 serves on all replicas, and version 2 has reached its first step."""
    world = World().put(service).put_job(a_succeeded_job(1))
    await world.run()
    world.put_job(a_succeeded_job(2))
    await world.run()
    return world


async def test_the_first_version_takes_no_steps() -> None:
    world = World().put(STEPPING).put_job(a_succeeded_job(1))
    await world.run()

    assert world.status()["phase"] == "Ready"
    assert "canary" not in world.status()


async def test_a_canary_gets_nothing_before_its_pods_answer() -> None:
    world = World().put(STEPPING).put_job(a_succeeded_job(1))
    await world.run()
    world.put_job(a_succeeded_job(2))
    world.pods.silent = True
    await world.run()

    assert world.versions() == {1: 4}
    assert len(world.cluster.peek(POD)) == 5
    assert "canary" not in world.status()
    assert "0 of 1 pods of version 2 of churn answer" in world.message("Ready")


async def test_a_canary_goes_step_by_step_to_all_requests() -> None:
    world = await a_canary()

    assert world.versions() == {1: 4, 2: 1}
    canary = world.status()["canary"]
    assert (canary["step"], canary["weight"], canary["achieved"], canary["until"]) == (
        1,
        20,
        20,
        "2026-11-23T10:01:00Z",
    )
    assert world.condition("Ready") == ("False", "Canary")
    assert world.condition("Available") == ("True", "Answering")
    assert "version 2 of churn gets 20 % of the requests beside version 1 of churn" in world.message("Ready")

    outcome = await world.later(seconds=59).reconcile()
    assert outcome.requeue_after == 1
    assert world.versions() == {1: 4, 2: 1}

    await world.later(seconds=1).run()
    assert world.versions() == {1: 4, 2: 4}
    assert world.status()["canary"]["achieved"] == 50

    await world.later(seconds=120).run()
    assert world.versions() == {2: 4}
    assert world.status()["phase"] == "Ready"
    assert "canary" not in world.status()
    assert world.events()[-4:] == [
        "Normal RolloutStarted",
        "Normal CanaryStep",
        "Normal CanaryStep",
        "Normal RolledOut",
    ]

    await world.later(seconds=15).run()
    assert len(world.deployments()) == 1


async def test_the_canary_has_all_its_replicas_before_the_stable_revision_loses_one() -> None:
    world = await a_canary(STEPPING.with_steps((20, "1m")))
    world.later(seconds=60)

    for _ in range(3):
        await world.reconcile()
        assert world.versions()[1] == 4
        world.control()
    assert "1 of 4 pods answer, then it gets all" in world.message("Ready")
    await world.run()

    assert world.versions() == {2: 4}


async def test_a_step_of_all_requests_keeps_the_stable_revision_for_a_way_back() -> None:
    world = await a_canary(STEPPING.with_steps((100, "1m")))

    assert world.versions() == {2: 4}
    assert world.status()["canary"]["achieved"] == 100
    assert len(world.cluster.peek(POD)) == 8

    for pod in world.cluster.peek(POD):
        if pod["metadata"]["labels"]["trainyard.dev/model-version"] == "2":
            world.cluster.remove(POD, NAMESPACE, pod["metadata"]["name"])
    await world.reconcile()

    assert world.versions() == {1: 4}


async def test_a_newer_version_replaces_the_canary_and_never_shares_with_it() -> None:
    world = await a_canary()
    world.put_job(a_succeeded_job(3))

    seen = []
    for _ in range(10):
        await world.later(seconds=1).reconcile()
        seen.append(world.versions())
        world.control()
        seen.append(world.versions())
        world.start_pods()

    assert all(len(versions) == 1 or versions.keys() == {1, 3} for versions in seen)
    assert seen[-1] == {1: 4, 3: 1}
    assert world.status()["canary"]["modelVersion"] == 3


async def test_going_back_ends_a_canary_at_once() -> None:
    pinned = a_model_service().with_replicas(4).with_steps((20, "1m"))
    world = World().put(pinned)
    await world.run()
    await world.update(pinned.serving("pvc://models/churn/2")).run()
    assert world.versions() == {1: 4, 2: 1}

    await world.update(pinned).reconcile()

    assert world.versions() == {1: 4}
    await world.later(seconds=5).run()
    assert world.status()["phase"] == "Ready"
    assert len(world.deployments()) == 1


async def test_steps_taken_away_promote_the_canary() -> None:
    world = await a_canary()

    await world.update(STEPPING.with_rollout(steps=[])).run()

    assert world.versions() == {2: 4}


async def test_a_canary_follows_the_number_of_replicas() -> None:
    world = await a_canary()

    await world.update(STEPPING.with_replicas(8)).run()

    assert world.versions() == {1: 8, 2: 2}
    assert world.status()["replicas"] == 8


async def test_a_canary_takes_over_from_what_no_longer_answers() -> None:
    world = await a_canary()
    for pod in world.pods_of(f"churn-{world.status()['current']['revision']}"):
        world.cluster.set_status(POD, NAMESPACE, pod["metadata"]["name"], {"phase": "Pending"})

    await world.reconcile()

    assert world.versions() == {2: 1}
    assert world.status()["current"]["modelVersion"] == 2


@pytest.mark.parametrize("kind", [SERVICE, DEPLOYMENT])
async def test_what_somebody_deletes_in_a_canary_comes_back(kind: Kind) -> None:
    world = await a_canary()
    for child in world.cluster.peek(kind):
        if kind is SERVICE or child["metadata"]["name"].endswith(world.status()["canary"]["revision"]):
            world.cluster.remove(kind, NAMESPACE, child["metadata"]["name"])

    await world.run()

    assert world.versions() == {1: 4, 2: 1}


async def test_a_new_operator_tells_of_the_step_it_finds() -> None:
    world = await a_canary()
    assert world.cluster.events.pop()[2].reason == "CanaryStep"

    await world.restart().reconcile()

    assert world.events()[-1] == "Normal CanaryStep"


JUDGED = STEPPING.with_rollout(analysis={"maxErrorRate": 0.01, "minRequests": 50})


async def test_a_canary_that_errs_is_sent_back_at_once_and_not_tried_again() -> None:
    world = await a_canary(JUDGED)
    assert (await world.reconcile()).requeue_after == 10
    world.count(1, 1000).count(2, 40, 9)
    await world.later(seconds=10).reconcile()
    assert world.versions() == {1: 4, 2: 1}
    assert world.status()["canary"]["analysis"]["verdict"] == "NoTraffic"

    world.count(2, 40, 10)
    await world.later(seconds=10).reconcile()

    assert world.versions() == {1: 4}
    assert world.status()["phase"] == "Degraded"
    assert world.condition("Degraded") == ("True", "RolledBack")
    assert world.condition("Available") == ("True", "Answering")
    assert "at step 1 of 2: 10 of its 50 requests failed (20.00%), and 0 of 4000 (0.00%)" in world.message("Ready")
    assert "version 1 of churn keeps serving" in world.message("Ready")
    assert "canary" not in world.status()
    assert "next" not in world.status()
    assert world.events()[-1] == "Warning RolledBack"
    assert world.status()["history"][0]["outcome"] == "RolledBack"

    await world.later(seconds=5).run()
    assert len(world.deployments()) == 1
    calls = world.cluster.version
    await world.restart().later(hours=1).run()
    await world.update(JUDGED.with_replicas(5)).run()
    assert world.cluster.version > calls
    assert world.versions() == {1: 5}
    assert world.condition("Degraded") == ("True", "RolledBack")


async def test_a_canary_that_is_slow_is_sent_back_with_both_latencies() -> None:
    world = await a_canary(STEPPING.with_rollout(analysis={"maxLatencyIncrease": 0.5, "minRequests": 50}))
    await world.reconcile()

    world.count(1, 1000).count(2, 40, slow=10)
    await world.later(seconds=10).reconcile()

    assert world.versions() == {1: 4}
    assert world.condition("Degraded") == ("True", "RolledBack")
    assert "its p99 is " in world.message("Ready")
    assert "spec.rollout.analysis.maxLatencyIncrease is 0.5" in world.message("Ready")


async def a_rollback() -> World:
    world = await a_canary(JUDGED)
    await world.reconcile()
    await world.count(2, 40, 10).later(seconds=10).run()
    assert world.versions() == {1: 4}
    return world


async def test_a_newer_version_is_tried_after_a_rollback() -> None:
    world = await a_rollback()

    await world.later(seconds=5).put_job(a_succeeded_job(3)).run()

    assert world.versions() == {1: 4, 3: 1}
    assert "rolledBack" not in world.status()
    assert world.condition("Degraded") == ("False", "AsExpected")


async def test_another_rollout_tries_the_version_again() -> None:
    world = await a_rollback()

    await world.update(JUDGED.with_steps((50, "1m"))).run()

    assert world.versions() == {1: 4, 2: 4}


async def test_a_rollback_is_remembered_without_the_service_and_without_the_status() -> None:
    world = await a_rollback()
    world.cluster.remove(SERVICE, NAMESPACE, "churn")
    await world.run()
    assert world.versions() == {1: 4}

    world.cluster.set_status(MODEL_SERVICE, NAMESPACE, "churn", {})
    await world.restart().run()

    assert world.versions() == {1: 4}
    assert world.condition("Degraded") == ("True", "RolledBack")


async def test_a_canary_goes_on_when_its_numbers_are_good_and_waits_while_there_are_none() -> None:
    world = await a_canary(JUDGED)
    await world.later(seconds=300).run()
    assert world.versions() == {1: 4, 2: 1}
    assert "NoTraffic: 0 of at least 50 requests so far" in world.message("Ready")

    await world.count(1, 100).count(2, 100).later(seconds=10).run()

    assert world.versions() == {1: 4, 2: 4}


async def test_a_canary_without_traffic_goes_on_where_that_is_wanted() -> None:
    world = await a_canary(JUDGED.with_rollout(analysis={"maxErrorRate": 0.01, "onNoTraffic": "Promote"}))

    await world.later(seconds=60).run()

    assert world.versions() == {1: 4, 2: 4}


async def test_an_operator_that_starts_anew_in_a_step_counts_anew() -> None:
    world = await a_canary(JUDGED)
    await world.count(1, 100).count(2, 100).run()
    await world.restart().later(seconds=60).reconcile()

    assert world.status()["canary"]["analysis"]["verdict"] == "NoTraffic"
    assert world.versions() == {1: 4, 2: 1}
