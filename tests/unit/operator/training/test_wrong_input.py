"""Everything a person can get wrong ends in a condition that says what to change, and in one Warning event."""

from typing import Any

import pytest

from support.training import NAMESPACE, TrainingJobBuilder, World, a_training_job
from trainyard_api.times import to_rfc3339
from trainyard_operator.cluster.errors import Forbidden
from trainyard_operator.cluster.kinds import JOB, POD, TRAINING_JOB
from trainyard_operator.cluster.port import Manifest
from trainyard_operator.training.progress import Snapshot


def problem(world: World, name: str = "churn") -> tuple[str, str]:
    conditions = world.conditions(name)
    told = conditions["Failed"] if conditions["Failed"]["status"] == "True" else conditions["Stalled"]
    return told["reason"], told["message"]


@pytest.mark.parametrize(
    ("builder", "reason", "says"),
    [
        (a_training_job().with_spec(program={}), "InvalidSpec", "exactly one of keras, python, container and predict"),
        (
            a_training_job().with_spec(program={"keras": {"task": "regression"}, "container": {"image": "me/train:1"}}),
            "InvalidSpec",
            "exactly one of keras, python, container and predict",
        ),
        (a_training_job().with_data(), "InvalidSpec", "exactly one of uri, configMap and persistentVolumeClaim"),
        (a_training_job().with_spec(fit={"epochs": 0}), "InvalidSpec", "spec.fit.epochs: input should be greater than"),
        (a_training_job().with_spec(output={}), "InvalidSpec", "spec.output.store: field required"),
    ],
)
async def test_a_spec_that_slipped_past_the_schema_fails_with_its_fields_named(
    builder: TrainingJobBuilder, reason: str, says: str
) -> None:
    world = World().put(builder)

    await world.settle()

    assert world.status()["phase"] == "Failed"
    assert problem(world)[0] == reason
    assert says in problem(world)[1]
    assert world.events() == ["Warning Failed"]
    assert world.jobs() == []


async def test_an_attempt_that_runs_is_not_given_up_for_a_spec_that_a_new_operator_does_not_take() -> None:
    world = await World().put(a_training_job()).running()
    world.progress.answer = Snapshot(phase="training", epoch=3, epochs=10, eta_seconds=60)
    await world.settle()
    spec = world.cluster.peek(TRAINING_JOB)[0]["spec"]
    _put_spec(world, spec | {"fit": {"epochs": 0}})

    await world.settle()

    assert world.status()["phase"] == "Running"
    assert problem(world)[0] == "InvalidSpec"
    assert "attempt 0 goes on" in problem(world)[1]
    assert world.conditions()["Failed"]["status"] == "False"
    assert "failure" not in world.status()
    assert world.events() == ["Normal TrainingStarted", "Warning InvalidSpec"]
    assert world.jobs() == ["churn-worker-0"]

    world.later(minutes=1).succeed()
    await world.settle()

    assert world.status()["phase"] == "Failed"
    assert "attempt 0 has ended" in world.status()["failure"]["message"]
    _put_spec(world, spec)  # an operator that takes it finds out how the attempt ended

    await world.settle()

    assert world.status()["phase"] == "Succeeded"
    assert world.status()["model"]["version"] == 1


def _put_spec(world: World, spec: dict[str, Any]) -> None:
    world.cluster.put(TRAINING_JOB, world.cluster.peek(TRAINING_JOB)[0] | {"spec": spec})


@pytest.mark.parametrize("name", ["a" * 51, "with.dots", "1st"])
async def test_a_name_that_others_cannot_be_made_from_fails(name: str) -> None:
    world = World().put(a_training_job().named(name))

    await world.settle(name)

    assert problem(world, name)[0] == "InvalidName"
    assert "at most 50 lower case letters" in problem(world, name)[1]


