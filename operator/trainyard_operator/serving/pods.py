"""What can be read off a pod."""

from datetime import datetime

from trainyard_operator.cluster.port import Manifest
from trainyard_operator.runtime.clock import from_rfc3339

FETCH, SERVER = "fetch", "server"
"""The containers of a serving pod: the one that brings the model, and TensorFlow Serving."""


def is_leaving(pod: Manifest) -> bool:
    """Return whether the pod has ended or has been told to: it does not count any more."""
    return "deletionTimestamp" in pod["metadata"] or pod.get("status", {}).get("phase") in ("Succeeded", "Failed")


def condition(pod: Manifest, name: str) -> Manifest:
    """Return a condition of the pod; empty where it has none of that type."""
    return next((each for each in pod.get("status", {}).get("conditions", []) if each["type"] == name), {})


def is_ready(pod: Manifest) -> bool:
    """Return whether the Service sends requests to the pod."""
    return condition(pod, "Ready").get("status") == "True" and bool(address(pod))


def ready_since(pod: Manifest) -> datetime:
    """Return when a ready pod became so."""
    return from_rfc3339(condition(pod, "Ready").get("lastTransitionTime") or pod["metadata"]["creationTimestamp"])


def address(pod: Manifest) -> str:
    """Return the pod's IP address; empty before it has one."""
    return str(pod.get("status", {}).get("podIP") or "")
