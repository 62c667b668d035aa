"""What can be read off a pod."""

from collections.abc import Iterator
from datetime import datetime

from trainyard_api.times import from_rfc3339
from trainyard_operator.cluster.port import Manifest


def is_alive(pod: Manifest) -> bool:
    """Return whether something may still run in the pod."""
    return pod.get("status", {}).get("phase") not in ("Succeeded", "Failed")


def is_leaving(pod: Manifest) -> bool:
    """Return whether the pod has ended or has been told to: it does not count any more."""
    return "deletionTimestamp" in pod["metadata"] or not is_alive(pod)


def condition(resource: Manifest, name: str) -> Manifest:
    """Return a condition of a pod, or of its owner; empty where there is none of that type."""
    return next((one for one in resource.get("status", {}).get("conditions", []) if one["type"] == name), {})


def holds(resource: Manifest, name: str) -> bool:
    """Return whether a condition of a pod, or of its owner, is true."""
    return condition(resource, name).get("status") == "True"


def is_ready(pod: Manifest) -> bool:
    """Return whether the Service sends requests to the pod."""
    return holds(pod, "Ready") and bool(address(pod))


def ready_since(pod: Manifest) -> datetime:
    """Return when a ready pod became so."""
    return from_rfc3339(condition(pod, "Ready").get("lastTransitionTime") or pod["metadata"]["creationTimestamp"])


def created(pod: Manifest) -> datetime:
    """Return when the pod was created."""
    return from_rfc3339(pod["metadata"]["creationTimestamp"])


def address(pod: Manifest) -> str:
    """Return the pod's IP address; empty before it has one."""
    return str(pod.get("status", {}).get("podIP") or "")


def container_statuses(pod: Manifest) -> Iterator[Manifest]:
    """Yield what the kubelet says of each container, those that prepare the pod first."""
    status = pod.get("status", {})
    yield from status.get("initContainerStatuses", [])
    yield from status.get("containerStatuses", [])


def state_of(pod: Manifest | None, container: str) -> Manifest:
    """Return the state of one container; others in the pod, such as injected proxies, do not count."""
    statuses = (pod or {}).get("status", {}).get("containerStatuses", [])
    state: Manifest = next((status.get("state", {}) for status in statuses if status["name"] == container), {})
    return state
