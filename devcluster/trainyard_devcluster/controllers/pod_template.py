"""Pods from pod templates, and which pods of several to part with first."""

from copy import deepcopy
from typing import Any

from trainyard_devcluster import pods
from trainyard_devcluster.resources import Object, name_of, namespace_of, uid_of


def owner_reference(owner: Object) -> Object:
    """A reference that makes `owner` the controller."""
    return {
        "apiVersion": owner["apiVersion"],
        "kind": owner["kind"],
        "name": name_of(owner),
        "uid": uid_of(owner),
        "controller": True,
        "blockOwnerDeletion": True,
    }


def pod_from(template: Object, owner: Object, prefix: str) -> Object:
    """A new pod of the template, controlled by `owner`. The API server adds the end of its name to `prefix`."""
    given: dict[str, Any] = template.get("metadata") or {}
    metadata: Object = {
        "generateName": prefix,
        "namespace": namespace_of(owner),
        "labels": dict(given.get("labels") or {}),
        "annotations": dict(given.get("annotations") or {}),
        "ownerReferences": [owner_reference(owner)],
    }
    if given.get("finalizers"):
        metadata["finalizers"] = list(given["finalizers"])
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": deepcopy(template["spec"])}


def parting_rank(pod: Object) -> tuple[object, ...]:
    """Sorts pods by how little is lost with them: waiting before running, unready before ready, young before old."""
    restarts = sum(int(entry.get("restartCount", 0)) for entry in pod.get("status", {}).get("containerStatuses") or ())
    stage = {"Pending": 0, "Unknown": 1, "Running": 2}.get(pods.phase(pod), 2)
    ready = pods.condition(pod, "Ready") or {}
    return (
        bool(pod["spec"].get("nodeName")),
        stage,
        pods.is_ready(pod),
        _newest_first(ready.get("lastTransitionTime") if pods.is_ready(pod) else None),
        -restarts,
        _newest_first(pod["metadata"].get("creationTimestamp")),
        name_of(pod),
    )


def _newest_first(moment: str | None) -> tuple[int, ...]:
    return tuple(-ord(character) for character in moment or "")
