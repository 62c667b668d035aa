from datetime import timedelta
from typing import Any

import pytest

from support.serving import START
from trainyard_api.server import Server
from trainyard_operator.cluster.port import Manifest
from trainyard_operator.serving.blockers import of_revision
from trainyard_operator.serving.revision import Revision
from trainyard_operator.serving.source import ModelVersion
from trainyard_operator.workloads.blockers import Blocker

REVISION = Revision(ModelVersion("models", "churn", "1"), Server(gpus=2))


def a_pod(name: str = "churn-0", **status: Any) -> Manifest:
    return {"metadata": {"name": name, "creationTimestamp": "2026-11-23T10:00:00Z"}, "status": status}


def a_ready_pod(name: str = "churn-0") -> Manifest:
    ready = {"type": "Ready", "status": "True", "lastTransitionTime": "2026-11-23T10:00:00Z"}
    return a_pod(name, podIP="10.0.0.1", conditions=[ready])


def waiting(reason: str, message: str = "", name: str = "server") -> Manifest:
    state = {"waiting": {"reason": reason, "message": message}}
    return a_pod(containerStatuses=[{"name": name, "image": "tensorflow/serving:nope", "state": state}])


def ended(container: str, *, again: bool = False, **end: Any) -> Manifest:
    terminated = {"terminated": {"exitCode": 1} | end}
    states = {"state": {"running": {}}, "lastState": terminated} if again else {"state": terminated}
    group = "initContainerStatuses" if container == "fetch" else "containerStatuses"
    return a_pod(**{group: [{"name": container, "image": "x", **states}]})


UNSCHEDULABLE = a_pod(
    "churn-1",
    conditions=[
        {
            "type": "PodScheduled",
            "status": "False",
            "reason": "Unschedulable",
            "message": "0/3 nodes are available: 3 Insufficient nvidia.com/gpu.",
        }
    ],
)


def find(*members: Manifest, deployment: Manifest | None = None, silent: str = "", later: int = 0) -> Blocker | None:
    now = START + timedelta(seconds=later)
    return of_revision(deployment, members, REVISION, not_serving={silent: "LOADING"} if silent else {}, now=now)


@pytest.mark.parametrize(
    ("pod", "reason", "said"),
    [
        pytest.param(
            UNSCHEDULABLE, "Unschedulable", "2 nvidia.com/gpu (spec.server.gpus)", id="no node: what it asks for"
        ),
        pytest.param(UNSCHEDULABLE, "Unschedulable", "0/3 nodes are available", id="no node: what the scheduler says"),
        pytest.param(
            waiting("ErrImagePull", "manifest unknown"),
            "ImagePullFailed",
            "'tensorflow/serving:nope'",
            id="no such image",
        ),
        pytest.param(waiting("ImagePullBackOff"), "ImagePullFailed", "spec.server.image", id="no such image, again"),
        pytest.param(
            waiting("CreateContainerConfigError", "secret not found"),
            "CreateContainerConfigError",
            "secret not found",
            id="no such key",
        ),
        pytest.param(
            ended("fetch", message="DigestMismatch: it was changed"),
            "DigestMismatch",
            "pod churn-0: it was changed",
            id="the fetch says why",
        ),
        pytest.param(
            ended("fetch", message="Traceback (most recent call last)"),
            "FetchFailed",
            "Traceback",
            id="the fetch crashed",
        ),
        pytest.param(ended("fetch", exitCode=137), "FetchFailed", "exit code 137", id="the fetch was killed"),
        pytest.param(
            ended("server", message="Failed to start server.\nError: x\n"),
            "ServerCrashed",
            "server. Error: x",
            id="the server says why",
        ),
        pytest.param(
            ended("server", again=True, exitCode=255),
            "ServerCrashed",
            "exit code 255",
            id="the server crashes again and again",
        ),
        pytest.param(
            ended("server", reason="OOMKilled", exitCode=137),
            "OOMKilled",
            "spec.server.resources.limits",
            id="out of memory",
        ),
    ],
)
def test_what_is_wrong_with_a_pod_is_told_with_what_to_do(pod: Manifest, reason: str, said: str) -> None:
    found = find(pod)

    assert found is not None
    assert found.reason == reason
    assert said in found.message
    assert pod["metadata"]["name"] in found.message


@pytest.mark.parametrize(
    "pod",
    [
        pytest.param(a_pod(), id="new"),
        pytest.param(a_pod(phase="Pending", conditions=[{"type": "PodScheduled", "status": "True"}]), id="has a node"),
        pytest.param(waiting("ContainerCreating"), id="is created"),
        pytest.param(waiting("PodInitializing"), id="fetches"),
        pytest.param(ended("fetch", exitCode=0), id="has fetched"),
        pytest.param(a_ready_pod(), id="ready"),
    ],
)
def test_a_pod_on_its_way_is_no_problem(pod: Manifest) -> None:
    assert find(pod) is None


def test_a_pod_that_crashed_and_serves_again_is_no_problem() -> None:
    pod = ended("server", again=True)
    pod["status"] |= a_ready_pod()["status"]

    assert find(pod) is None


def test_a_silent_pod_is_a_problem_after_a_minute() -> None:
    assert find(a_ready_pod(), silent="churn-0", later=59) is None
    found = find(a_ready_pod(), silent="churn-0", later=60)
    assert found is not None
    assert found.reason == "ModelNotAvailable"
    assert found.message.startswith("pod churn-0 ")
    assert found.message.endswith("LOADING")


def test_what_stays_wrong_is_told_before_what_may_pass() -> None:
    for order in ([UNSCHEDULABLE, ended("server")], [ended("server"), UNSCHEDULABLE]):
        found = find(*order)
        assert found is not None
        assert found.reason == "ServerCrashed"
        assert not found.transient


def test_a_full_cluster_may_pass() -> None:
    found = find(UNSCHEDULABLE)

    assert found is not None
    assert found.transient


@pytest.mark.parametrize(
    ("condition", "reason"),
    [
        ({"type": "ReplicaFailure", "status": "True", "message": "exceeded quota"}, "PodsNotCreated"),
        (
            {"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded"},
            "ProgressDeadlineExceeded",
        ),
        ({"type": "Progressing", "status": "True", "reason": "ReplicaSetUpdated"}, None),
    ],
)
def test_a_deployment_that_gets_no_pods_says_why(condition: Manifest, reason: str | None) -> None:
    found = find(deployment={"status": {"conditions": [condition]}})

    assert (found and found.reason) == reason
