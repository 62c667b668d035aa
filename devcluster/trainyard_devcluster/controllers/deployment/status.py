"""A Deployment's status: counts, and whether it is available and makes progress."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from trainyard_devcluster import pods
from trainyard_devcluster.controllers.conditions import a_condition, with_condition, without_condition
from trainyard_devcluster.controllers.deployment.rolling import available_in
from trainyard_devcluster.controllers.deployment.spec import DeploymentSpec
from trainyard_devcluster.events import parse_timestamp, timestamp
from trainyard_devcluster.resources import Object, name_of

COMPLETE_REASON = "NewReplicaSetAvailable"
TIMED_OUT_REASON = "ProgressDeadlineExceeded"


def status_of(
    deployment: Object, spec: DeploymentSpec, new: Object | None, old: Sequence[Object], now: datetime
) -> Object:
    """The status that follows from the ReplicaSets."""
    before = deployment.get("status", {})
    counts = _counts(new, old)
    conditions = list(before.get("conditions") or ())
    conditions = _set(conditions, _availability(spec, counts), now)
    progress = _progress(deployment, spec, new, counts, now)
    if progress is not None:
        conditions = _set(conditions, progress, now, refresh=_moved(before, counts))
    elif spec.progress_deadline is None:
        conditions = without_condition(conditions, "Progressing")
    conditions = _with_failure(conditions, new, old, now)
    status: Object = {key: value for key, value in counts.items() if value}
    if before.get("collisionCount") is not None:
        status["collisionCount"] = before["collisionCount"]
    return status | {"observedGeneration": deployment["metadata"].get("generation"), "conditions": conditions}


def deadline(deployment: Object, spec: DeploymentSpec) -> datetime | None:
    """When the rollout counts as stuck; None where it is complete, paused or already stuck."""
    condition = pods.condition(deployment, "Progressing")
    if condition is None or spec.progress_deadline is None or spec.paused:
        return None
    if condition.get("reason") in (COMPLETE_REASON, TIMED_OUT_REASON):
        return None
    since = parse_timestamp(condition.get("lastUpdateTime") or condition["lastTransitionTime"])
    return since + timedelta(seconds=spec.progress_deadline)


def is_complete(spec: DeploymentSpec, status: Object) -> bool:
    """Whether every replica runs the present template and is available."""
    keys = ("replicas", "updatedReplicas", "availableReplicas")
    return all(int(status.get(key) or 0) == spec.replicas for key in keys)


def _counts(new: Object | None, old: Sequence[Object]) -> dict[str, int]:
    sets = [*old, *([new] if new else [])]
    running = sum(int(entry.get("status", {}).get("replicas") or 0) for entry in sets)
    asked = sum(int(entry["spec"].get("replicas") or 0) for entry in sets)
    available = sum(map(available_in, sets))
    return {
        "replicas": running,
        "updatedReplicas": int(new.get("status", {}).get("replicas") or 0) if new else 0,
        "readyReplicas": sum(int(entry.get("status", {}).get("readyReplicas") or 0) for entry in sets),
        "availableReplicas": available,
        "unavailableReplicas": max(0, asked - available),
    }


def _availability(spec: DeploymentSpec, counts: Object) -> Object:
    if counts["availableReplicas"] >= spec.fewest_available:
        message = "Deployment has minimum availability."
        return a_condition("Available", "True", "MinimumReplicasAvailable", message)
    message = "Deployment does not have minimum availability."
    return a_condition("Available", "False", "MinimumReplicasUnavailable", message)


def _progress(
    deployment: Object, spec: DeploymentSpec, new: Object | None, counts: Object, now: datetime
) -> Object | None:
    if spec.progress_deadline is None:
        return None
    known = pods.condition(deployment, "Progressing")
    if spec.paused:
        return a_condition("Progressing", "Unknown", "DeploymentPaused", "Deployment is paused")
    subject = f'ReplicaSet "{name_of(new)}"' if new else f'Deployment "{name_of(deployment)}"'
    if is_complete(spec, counts):
        if known and known["reason"] == COMPLETE_REASON and subject in known["message"]:
            return known
        return a_condition("Progressing", "True", COMPLETE_REASON, f"{subject} has successfully progressed.")
    if known is None:
        return a_condition("Progressing", "True", "NewReplicaSetCreated", f"Created new {_lower(subject)}")
    if known["reason"] == "DeploymentPaused":
        return a_condition("Progressing", "Unknown", "DeploymentResumed", "Deployment is resumed")
    if known["reason"] == COMPLETE_REASON and subject in known["message"]:
        # Complete once, and disturbed since: no new rollout, so nothing to wait for.
        return known
    if _moved(deployment.get("status", {}), counts) or known["reason"] == COMPLETE_REASON:
        return a_condition("Progressing", "True", "ReplicaSetUpdated", f"{subject} is progressing.")
    end = deadline(deployment, spec)
    if end is not None and now >= end:
        return a_condition("Progressing", "False", TIMED_OUT_REASON, f"{subject} has timed out progressing.")
    return known


def _lower(subject: str) -> str:
    return subject.replace("ReplicaSet", "replica set")


def _moved(before: Object, counts: Object) -> bool:
    def old_pods(status: Object) -> int:
        return int(status.get("replicas") or 0) - int(status.get("updatedReplicas") or 0)

    grown = any(
        int(counts.get(key) or 0) > int(before.get(key) or 0)
        for key in ("updatedReplicas", "readyReplicas", "availableReplicas")
    )
    return grown or old_pods(counts) < old_pods(before)


def _set(conditions: Sequence[Object], new: Object, now: datetime, *, refresh: bool = False) -> list[Object]:
    known = next((entry for entry in conditions if entry["type"] == new["type"]), None)
    if known is not None and not refresh and all(known.get(key) == new.get(key) for key in ("status", "reason")):
        return list(conditions)
    return with_condition(conditions, new | {"lastUpdateTime": timestamp(now)}, now)


def _with_failure(conditions: list[Object], new: Object | None, old: Sequence[Object], now: datetime) -> list[Object]:
    for entry in [*([new] if new else []), *old]:
        failure = pods.condition(entry, "ReplicaFailure")
        if failure is not None:
            told = {key: failure.get(key) for key in ("type", "status", "reason", "message")}
            return _set(conditions, told, now)
    return without_condition(conditions, "ReplicaFailure")