@pytest.mark.parametrize(
    ("builder", "reason", "says"),
    [
        (
            a_training_job().with_data(configMap={"name": "nothing"}),
            "DataNotFound",
            "ConfigMap 'nothing' of spec.data.source does not exist in namespace 'team'",
        ),
        (
            a_training_job().with_data(configMap={"name": "rows", "key": "wrong.csv"}),
            "DataNotFound",
            "ConfigMap 'rows' in namespace 'team' has no key 'wrong.csv'; it has: rows.csv",
        ),
        (
            a_training_job().with_data(persistentVolumeClaim={"claimName": "lake"}),
            "DataNotFound",
            "PersistentVolumeClaim 'lake' of spec.data.source does not exist in namespace 'team'",
        ),
        (
            a_training_job().with_spec(output={"store": {"persistentVolumeClaim": {"claimName": "nowhere"}}}),
            "StoreNotFound",
            "PersistentVolumeClaim 'nowhere' of spec.output.store does not exist in namespace 'team'",
        ),
    ],
)
async def test_what_is_missing_is_named_and_waited_for(builder: TrainingJobBuilder, reason: str, says: str) -> None:
    world = World().put(builder)

    outcome = await world.settle()

    assert problem(world)[0] == reason
    assert says in problem(world)[1]
    assert outcome.requeue_after == 1.0
    assert world.status()["phase"] == "Pending"
    assert world.events() == [f"Warning {reason}"]
    assert world.jobs() == []

    assert (await world.later(seconds=9).settle()).requeue_after == 9.0
    assert (await world.later(hours=1).settle()).requeue_after == 300.0

    world.put_config_map("nothing", {"a": "b"})
    world.put_config_map("rows", {"rows.csv": "a", "wrong.csv": "a"})
    world.put_claim("lake")
    world.put_claim("nowhere")
    await world.settle()
    assert world.jobs() == ["churn-worker-0"]
    assert "Stalled" not in world.conditions()


async def test_more_gpus_than_any_node_has_is_said_with_what_to_change() -> None:
    world = World().put(a_training_job().with_gpus(8))
    await world.settle()
    condition = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable"}
    world.create_pod(conditions=[condition | {"message": "0/3 nodes are available: 3 Insufficient nvidia.com/gpu."}])

    await world.settle()

    running = world.conditions()["Running"]
    assert running["reason"] == "Unschedulable"
    assert "3 Insufficient nvidia.com/gpu" in running["message"]
    assert "It asks for 8 nvidia.com/gpu" in running["message"]
    assert world.status()["gpus"] == 8
    assert world.events()[-1] == "Warning Unschedulable"
    # An autoscaler may bring the node: not stalled, and not told again when the message changes.
    assert "Stalled" not in world.conditions()
    world.pod_status(0, phase="Pending", conditions=[condition | {"message": "0/4 nodes are available"}])
    await world.settle()
    assert world.events().count("Warning Unschedulable") == 1


@pytest.mark.parametrize(
    ("waits_for", "reason", "says"),
    [
        ("ImagePullBackOff", "ImagePullFailed", "image 'me/train:1' cannot be pulled (not found)"),
        ("ErrImagePull", "ImagePullFailed", "image 'me/train:1' cannot be pulled (not found)"),
        ("CreateContainerConfigError", "CreateContainerConfigError", "the container cannot be started: not found"),
    ],
)
async def test_a_container_that_cannot_start_says_why(waits_for: str, reason: str, says: str) -> None:
    world = World().put(a_training_job().with_container(image="me/train:1"))
    await world.settle()
    waiting = {"waiting": {"reason": waits_for, "message": "not found"}}
    world.create_pod(containerStatuses=[{"name": "trainer", "image": "me/train:1", "state": waiting}])

    await world.settle()

    assert problem(world)[0] == reason
    assert says in problem(world)[1]
    assert world.status()["phase"] == "Pending"
    assert world.events()[-1] == f"Warning {reason}"


async def test_a_pod_that_waits_for_a_secret_for_a_minute_says_which() -> None:
    source = {"uri": "s3://lake/churn/", "secretRef": {"name": "lake"}}
    store = {"store": {"uri": "s3://models", "secretRef": {"name": "models"}}}
    world = World().put(a_training_job().with_data(**source).with_spec(output=store))
    await world.settle()
    state = {"waiting": {"reason": "ContainerCreating"}}
    world.create_pod(containerStatuses=[{"name": "trainer", "state": state}])

    await world.settle()
    assert "Secret" not in str(world.conditions())
    await world.later(seconds=61).settle()

    assert "the Secret 'lake' and the Secret 'models' of its spec: if that does not exist, create it" in str(
        world.conditions()
    )
    assert not any(event.startswith("Warning") for event in world.events())


