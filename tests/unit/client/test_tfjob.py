"""Kubeflow's TFJobs as TrainingJobs."""

from typing import Any

import pytest

from support.custom_resources import refusals
from trainyard.errors import Usage
from trainyard.tfjob import convert


def a_pod(**fields: Any) -> dict[str, Any]:
    container = {
        "name": "tensorflow",
        "image": "me/mnist:1",
        "command": ["python", "/train.py"],
        "args": ["--epochs=3"],
        "env": [{"name": "BUCKET", "value": "b"}],
        "resources": {"limits": {"nvidia.com/gpu": 2, "memory": "16Gi"}},
    }
    return {"restartPolicy": "OnFailure", "template": {"spec": {"containers": [container]} | fields}}


def a_tfjob(**roles: Any) -> dict[str, Any]:
    return {
        "apiVersion": "kubeflow.org/v1",
        "kind": "TFJob",
        "metadata": {"name": "mnist", "namespace": "team"},
        "spec": {
            "runPolicy": {
                "backoffLimit": 2,
                "activeDeadlineSeconds": 3600,
                "cleanPodPolicy": "All",
                "schedulingPolicy": {"queue": "q"},
            },
            "tfReplicaSpecs": roles or {"Worker": a_pod() | {"replicas": 4}},
        },
    }


def test_what_has_an_equivalent_is_taken_over() -> None:
    found = convert(a_tfjob(), store="models").manifest

    spec = found["spec"]
    assert found["metadata"] == {"name": "mnist", "namespace": "team"}
    assert spec["program"]["container"] == {
        "image": "me/mnist:1", "command": ["python", "/train.py"], "args": ["--epochs=3"],
    }  # fmt: skip
    assert spec["roles"]["worker"] == {
        "replicas": 4,
        "gpus": 2,
        "resources": {"limits": {"memory": "16Gi"}},
        "template": {"env": [{"name": "BUCKET", "value": "b"}]},
    }
    assert spec["runPolicy"] == {"activeDeadline": "3600s", "maxRestarts": 2, "cleanPods": "All"}
    assert spec["output"] == {"store": {"persistentVolumeClaim": {"claimName": "models"}}}


def test_a_time_to_live_becomes_that_of_the_children() -> None:
    tfjob = a_tfjob()
    tfjob["spec"]["runPolicy"] = {"ttlSecondsAfterFinished": 0}

    found = convert(tfjob, store="models")

    assert found.manifest["spec"]["runPolicy"]["ttlAfterFinished"] == "1s"
    assert any("the TrainingJob stays as a record" in note for note in found.notes)


def test_chief_and_workers_are_counted_together() -> None:
    found = convert(a_tfjob(Chief=a_pod() | {"replicas": 1}, Worker=a_pod() | {"replicas": 3}), store="s3://b/models")

    assert found.manifest["spec"]["roles"]["worker"]["replicas"] == 4
    assert found.manifest["spec"]["output"] == {"store": {"uri": "s3://b/models"}}
    assert "Chief: counted among the workers; worker 0 is the chief, with the pod of Worker" in found.notes


def test_a_claim_that_is_mounted_is_the_data() -> None:
    volumes = [{"name": "data", "persistentVolumeClaim": {"claimName": "mnist"}}, {"name": "tmp", "emptyDir": {}}]
    found = convert(a_tfjob(Worker=a_pod(volumes=volumes)), store="models")

    assert found.manifest["spec"]["data"]["source"] == {"persistentVolumeClaim": {"claimName": "mnist"}}
    assert any("mounted at $TRAINYARD_DATA_DIR" in note for note in found.notes)
    assert "Worker: volume tmp: no equivalent; /tmp and the store can be written" in found.notes


