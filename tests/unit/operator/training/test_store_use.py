"""What a trainer is told of the use of its store."""

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from support.training import NAMESPACE, START, TrainingJobBuilder, World, a_training_job
from support.watching import Watching
from trainyard_api.housekeeping import MOST_TRAININGS, USE_FILE
from trainyard_api.names import MANAGED_BY, MANAGED_BY_LABEL, MODEL_URI_ANNOTATION
from trainyard_api.trainingjob import TrainingJob
from trainyard_operator.cluster.kinds import CONFIG_MAP, DEPLOYMENT, MODEL_SERVICE, TRAINING_JOB
from trainyard_operator.cluster.port import Manifest
from trainyard_operator.training.store_use import use


def a_bucket_job() -> TrainingJobBuilder:
    return a_training_job().with_spec(output={"store": {"uri": "s3://models/prod/"}})


def another(name: str, *, keep: Manifest | None = None, model: str = "churn", **status: Any) -> Manifest:
    output = {"store": {"persistentVolumeClaim": {"claimName": "models"}}} | ({"keep": keep} if keep else {})
    job = a_training_job().named(name).with_spec(modelName=model, output=output).build()
    job["metadata"] |= {"namespace": NAMESPACE, "uid": f"uid-of-{name}"}
    return job | {"status": status}


def a_service(model: Manifest, namespace: str = NAMESPACE, **status: Any) -> Manifest:
    return {"metadata": {"name": "s", "namespace": namespace}, "spec": {"model": model}, "status": status}


def a_deployment(uri: str) -> Manifest:
    metadata = {"name": "s-abc", "namespace": NAMESPACE, "labels": {MANAGED_BY_LABEL: MANAGED_BY}}
    return {"metadata": metadata | {"annotations": {MODEL_URI_ANNOTATION: uri}}, "spec": {"replicas": 0}}


@pytest.mark.parametrize(
    ("services", "deployments", "versions"),
    [
        pytest.param([], [], [], id="nothing"),
        pytest.param([a_service({"uri": "pvc://models/churn/3"})], [], [3], id="named by its address"),
        pytest.param([a_service({"uri": "pvc://models/churn/003/"})], [], [3], id="named with zeros"),
        pytest.param([a_service({"uri": "pvc://models/other/3"})], [], [], id="of another model"),
        pytest.param([a_service({"uri": "pvc://others/churn/3"})], [], [], id="of another claim"),
        pytest.param([a_service({"uri": "nonsense"}), a_service({"uri": None})], [], [], id="no address"),
        pytest.param([a_service({"fromTraining": {}, "version": 4})], [], [4], id="pinned"),
        pytest.param(
            [
                a_service(
                    {"fromTraining": {}}, current={"uri": "pvc://models/churn/1"}, next={"uri": "pvc://models/churn/2"}
                )
            ],
            [],
            [1, 2],
            id="served and coming",
        ),
        pytest.param([], [a_deployment("pvc://models/churn/5")], [5], id="kept by a service, without pods"),
        pytest.param([], [{"metadata": {"name": "x"}}], [], id="a Deployment of something else"),
    ],
)
def test_versions_in_use(services: Sequence[Manifest], deployments: Sequence[Manifest], versions: list[int]) -> None:
    job = TrainingJob.model_validate(a_training_job().build())

    told = use(job, jobs=[], services=services, deployments=deployments, now=START)

    assert told is not None
    assert told.in_use == versions


def test_versions_of_a_bucket_are_known_by_bucket_prefix_and_model() -> None:
    job = TrainingJob.model_validate(a_bucket_job().build())
    named = ["s3://models/prod/churn/1", "s3://models/churn/2", "s3://models/prod/churn/more/3", "s3://m/prod/churn/4"]

    told = use(job, jobs=[], services=[a_service({"uri": uri}) for uri in named], deployments=[], now=START)

    assert told is not None
    assert told.in_use == [1]


@pytest.mark.parametrize(
    ("other", "running", "checkpoints"),
    [
        pytest.param(another("b"), ["uid-of-b"], [], id="not begun"),
        pytest.param(another("b", phase="Suspended", run=2), ["uid-of-b-2"], [], id="a later run, suspended"),
        pytest.param(another("b", phase="Succeeded", completionTime="x"), [], [], id="ended"),
        pytest.param(
            another("b", keep={"checkpoints": "OnSuccess"}, phase="Succeeded", completionTime="x"),
            [],
            ["uid-of-b"],
            id="a success that keeps",
        ),
        pytest.param(
            another("b", keep={"checkpoints": "OnSuccess"}, phase="Failed", completionTime="x"),
            [],
            [],
            id="a failure that keeps nothing",
        ),
        pytest.param(
            another("b", keep={"checkpoints": "Always"}, phase="Failed", completionTime="x", run=1),
            [],
            ["uid-of-b-1"],
            id="a failure that keeps",
        ),
    ],
)
def test_trainings_of_the_model(other: Manifest, running: list[str], checkpoints: list[str]) -> None:
    job = TrainingJob.model_validate(a_training_job().build())
    jobs = [a_training_job().build(), other, another("c", model="not-churn")]

    told = use(job, jobs=jobs, services=[], deployments=[], now=START)

    assert told is not None
    assert (told.running, told.checkpoints) == (sorted(["uid-of-churn", *running]), checkpoints)
    assert told.jobs == ["uid-of-b", "uid-of-churn"]


