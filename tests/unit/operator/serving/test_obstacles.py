"""What is missing, and what is in the way of a ModelService."""

from typing import Any

import pytest

from support.serving import LABELS, NAMESPACE, World, a_model_service, a_succeeded_job, a_world_serving
from trainyard_operator.cluster.errors import Conflict, Forbidden, Invalid, NotFound, Unavailable
from trainyard_operator.cluster.kinds import CLAIM, DEPLOYMENT, MODEL_SERVICE, POD, SERVICE, TRAINING_JOB
from trainyard_operator.serving.optional_children import OPTIONAL_KINDS

FIRST_WRITE = 7
"""Number of the call that creates the first child: before it come the looks at what is there."""
FOLLOWING = a_model_service().following(**LABELS)


async def test_without_a_training_job_the_service_waits_and_says_for_what() -> None:
    world = World().put(FOLLOWING)

    outcome = await world.settle()

    assert world.status()["phase"] == "Pending"
    assert world.condition("Ready") == ("False", "NoTrainingJob")
    assert world.condition("Degraded") == ("False", "AsExpected")
    assert "url" not in world.status()
    assert world.cluster.peek(DEPLOYMENT) == []
    assert world.events() == ["Warning NoTrainingJob"]
    assert outcome.requeue_after == 15.0


async def test_while_its_job_trains_the_service_says_so_without_alarm() -> None:
    world = World().put(FOLLOWING).put_job(a_succeeded_job(1) | {"status": {"phase": "Running"}})

    await world.settle()

    assert world.condition("Ready") == ("False", "WaitingForTraining")
    assert world.events() == ["Normal WaitingForTraining"]


async def test_jobs_with_other_labels_are_not_followed() -> None:
    world = World().put(FOLLOWING).put_job(a_succeeded_job(1, labels={"model": "other"}))

    await world.settle()

    assert world.condition("Ready") == ("False", "NoTrainingJob")


async def test_a_deleted_job_does_not_take_its_model_along() -> None:
    world = World().put(FOLLOWING).put_job(a_succeeded_job(1)).put_job(a_succeeded_job(2))
    await world.run()
    world.cluster.remove(TRAINING_JOB, NAMESPACE, "churn-2")
    world.cluster.calls.clear()

    await world.run()

    assert world.status()["current"]["modelVersion"] == 2
    assert world.cluster.writes == []


async def test_a_job_that_is_trained_again_under_its_name_does_not_roll_back_meanwhile() -> None:
    world = World().put(FOLLOWING).put_job(a_succeeded_job(1)).put_job(a_succeeded_job(2, name="nightly"))
    await world.run()
    world.put_job(a_succeeded_job(3, name="nightly") | {"status": {"phase": "Running"}})

    await world.run()

    assert world.status()["current"]["modelVersion"] == 2


async def test_taking_the_label_off_a_job_rolls_back_to_the_one_before() -> None:
    world = World().put(FOLLOWING).put_job(a_succeeded_job(1)).put_job(a_succeeded_job(2))
    await world.run()
    world.put_job(a_succeeded_job(2, labels={}))

    await world.run()

    assert world.status()["current"]["modelVersion"] == 1


async def test_a_claim_that_is_missing_is_told_by_name() -> None:
    world = World().put(a_model_service().serving("pvc://nowhere/churn/1"))

    outcome = await world.settle()

    assert world.condition("Degraded") == ("True", "StoreNotFound")
    assert "'nowhere'" in world.message("Ready")
    assert world.events() == ["Normal RolloutStarted", "Warning StoreNotFound"]
    assert outcome.requeue_after == 15.0


async def test_a_service_of_that_name_that_is_someone_elses_is_left_alone() -> None:
    world = World().put(a_model_service())
    theirs = {"metadata": {"name": "churn", "namespace": NAMESPACE}, "spec": {"selector": {"app": "theirs"}}}
    world.cluster.put(SERVICE, theirs)

    await world.settle()

    assert world.condition("Degraded") == ("True", "NameTaken")
    assert world.cluster.peek(SERVICE)[0]["spec"] == theirs["spec"]


async def test_children_of_a_deleted_namesake_are_waited_for() -> None:
    world = World().put(a_model_service())
    await world.run()
    live = world.cluster.peek(MODEL_SERVICE)[0]
    del world.cluster.objects["modelservices", NAMESPACE, "churn"]
    live["metadata"]["uid"] = "uid-of-another"
    world.cluster.put(MODEL_SERVICE, {key: each for key, each in live.items() if key != "status"})

    outcome = await world.reconcile()

    assert world.condition("Ready") == ("False", "WaitingForCleanup")
    assert world.condition("Degraded") == ("False", "AsExpected")
    assert outcome.requeue_after == 1.0