@pytest.mark.parametrize(
    "refusal",
    [
        pytest.param("maximum cpu usage per Container is 1, but limit is 2", id="the most of a LimitRange"),
        pytest.param("minimum memory usage per Container is 1Gi, but request is 64Mi", id="its least"),
        pytest.param(
            "cpu max limit to request ratio per Container is 2, but provided ratio is 8.000000", id="its ratio"
        ),
        pytest.param("exceeded quota: team, requested: limits.cpu=2, used: limits.cpu=1", id="a quota with a scope"),
    ],
)
async def test_a_job_whose_pods_are_refused_quotes_why_within_seconds(refusal: str) -> None:
    world = World().put(a_training_job())
    await world.settle()
    world.cluster.set_status(JOB, NAMESPACE, "churn-worker-0", {"startTime": to_rfc3339(world.now)})
    message = f'Error creating: pods "churn-worker-0-0-abcde" is forbidden: {refusal}'
    world.cluster.told[world.job()["metadata"]["uid"]] = [
        {"reason": "SuccessfulCreate", "message": "Created pod: churn-worker-0-0-x"},
        {"reason": "FailedCreate", "message": message},
        {"reason": "FailedCreate", "message": "Error creating: of before"},
    ]
    again = await world.settle()
    assert again.requeue_after is not None
    assert again.requeue_after <= 5

    world.later(seconds=5)
    await world.settle()

    reason, said = problem(world)
    assert reason == "PodsNotCreated"
    assert said == f"Job 'churn-worker-0' has no pod, because they are refused: {message.partition(': ')[2]}"
    assert world.status()["phase"] == "Pending"
    assert "Warning PodsNotCreated" in world.events()

    world.create_pod()
    world.run_pod()
    await world.settle()
    assert "Stalled" not in world.conditions()


async def test_an_operator_that_may_not_list_events_goes_on_without(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World().put(a_training_job())
    await world.settle()
    world.cluster.set_status(JOB, NAMESPACE, "churn-worker-0", {"startTime": to_rfc3339(world.now)})
    await world.settle()
    world.later(seconds=5)

    async def refuse(namespace: str, uid: str) -> list[Manifest]:
        raise Forbidden("events are not for you", code=403)

    monkeypatch.setattr(world.cluster, "events_of", refuse)
    await world.settle()

    assert world.status()["phase"] == "Starting"


async def test_a_job_without_a_pod_for_a_minute_points_to_its_events() -> None:
    world = World().put(a_training_job())
    await world.settle()
    world.create_pod()
    for pod in world.cluster.peek(POD):
        world.cluster.remove(POD, NAMESPACE, pod["metadata"]["name"])
    await world.settle()
    assert world.status()["phase"] == "Starting"

    world.later(seconds=61)
    await world.settle()

    assert problem(world)[0] == "PodsNotCreated"
    assert "kubectl describe job churn-worker-0" in problem(world)[1]


@pytest.mark.parametrize(
    ("terminated", "reason", "says"),
    [
        ({"code": 137, "reason": "OOMKilled"}, "OOMKilled", "resources.limits.memory"),
        ({"code": 1, "message": "Traceback\n  File x\nKeyError: 'a'\n"}, "Error", "exit code 1: KeyError: 'a'"),
        ({"code": 139}, "Error", "exit code 139: no message"),
        ({"code": 1, "message": "\x00\x1b[31mred\x1b[0m " + "x" * 5000}, "Error", "exit code 1: [31mred"),
    ],
)
async def test_a_crash_is_told_apart(terminated: dict[str, Any], reason: str, says: str) -> None:
    world = await World().put(a_training_job().with_run_policy(maxRestarts=0)).running()
    world.fail(**terminated)

    await world.settle()

    failure = world.status()["failure"]
    assert failure["reason"] == reason
    assert says in failure["message"]
    assert len(failure["message"]) < 1100
