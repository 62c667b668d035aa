"""Small Kubernetes objects for tests, as the API server would show them."""

from datetime import UTC, datetime, timedelta
from typing import Any

Object = dict[str, Any]

NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)


def at(seconds: float) -> str:
    """A timestamp so many seconds after NOW."""
    return (NOW + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")


def metadata(name: str, *, uid: str = "", owner: Object | None = None, **extra: Any) -> Object:
    """Metadata in the namespace `default`."""
    given: Object = {
        "name": name,
        "namespace": "default",
        "uid": uid or f"uid-{name}",
        "creationTimestamp": at(-60),
        "resourceVersion": "1",
        "generation": 1,
    }
    if owner is not None:
        given["ownerReferences"] = [
            {
                "apiVersion": owner["apiVersion"],
                "kind": owner["kind"],
                "name": owner["metadata"]["name"],
                "uid": owner["metadata"]["uid"],
                "controller": True,
                "blockOwnerDeletion": True,
            }
        ]
    return given | {key: value for key, value in extra.items() if value is not None}


def a_pod(
    name: str = "pod",
    *,
    phase: str = "Running",
    ready: bool | None = None,
    owner: Object | None = None,
    labels: dict[str, str] | None = None,
    node: str = "n1",
    ip: str = "",
    deleted: bool = False,
    ready_since: float = -30,
    spec: Object | None = None,
    **extra: Any,
) -> Object:
    """A pod with one container `main`."""
    ready = phase == "Running" if ready is None else ready
    status: Object = {
        "phase": phase,
        "conditions": [{"type": "Ready", "status": str(ready), "lastTransitionTime": at(ready_since)}],
    }
    if ip:
        status["podIP"] = ip
    deletion = at(0) if deleted else None
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": metadata(name, owner=owner, labels=labels or {}, deletionTimestamp=deletion, **extra),
        "spec": {"containers": [{"name": "main"}]} | ({"nodeName": node} if node else {}) | (spec or {}),
        "status": status,
    }


def ended(pod: Object, code: int, *, finished: float = -20, container: str = "main") -> Object:
    """The pod, with its container ended."""
    state = {"terminated": {"exitCode": code, "finishedAt": at(finished)}}
    phase = "Failed" if code else "Succeeded"
    statuses = [{"name": container, "state": state, "restartCount": 0}]
    return pod | {"status": pod["status"] | {"phase": phase, "containerStatuses": statuses}}


def a_job(name: str = "job", *, status: Object | None = None, deleted: bool = False, **spec: Any) -> Object:
    """A Job whose pods run one container `main`."""
    template = {
        "metadata": {"labels": {"app": name}},
        "spec": {"restartPolicy": "Never", "containers": [{"name": "main"}]},
    }
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": metadata(name, deletionTimestamp=at(0) if deleted else None),
        "spec": {"template": template} | spec,
        "status": status or {},
    }


def a_deployment(name: str = "web", *, status: Object | None = None, image: str = "web:1", **spec: Any) -> Object:
    """A Deployment of one container."""
    template = {"metadata": {"labels": {"app": name}}, "spec": {"containers": [{"name": "main", "image": image}]}}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": metadata(name),
        "spec": {"selector": {"matchLabels": {"app": name}}, "template": template, "replicas": 1} | spec,
        "status": status or {},
    }


def a_replica_set(
    name: str,
    replicas: int,
    *,
    available: int | None = None,
    created: float = -60,
    image: str = "web:1",
    annotations: dict[str, str] | None = None,
    **status: Any,
) -> Object:
    """A ReplicaSet as a Deployment `web` makes it; all its pods are available where nothing else is said."""
    available = replicas if available is None else available
    labels = {"app": "web", "pod-template-hash": name}
    counts = {"replicas": replicas, "readyReplicas": available, "availableReplicas": available}
    return {
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "metadata": metadata(name, labels=labels, annotations=annotations or {}) | {"creationTimestamp": at(created)},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {"containers": [{"name": "main", "image": image}]},
            },
        },
        "status": counts | {"observedGeneration": 1} | status,
    }


def a_service(name: str = "web", *, selector: dict[str, str] | None = None, **spec: Any) -> Object:
    """A Service for the label `app: web` at port 80."""
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": metadata(name),
        "spec": {"selector": selector or {"app": "web"}, "ports": [{"port": 80, "protocol": "TCP"}]} | spec,
    }


def a_node(
    name: str = "n1", *, labels: dict[str, str] | None = None, allocatable: Object | None = None, **spec: Any
) -> Object:
    """A ready node with four cores, 8 GiB and room for ten pods."""
    offered = {"cpu": "4", "memory": "8Gi", "pods": "10"} | (allocatable or {})
    ready = {"type": "Ready", "status": "True", "lastTransitionTime": at(-600), "lastHeartbeatTime": at(-5)}
    given = metadata(name, labels=labels or {})
    del given["namespace"]
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": given,
        "spec": spec,
        "status": {"allocatable": offered, "conditions": [ready]},
    }