@pytest.mark.parametrize(
    ("fields", "note"),
    [
        pytest.param({"hostNetwork": True}, "Worker: pod field hostNetwork: no equivalent", id="a pod's field"),
        pytest.param({"initContainers": []}, "Worker: pod field initContainers: no equivalent", id="init containers"),
    ],
)
def test_what_has_no_equivalent_is_named(fields: dict[str, Any], note: str) -> None:
    notes = convert(a_tfjob(Worker=a_pod(**fields)), store="models").notes

    assert any(each.startswith(note) for each in notes)
    assert any(each.startswith("runPolicy.schedulingPolicy.queue: no equivalent") for each in notes)


def test_an_evaluator_without_an_equivalent_is_named() -> None:
    notes = convert(a_tfjob(Worker=a_pod(), Evaluator=a_pod()), store="models").notes

    assert any(note.startswith("Evaluator: ") for note in notes)


def test_parameter_servers_and_a_chief_become_roles_of_their_own() -> None:
    servers = a_pod(nodeSelector={"pool": "memory"}) | {"replicas": 2}
    found = convert(a_tfjob(Chief=a_pod(), Worker=a_pod() | {"replicas": 3}, PS=servers), store="models")

    roles = found.manifest["spec"]["roles"]
    env = [{"name": "BUCKET", "value": "b"}]
    assert roles["chief"] == {"resources": {"limits": {"memory": "16Gi"}}, "template": {"env": env}}
    assert (roles["worker"]["replicas"], roles["worker"]["gpus"]) == (3, 2)
    assert (roles["ps"]["replicas"], roles["ps"]["template"]["nodeSelector"]) == (2, {"pool": "memory"})
    assert "PS: GPUs: no equivalent; with parameter servers only workers have GPUs" in found.notes
    assert refusals(found.manifest) == []


def test_a_chief_is_added_to_parameter_servers_that_have_none() -> None:
    found = convert(a_tfjob(Worker=a_pod(), PS=a_pod()), store="models")

    assert set(found.manifest["spec"]["roles"]) == {"worker", "ps"}
    assert any(note.startswith("Worker: worker 0 is no chief any more") for note in found.notes)


def test_a_program_that_differs_between_roles_is_named() -> None:
    servers = a_pod()
    servers["template"]["spec"]["containers"][0]["command"] = ["python", "/ps.py"]

    notes = convert(a_tfjob(Worker=a_pod(), PS=servers), store="models").notes

    assert any(note.startswith("PS: command: every role runs the program of Worker") for note in notes)


def test_a_queue_of_kueue_stays_one() -> None:
    tfjob = a_tfjob()
    tfjob["metadata"]["labels"] = {"kueue.x-k8s.io/queue-name": "gpu", "team": "a"}
    tfjob["spec"]["runPolicy"] = {"schedulingPolicy": {"scheduleTimeoutSeconds": 600}}

    found = convert(tfjob, store="models").manifest

    assert found["spec"]["runPolicy"] == {"startupTimeout": "600s", "queueName": "gpu"}
    assert found["metadata"]["labels"] == {"team": "a"}
    assert refusals(found) == []


def test_a_name_that_cannot_be_is_changed_and_said() -> None:
    tfjob = a_tfjob()
    tfjob["metadata"]["name"] = "2-mnist"

    found = convert(tfjob, store="models")

    assert found.manifest["metadata"]["name"] == "mnist"
    assert any("became 'mnist'" in note for note in found.notes)


@pytest.mark.parametrize(
    ("tfjob", "said"),
    [
        pytest.param(
            {"apiVersion": "v1", "kind": "Pod"}, "expected a TFJob of kubeflow.org/v1, got v1 Pod", id="a pod"
        ),
        pytest.param(a_tfjob(PS=a_pod()), "has no Worker, Chief or Master among its tfReplicaSpecs", id="only servers"),
        pytest.param(a_tfjob(Worker={"template": {}}), "no container with an image", id="no container"),
    ],
)
def test_what_is_no_tfjob_is_refused(tfjob: dict[str, Any], said: str) -> None:
    with pytest.raises(Usage, match=said):
        convert(tfjob, store="models")
