from datetime import timedelta
from typing import Any

import pytest

from support.training import START, a_training_job
from trainyard_api.times import to_rfc3339
from trainyard_api.trainingjob import TrainingJob, TrainingJobStatus
from trainyard_operator.cluster.port import Manifest
from trainyard_operator.training.blockers import of_job
from trainyard_operator.training.spec import parse
from trainyard_operator.workloads.blockers import Blocker


def a_spec(**worker: Any) -> TrainingJob:
    job = parse(a_training_job().with_worker(**worker).build(), TrainingJobStatus())
    assert isinstance(job, TrainingJob)
    return job


def a_pod(index: int = 0, **status: Any) -> Manifest:
    return {"metadata": {"name": f"churn-worker-0-{index}"}, "status": status}


def a_waiting_pod(reason: str, message: str = "", image: str = "me/train:1") -> Manifest:
    state = {"waiting": {"reason": reason, "message": message}}
    return a_pod(containerStatuses=[{"name": "trainer", "image": image, "state": state}])


def an_unschedulable_pod(index: int = 0) -> Manifest:
    refused = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/3 nodes"}
    return a_pod(index, conditions=[refused])


def a_running_pod(index: int = 0) -> Manifest:
    return a_pod(index, phase="Running", containerStatuses=[{"name": "trainer", "state": {"running": {}}}])


def find(*pods: Manifest, after: float = 0, **worker: Any) -> Blocker | None:
    job = {"metadata": {"name": "churn-worker-0"}, "status": {"startTime": to_rfc3339(START)}}
    return of_job(a_spec(**worker), job, dict(enumerate(pods)), now=START + timedelta(seconds=after))


@pytest.mark.parametrize(
    ("pod", "worker", "reason", "transient", "says"),
    [
        pytest.param(
            an_unschedulable_pod(), {"gpus": 8}, "Unschedulable", True, "It asks for 8 nvidia.com/gpu", id="no node"
        ),
        pytest.param(
            an_unschedulable_pod(),
            {"replicas": 3},
            "Unschedulable",
            True,
            "no node can take 1 of 3 pods",
            id="of several",
        ),
        pytest.param(
            a_waiting_pod("ErrImagePull", "not found"),
            {"image": "me/train:1"},
            "ImagePullFailed",
            False,
            "image 'me/train:1' cannot be pulled (not found); check spec.roles.worker.image and "
            "spec.roles.worker.template.imagePullSecrets",
            id="no such image",
        ),
        pytest.param(
            a_waiting_pod("ImagePullBackOff"), {}, "ImagePullFailed", False, "(ImagePullBackOff)", id="image again"
        ),
        pytest.param(
            a_waiting_pod("CreateContainerConfigError", 'secret "x" not found'),
            {},
            "CreateContainerConfigError",
            False,
            'the container cannot be started: secret "x" not found',
            id="no such secret",
        ),
    ],
)
def test_what_keeps_a_pod_from_running(
    pod: Manifest, worker: dict[str, Any], reason: str, transient: bool, says: str
) -> None:
    found = find(pod, **worker)

    assert found is not None
    assert (found.reason, found.transient) == (reason, transient)
    assert says in found.message


@pytest.mark.parametrize(
    ("pods", "after", "worker"),
    [
        pytest.param([a_running_pod()], 3600, {}, id="a pod that runs"),
        pytest.param([], 59, {}, id="no pod yet"),
        pytest.param([a_pod(phase="Pending")], 59, {}, id="a pod that was just made"),
        pytest.param([a_waiting_pod("ContainerCreating")], 59, {"replicas": 2}, id="its volumes take a moment"),
    ],
)
def test_nothing_is_in_the_way(pods: list[Manifest], after: float, worker: dict[str, Any]) -> None:
    assert find(*pods, after=after, **worker) is None


@pytest.mark.parametrize(
    ("pods", "worker", "reason", "says"),
    [
        pytest.param([], {}, "PodsNotCreated", "no pod for more than 60 s", id="no pod"),
        pytest.param([a_running_pod()], {"replicas": 2}, "PodsNotCreated", "only 1 of 2 pods", id="too few pods"),
        pytest.param(
            [a_waiting_pod("ContainerCreating"), a_running_pod(1)],
            {"replicas": 2},
            "WaitingForVolumes",
            "the claim 'models': where that is not ReadWriteMany",
            id="a claim on another node",
        ),
        pytest.param(
            [a_waiting_pod("ContainerCreating")], {}, "WaitingForVolumes", "It mounts the claim 'models'", id="a claim"
        ),
    ],
)
def test_what_takes_longer_than_a_minute_is_said(
    pods: list[Manifest], worker: dict[str, Any], reason: str, says: str
) -> None:
    found = find(*pods, after=60, **worker)

    assert found is not None
    assert found.reason == reason
    assert says in found.message
