"""What an unmodified kubectl tells of things that run."""

import json
import re
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from support import kubectl as program
from support.kube_api import Api, Object
from support.manifests import a_claim, a_pod, a_shell

FOREVER = "trap 'exit 0' TERM; echo up; while :; do sleep 1 & wait $!; done"
Kubectl = Callable[..., str]


@pytest.fixture
def kubectl(kubeconfig: Path, namespace: str, tmp_path: Path) -> Kubectl:
    environment = program.environment(kubeconfig, tmp_path)
    return lambda *arguments: program.kubectl("--namespace", namespace, *arguments, env=environment)


def runs(pod: Object) -> bool:
    return (pod.get("status") or {}).get("phase") == "Running"


def fields(described: str) -> dict[str, str]:
    """The fields of a description that stand at the left, by their names."""
    return dict(re.findall(r"^(\w[\w ]*): +(\S.*)$", described, re.MULTILINE))


def test_logs_are_read_and_followed_to_the_end(api: Api, kubectl: Kubectl) -> None:
    api.create(a_pod(a_shell("echo one; sleep 1; echo two"), name="speaker"))
    api.wait_for(a_pod(name="speaker"), lambda pod: (pod.get("status") or {}).get("phase") not in (None, "Pending"))
    assert kubectl("logs", "-f", "speaker") == "one\ntwo\n"
    assert kubectl("logs", "speaker", "--tail=1") == "two\n"
    (line,) = kubectl("logs", "speaker", "--tail=1", "--timestamps").splitlines()
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z two", line)


def test_a_deployment_is_described(api: Api, kubectl: Kubectl) -> None:
    kubectl("create", "deployment", "web", "--image=busybox:1.36", "--", "sh", "-c", FOREVER)
    kubectl("rollout", "status", "deployment/web", "--timeout=60s")
    described = kubectl("describe", "deploy", "web")
    assert fields(described)["Replicas"] == "1 desired | 1 updated | 1 total | 1 available | 0 unavailable"
    assert re.search(r"Available +True +MinimumReplicasAvailable", described)
    assert re.search(r"NewReplicaSet: +web-\w+ \(1/1 replicas created\)", described)
    assert re.search(r"ScalingReplicaSet .* Scaled up replica set web-\w+ (from 0 )?to 1", described)
    assert kubectl("logs", "deploy/web") == "up\n"


def test_a_node_is_described_with_what_runs_there(api: Api, kubectl: Kubectl) -> None:
    asks = {"requests": {"cpu": "10m", "memory": "16Mi"}}
    api.create(a_pod(a_shell(FOREVER, resources=asks), name="resident"))
    node = api.wait_for(a_pod(name="resident"), runs)["spec"]["nodeName"]
    described = kubectl("describe", "node", node)
    assert fields(described)["Name"] == node
    assert re.search(r"Ready +True .* KubeletReady", described)
    assert re.search(rf"{api.namespace} +resident +10m \(\d+%\) +0 \(0%\) +16Mi \(\d+%\)", described)
    assert "Allocated resources:" in described


def test_what_a_pod_uses_is_told(api: Api, kubectl: Kubectl) -> None:
    if "metrics.k8s.io/v1beta1" not in kubectl("api-versions").splitlines():
        pytest.skip("this cluster has no metrics-server")
    api.create(a_pod(a_shell("while :; do :; done"), name="busy", terminationGracePeriodSeconds=1))
    api.wait_for(a_pod(name="busy"), runs)
    deadline, millicores = time.monotonic() + 60, 0
    while millicores < 50:
        assert time.monotonic() < deadline, "a busy pod uses no processor time"
        time.sleep(1)
        # Nothing is told of a pod before it was measured twice.
        measured = json.loads(kubectl("get", "--raw", f"/apis/metrics.k8s.io/v1beta1/namespaces/{api.namespace}/pods"))
        if measured["items"]:
            found = re.fullmatch(r"busy +(\d+)m +\d+Mi", kubectl("top", "pods", "busy", "--no-headers").strip())
            assert found
            millicores = int(found[1])
    assert re.search(r"\d+m +\d+% +\d+Mi +\d+%", kubectl("top", "nodes"))


def test_a_claim_is_described_with_who_uses_it(api: Api, kubectl: Kubectl, default_class: str) -> None:
    mounted = [{"name": "models", "persistentVolumeClaim": {"claimName": "models"}}]
    api.create(a_claim("models"))
    api.create(a_pod(a_shell(FOREVER), name="user", volumes=mounted))
    api.wait_for(a_pod(name="user"), runs)
    found = fields(kubectl("describe", "pvc", "models"))
    assert (found["Status"], found["StorageClass"], found["Used By"]) == ("Bound", default_class, "user")
    assert (found["Access Modes"], found["VolumeMode"]) == ("RWO", "Filesystem")


def test_a_claim_that_is_deleted_stays_until_no_pod_has_it(api: Api, default_class: str) -> None:
    volume = {"name": "v", "persistentVolumeClaim": {"claimName": "held"}}
    api.create(a_claim("held"))
    api.create(a_pod(a_shell("true"), volumes=[volume], restartPolicy="Never"))
    api.wait_for(a_pod(), lambda pod: pod["status"].get("phase") == "Succeeded", description="it has finished")
    api.delete(a_claim("held"))
    held = api.wait_for(a_claim("held"), lambda claim: "deletionTimestamp" in claim["metadata"])
    assert held["metadata"]["finalizers"] == ["kubernetes.io/pvc-protection"]
    api.delete(a_pod())
    api.wait_until_gone(a_claim("held"))
