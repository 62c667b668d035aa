"""What serves goes on serving when its TrainingJob is deleted, whatever its model is called and wherever it lies."""

import pytest

from support.serving import LABELS, NAMESPACE, World, a_model_service, a_succeeded_job
from trainyard_operator.cluster.kinds import DEPLOYMENT, MODEL_SERVICE, TRAINING_JOB
from trainyard_operator.cluster.port import Manifest

OLDER, NEWER, NEWEST = (f"2026-11-23T09:0{minute}:00Z" for minute in (1, 2, 3))


def a_job(name: str, uri: str, completed: str) -> Manifest:
    job = a_succeeded_job(int(uri.rsplit("/", 1)[1]), name=name, completed=completed)
    job["status"]["model"] |= {"uri": uri, "name": uri.split("/")[-2], "digest": f"sha256:{abs(hash(uri)):064x}"}
    return job


KINDS = [
    pytest.param("pvc://models/churn-1/1", "pvc://models/churn-2/1", id="other model"),
    pytest.param("pvc://models/churn/7", "pvc://models/churn-2/1", id="other model with a smaller number"),
    pytest.param("pvc://models/churn/7", "pvc://other/churn/1", id="other claim"),
    pytest.param("pvc://models/churn/7", "s3://bucket/churn/1", id="other store"),
    pytest.param("pvc://models/churn/7", "pvc://models/churn/1", id="numbers that began again"),
    pytest.param("pvc://models/churn/1", "pvc://models/churn/2", id="the next version"),
]


async def a_world(old: str, new: str) -> World:
    world = World().put(a_model_service().following(**LABELS)).put_job(a_job("churn-1", old, OLDER))
    await world.run()
    assert world.status()["current"]["uri"] == old
    return world.put_job(a_job("churn-2", new, NEWER))


@pytest.mark.parametrize(("old", "new"), KINDS)
@pytest.mark.parametrize("moment", ["served", "draining", "staging"])
async def test_a_deleted_job_does_not_roll_its_service_back(old: str, new: str, moment: str) -> None:
    world = await a_world(old, new)
    if moment == "staging":
        await world.reconcile()
    else:
        await world.run()
    if moment == "served":
        await world.later(minutes=1).run()

    world.cluster.remove(TRAINING_JOB, NAMESPACE, "churn-2")
    await world.run()
    await world.later(minutes=1).run()

    assert world.status()["current"]["uri"] == new
    assert world.status()["phase"] == "Ready"
    assert len(world.deployments()) == 1


async def test_a_job_that_was_completed_later_takes_over_all_the_same() -> None:
    world = await a_world("pvc://models/churn/7", "pvc://models/churn-2/1")
    await world.run()
    world.cluster.remove(TRAINING_JOB, NAMESPACE, "churn-2")
    await world.run()

    world.put_job(a_job("churn-3", "pvc://models/churn-3/1", NEWEST))
    await world.run()

    assert world.status()["current"]["uri"] == "pvc://models/churn-3/1"


async def test_another_selector_is_obeyed_also_after_the_job_is_gone() -> None:
    world = await a_world("pvc://models/churn/7", "pvc://models/churn-2/1")
    await world.run()
    world.cluster.remove(TRAINING_JOB, NAMESPACE, "churn-2")
    await world.run()

    other = a_job("fraud", "pvc://models/fraud/1", OLDER)
    other["metadata"]["labels"] = {"model": "fraud"}
    world.put_job(other).update(a_model_service().following(model="fraud"))
    await world.run()

    assert world.status()["current"]["uri"] == "pvc://models/fraud/1"


async def test_what_serves_is_known_without_a_status_too() -> None:
    world = await a_world("pvc://models/churn/7", "pvc://models/churn-2/1")
    await world.run()
    world.cluster.remove(TRAINING_JOB, NAMESPACE, "churn-2")
    world.cluster.set_status(MODEL_SERVICE, NAMESPACE, "churn", {})

    await world.run()

    assert world.status()["current"]["uri"] == "pvc://models/churn-2/1"


async def test_a_status_of_an_older_operator_goes_by_the_time_of_the_rollout() -> None:
    world = await a_world("pvc://models/churn/7", "pvc://models/churn-2/1")
    await world.run()
    status = world.status()
    for field in ("trained", "selector", "trainingJobUid", "model"):
        status["current"].pop(field, None)
    for deployment in world.cluster.peek(DEPLOYMENT, NAMESPACE):
        deployment["metadata"]["annotations"].pop("trainyard.dev/trained", None)
        world.cluster.put(DEPLOYMENT, deployment)
    world.cluster.set_status(MODEL_SERVICE, NAMESPACE, "churn", status)

    world.cluster.remove(TRAINING_JOB, NAMESPACE, "churn-2")
    await world.run()

    assert world.status()["current"]["uri"] == "pvc://models/churn-2/1"


async def test_the_status_says_which_model_serves() -> None:
    world = await a_world("pvc://models/churn-1/1", "pvc://models/churn-2/1")
    await world.reconcile()

    assert "version 1 of churn-1 keeps serving" in world.message("Ready")
    assert "of version 1 of churn-2 answer" in world.message("Ready")

    await world.run()

    current = world.status()["current"]
    assert (current["model"], current["modelVersion"], current["trained"]) == ("churn-2", 1, NEWER)
    assert world.message("Ready") == "1 of 1 pods of version 1 of churn-2 answer"
    assert "Version 1 of churn-2 as revision" in world.cluster.events[-1][2].message