@pytest.mark.parametrize("error", [Invalid("spec.replicas is odd", code=422), Forbidden("no quota left", code=403)])
async def test_what_the_api_server_rejects_ends_in_the_status(error: Exception) -> None:
    world = World().put(a_model_service())
    world.cluster.fail_at, world.cluster.failure = FIRST_WRITE + 1, error

    await world.reconcile()

    assert world.condition("Degraded") == ("True", "Rejected")
    assert str(error) in world.message("Ready")


@pytest.mark.parametrize("error", [Unavailable("busy"), Conflict("changed")])
async def test_what_may_go_well_next_time_is_raised(error: Exception) -> None:
    world = World().put(a_model_service())
    world.cluster.fail_at, world.cluster.failure = FIRST_WRITE + 1, error

    with pytest.raises(type(error)):
        await world.reconcile()


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ({"model": {}}, "exactly one of fromTraining and uri"),
        ({"model": {"uri": "pvc://models/churn/1"}, "replicas": -1}, "spec.replicas"),
        ({}, "spec.model"),
    ],
)
async def test_a_spec_nobody_can_work_with_is_refused_and_what_serves_is_left_alone(
    spec: dict[str, Any], said: str
) -> None:
    world = await a_world_serving()
    live = world.cluster.peek(MODEL_SERVICE)[0]
    world.cluster.put(MODEL_SERVICE, live | {"spec": spec})
    world.cluster.calls.clear()

    await world.settle()

    assert world.condition("Degraded") == ("True", "InvalidSpec")
    assert said in world.message("Ready")
    assert world.condition("Available")[0] == "True"
    assert {verb for verb, _ in world.cluster.writes} == {"apply_status", "emit"}
    assert world.status()["current"]["modelVersion"] == 1
    assert world.status()["ready"] == "1/1"


async def test_what_becomes_of_what_serves_is_told_though_the_spec_is_refused() -> None:
    world = await a_world_serving()
    live = world.cluster.peek(MODEL_SERVICE)[0]
    world.cluster.put(MODEL_SERVICE, live | {"spec": {}})
    await world.settle()
    assert world.condition("Available") == ("True", "Answering")

    for pod in world.cluster.peek(POD):
        world.cluster.remove(POD, NAMESPACE, pod["metadata"]["name"])
    await world.settle()
    assert world.condition("Available") == ("False", "InvalidSpec")
    assert world.status()["ready"] == "0/1"
    assert world.events()[-1] == "Warning Unavailable"
    await world.run()

    assert world.condition("Available") == ("True", "Answering")
    assert world.condition("Degraded") == ("True", "InvalidSpec")
    assert world.status()["current"] == live["status"]["current"]


async def test_a_name_that_cannot_name_a_service_is_told() -> None:
    world = World().put(a_model_service().named("1st"))

    await world.reconcile("1st")

    assert world.condition("Degraded") == ("True", "InvalidName")


async def test_a_service_that_is_deleted_during_a_reconcile_is_no_error() -> None:
    world = World().put(a_model_service())
    world.cluster.fail_at, world.cluster.failure = (
        FIRST_WRITE + 3 + len(OPTIONAL_KINDS),
        NotFound("modelservices 'churn' not found", code=404),
    )

    await world.reconcile()

    assert world.cluster.calls[-1] == ("apply_status", "modelservices")
    assert world.events() == []


async def test_what_is_gone_or_going_is_left_to_the_garbage_collector() -> None:
    world = World()
    await world.reconcile()
    service = a_model_service().build()
    service["metadata"]["deletionTimestamp"] = "2026-11-23T10:00:00Z"
    world.cluster.put(MODEL_SERVICE, service)

    await world.reconcile()

    assert world.cluster.calls == [("get", "modelservices")] * 2


async def test_the_claim_is_only_asked_for_while_no_pod_is_ready() -> None:
    world = World().put(a_model_service())
    world.pods.silent = True
    await world.run()
    world.cluster.remove(CLAIM, NAMESPACE, "models")
    world.cluster.calls.clear()

    await world.reconcile()

    assert ("get", "persistentvolumeclaims") not in world.cluster.calls
