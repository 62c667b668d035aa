"""Selectors of jobs: the server makes one from the job's UID, so that no two jobs count the same pods."""

from trainyard_devcluster.apiserver.cluster import Cluster
from trainyard_devcluster.apiserver.values import Object

UID_LABEL = "batch.kubernetes.io/controller-uid"
NAME_LABEL = "batch.kubernetes.io/job-name"


def generate_selector(cluster: Cluster, job: Object, old: Object | None) -> None:
    """Set the selector and the labels of the template that it selects; an update keeps them."""
    spec = job["spec"]
    if spec.get("manualSelector"):
        return
    if old is not None:
        spec.setdefault("selector", old["spec"].get("selector"))
        labels = (old["spec"]["template"].get("metadata") or {}).get("labels") or {}
        generated = {key: value for key, value in labels.items() if key in _keys()}
    else:
        uid, name = job["metadata"]["uid"], job["metadata"].get("name", "")
        generated = {UID_LABEL: uid, "controller-uid": uid, NAME_LABEL: name, "job-name": name}
        spec.setdefault("selector", {}).setdefault("matchLabels", {})[UID_LABEL] = uid
    template = spec["template"].setdefault("metadata", {})
    template["labels"] = (template.get("labels") or {}) | generated


def _keys() -> frozenset[str]:
    return frozenset({UID_LABEL, NAME_LABEL, "controller-uid", "job-name"})
