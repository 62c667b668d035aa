"""Which pods get a node, and what the others are told."""

from typing import Any

import pytest

from support.kube_api import Api, Object
from support.manifests import a_claim, a_shell

GPU = "nvidia.com/gpu"


def a_pod(name: str, *, gpus: int = 0, requests: Object | None = None, **spec: Any) -> Object:
    limits = {GPU: str(gpus)} if gpus else {}
    resources = {"limits": limits, "requests": limits | (requests or {})}
    container = a_shell("trap 'exit 0' TERM; while :; do sleep 1 & wait $!; done", resources=resources)
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name},
        "spec": {"containers": [container], "terminationGracePeriodSeconds": 2} | spec,
    }


def is_bound(pod: Object) -> bool:
    return bool(pod["spec"].get("nodeName"))


def is_unschedulable(pod: Object) -> bool:
    conditions = (pod.get("status") or {}).get("conditions") or ()
    return any(
        (entry["type"], entry["status"], entry.get("reason")) == ("PodScheduled", "False", "Unschedulable")
        for entry in conditions
    )


def test_a_pod_gets_a_node(api: Api) -> None:
    api.create(a_pod("small", requests={"cpu": "1m", "memory": "1Mi"}))
    found = api.wait_for(a_pod("small"), lambda pod: pod["status"].get("phase") == "Running", description="it runs")
    [scheduled] = [entry for entry in found["status"]["conditions"] if entry["type"] == "PodScheduled"]
    assert scheduled["status"] == "True"
    event = api.wait_for_event("small", "Scheduled")
    assert event["message"] == f"Successfully assigned {api.namespace}/small to {found['spec']['nodeName']}"


@pytest.mark.parametrize(
    ("pod", "message"),
    [
        (a_pod("gpus", gpus=1000), f"Insufficient {GPU}"),
        (a_pod("cores", requests={"cpu": "100000"}), "Insufficient cpu"),
        (a_pod("memory", requests={"memory": "1000Ti"}), "Insufficient memory"),
        (a_pod("lost", nodeSelector={"trainyard.dev/nowhere": "x"}), "didn't match Pod's node affinity/selector"),
    ],
    ids=lambda value: value["metadata"]["name"] if isinstance(value, dict) else "",
)
def test_a_pod_that_fits_nowhere_is_told_why(api: Api, pod: Object, message: str) -> None:
    api.create(pod)
    found = api.wait_for(pod, is_unschedulable)
    [condition] = [entry for entry in found["status"]["conditions"] if entry["type"] == "PodScheduled"]
    assert message in condition["message"]
    assert " nodes are available: " in condition["message"]
    assert found["status"]["phase"] == "Pending"
    event = api.wait_for_event(found["metadata"]["name"], "FailedScheduling", containing=message)
    assert event["type"] == "Warning"


def test_a_pod_waits_for_a_gpu_until_another_gives_it_back(api: Api, gpus: int) -> None:
    api.create(a_pod("first", gpus=gpus))
    api.wait_for(a_pod("first"), is_bound)
    api.create(a_pod("second", gpus=gpus))
    api.wait_for(a_pod("second"), is_unschedulable)
    api.delete(a_pod("first"))
    api.wait_for(a_pod("second"), is_bound)


def test_a_pod_that_names_a_missing_claim_waits_for_it(api: Api, default_class: str) -> None:
    volumes = [{"name": "store", "persistentVolumeClaim": {"claimName": "late"}}]
    pod = a_pod("early", volumes=volumes)
    api.create(pod)
    api.wait_for_event("early", "FailedScheduling", containing='persistentvolumeclaim "late" not found')
    claim = a_claim("late")
    api.create(claim)
    api.wait_for(pod, is_bound)
    found = api.wait_for(claim, lambda entry: entry["status"].get("phase") == "Bound", description="it is bound")
    assert found["spec"]["storageClassName"] == default_class
    assert found["status"]["capacity"]["storage"]


def test_a_gated_pod_waits_until_its_gates_are_gone(api: Api) -> None:
    api.create(a_pod("gated", schedulingGates=[{"name": "example.com/gate"}]))

    def is_gated(pod: Object) -> bool:
        return any(entry.get("reason") == "SchedulingGated" for entry in pod["status"].get("conditions") or ())

    assert not is_bound(api.wait_for(a_pod("gated"), is_gated))
    api.patch(a_pod("gated"), {"spec": {"schedulingGates": []}})
    api.wait_for(a_pod("gated"), is_bound)


def test_a_pod_of_another_scheduler_is_left_alone(api: Api) -> None:
    api.create(a_pod("other", schedulerName="example.com-scheduler"))
    api.create(a_pod("ours"))
    api.wait_for(a_pod("ours"), is_bound)
    found = api.get(a_pod("other"))
    assert found is not None
    assert not is_bound(found)