@pytest.mark.parametrize(("status", "versions"), [({}, [3]), ({"completionTime": "x"}, [])], ids=["runs", "has ended"])
def test_a_version_that_predicts_is_in_use(status: Manifest, versions: list[int]) -> None:
    job = TrainingJob.model_validate(a_training_job().build())
    scoring = another("scoring", model="scores", **status)
    scoring["spec"]["program"] = {"predict": {"model": {"uri": "pvc://models/churn/3"}}}

    told = use(job, jobs=[scoring], services=[], deployments=[], now=START)

    assert told is not None
    assert told.in_use == versions


def test_of_too_many_trainings_nothing_is_said() -> None:
    job = TrainingJob.model_validate(a_training_job().build())
    jobs = [another(f"job-{number}") for number in range(MOST_TRAININGS + 1)]

    assert use(job, jobs=jobs, services=[], deployments=[], now=START) is None


def told(world: World) -> Manifest:
    (config_map,) = [each for each in world.cluster.peek(CONFIG_MAP) if each["metadata"]["name"] == "churn-spec"]
    found: Manifest = json.loads(config_map["data"][USE_FILE])
    return found


def keeps(**keep: Any) -> TrainingJobBuilder:
    return a_training_job().with_spec(
        output={"store": {"persistentVolumeClaim": {"claimName": "models"}}, "keep": keep}
    )


def put_service(world: World, uri: str, namespace: str = NAMESPACE) -> None:
    service = a_service({"uri": uri}, namespace)
    world.cluster.put(MODEL_SERVICE, service)


async def test_a_running_trainer_hears_of_a_service_at_the_next_look() -> None:
    world = await World().put(keeps(versions=2)).running()
    assert (told(world)["inUse"], told(world)["asOf"]) == ([], "2026-11-23T10:00:00Z")

    put_service(world, "pvc://models/churn/1")
    await world.later(minutes=1).settle()

    assert (told(world)["inUse"], told(world)["asOf"]) == ([1], "2026-11-23T10:01:00Z")


async def test_what_is_told_stays_fresh_at_the_cost_of_a_write_in_ten_minutes() -> None:
    world = await World().put(keeps(versions=2)).running()

    for minute in range(1, 10):
        await world.later(minutes=1).settle()
        assert told(world)["asOf"] == "2026-11-23T10:00:00Z", minute
    await world.later(minutes=1).settle()

    assert told(world)["asOf"] == "2026-11-23T10:10:00Z"


async def test_a_trainer_that_removes_no_versions_is_told_once() -> None:
    world = await World().put(a_training_job()).running()

    put_service(world, "pvc://models/churn/1")
    await world.later(hours=1).settle()

    assert (told(world)["inUse"], told(world)["asOf"]) == ([], "2026-11-23T10:00:00Z")


async def test_the_next_attempt_is_told_anew() -> None:
    world = await World().put(a_training_job()).running()
    world.cluster.put(TRAINING_JOB, another("b"))
    world.later(hours=1).fail()

    await world.settle()
    await world.later(minutes=1).settle()

    assert world.jobs()[-1] == "churn-worker-1"
    assert told(world)["running"] == ["uid-of-b", "uid-of-churn"]
    assert told(world)["asOf"] > "2026-11-23T11:00:00Z"


async def test_how_many_versions_stay_can_change_while_the_trainer_runs() -> None:
    world = await World().put(keeps(versions=2)).running()
    job = world.cluster.peek(TRAINING_JOB)[0]
    job["spec"]["output"]["keep"] = {"versions": 5}
    world.cluster.put(TRAINING_JOB, job)

    await world.settle()

    (config_map,) = [each for each in world.cluster.peek(CONFIG_MAP) if each["metadata"]["name"] == "churn-spec"]
    assert json.loads(config_map["data"]["spec.json"])["spec"]["output"]["keep"] == {
        "versions": 5,
        "checkpoints": "Never",
    }


@pytest.mark.parametrize(
    ("namespaces", "seen"),
    [((None,), [1, 2]), ((NAMESPACE, "web"), [1, 2]), ((NAMESPACE,), [1])],
    ids=["all", "two", "its own"],
)
async def test_of_a_bucket_services_of_all_namespaces_count(
    namespaces: tuple[str | None, ...], seen: list[int]
) -> None:
    world = World().put(a_bucket_job().with_spec(output={"store": {"uri": "s3://models"}, "keep": {"versions": 1}}))
    world.reconciler = replace(world.reconciler, namespaces=namespaces)
    put_service(world, "s3://models/churn/1")
    put_service(world, "s3://models/churn/2", "web")

    await world.settle()

    assert told(world)["inUse"] == seen


async def test_of_a_claim_services_of_other_namespaces_do_not() -> None:
    world = World().put(keeps(versions=1))
    put_service(world, "pvc://models/churn/1")
    put_service(world, "pvc://models/churn/2", "web")

    await world.settle()

    assert told(world)["inUse"] == [1]


async def test_to_tell_costs_no_call() -> None:
    world = World().put(keeps(versions=1))
    world.cluster.put(DEPLOYMENT, a_deployment("pvc://models/churn/5"))
    watching = Watching(world.cluster)
    world.reconciler = replace(world.reconciler, cluster=watching.port)

    await world.settle()

    assert told(world)["inUse"] == [5]
    assert {plural for verb, plural in world.cluster.calls if verb in ("get", "list")}.isdisjoint(
        {"deployments", "modelservices", "trainingjobs"}
    )
