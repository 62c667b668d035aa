"""Revision numbers of a Deployment's ReplicaSets, and which of them history still keeps."""

from collections.abc import Mapping, Sequence

from trainyard_devcluster import pods
from trainyard_devcluster.controllers.deployment.rolling import DESIRED_ANNOTATION, MOST_ANNOTATION, replicas_of
from trainyard_devcluster.controllers.deployment.spec import DeploymentSpec
from trainyard_devcluster.resources import Object

REVISION_ANNOTATION = "deployment.kubernetes.io/revision"
HISTORY_ANNOTATION = "deployment.kubernetes.io/revision-history"
_OWN_ANNOTATIONS = frozenset(
    {
        REVISION_ANNOTATION,
        HISTORY_ANNOTATION,
        DESIRED_ANNOTATION,
        MOST_ANNOTATION,
        "deprecated.deployment.rollback.to",
        "kubectl.kubernetes.io/last-applied-configuration",
    }
)


def revision_of(obj: Object) -> int:
    """The revision that an object is marked with; 0 without a mark."""
    text = (obj["metadata"].get("annotations") or {}).get(REVISION_ANNOTATION, "0")
    return int(text) if text.isdecimal() else 0


def annotations_for(
    deployment: Object, new: Object | None, old: Sequence[Object], spec: DeploymentSpec
) -> dict[str, str]:
    """What the current ReplicaSet is annotated with: its revision is always the newest."""
    present: Mapping[str, str] = (new["metadata"].get("annotations") or {}) if new else {}
    given: Mapping[str, str] = deployment["metadata"].get("annotations") or {}
    annotations = {key: value for key, value in given.items() if key not in _OWN_ANNOTATIONS}
    newest = max((revision_of(entry) for entry in old), default=0) + 1
    before = revision_of(new) if new else 0
    annotations[REVISION_ANNOTATION] = str(max(newest, before))
    history = [entry for entry in present.get(HISTORY_ANNOTATION, "").split(",") if entry]
    if before and before < newest:
        history = [entry for entry in history if entry != str(before)] + [str(before)]
    if history:
        annotations[HISTORY_ANNOTATION] = ",".join(history)
    return {**present, **annotations, **size_annotations(spec)}


def size_annotations(spec: DeploymentSpec) -> dict[str, str]:
    """The Deployment's size, as a ReplicaSet remembers it."""
    return {DESIRED_ANNOTATION: str(spec.replicas), MOST_ANNOTATION: str(spec.most_pods)}


def outdated(spec: DeploymentSpec, old: Sequence[Object]) -> list[Object]:
    """Empty ReplicaSets beyond those that a person may roll back to; the oldest revisions go."""
    empty = [
        entry
        for entry in old
        if not replicas_of(entry)
        and not entry.get("status", {}).get("replicas")
        and entry["metadata"].get("generation", 0) <= entry.get("status", {}).get("observedGeneration", 0)
        and not pods.is_terminating(entry)
    ]
    return sorted(empty, key=revision_of)[: max(0, len(empty) - spec.history_limit)]
