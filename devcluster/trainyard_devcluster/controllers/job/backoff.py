"""How long a Job waits before it replaces failed pods: 10 s, doubling with every failure in a row."""

from collections.abc import Iterable
from datetime import datetime

from trainyard_devcluster import pods
from trainyard_devcluster.controllers.job.spec import (
    INDEX_FAILURES_ANNOTATION,
    INDEX_IGNORED_FAILURES_ANNOTATION,
    is_tracked,
)
from trainyard_devcluster.events import parse_timestamp
from trainyard_devcluster.resources import Object

FIRST_BACKOFF_SECONDS = 10.0
LAST_BACKOFF_SECONDS = 600.0


def remaining(job_pods: Iterable[Object], now: datetime) -> float:
    """Seconds until a Job may start a pod, counted from the failures since its last success."""
    finished = sorted((pod for pod in job_pods if _has_ended(pod)), key=_ended_at)
    failures = 0
    for pod in finished:
        failures = 0 if pods.phase(pod) == "Succeeded" else failures + 1
    return _left(failures, _ended_at(finished[-1]), now) if failures else 0.0


def remaining_for_index(last_failed: Object | None, now: datetime) -> float:
    """Seconds until one index may start a pod again."""
    return _left(1 + sum(failures_before(last_failed)), _ended_at(last_failed), now) if last_failed else 0.0


def failures_before(pod: Object) -> tuple[int, int]:
    """How often the pod's index had failed before it was started: failures that counted, and ignored ones."""
    annotations = pod["metadata"].get("annotations") or {}
    counts = [annotations.get(key, "0") for key in (INDEX_FAILURES_ANNOTATION, INDEX_IGNORED_FAILURES_ANNOTATION)]
    return int(counts[0]), int(counts[1])


def _left(failures: int, since: datetime, now: datetime) -> float:
    delay = min(FIRST_BACKOFF_SECONDS * 2.0 ** (failures - 1), LAST_BACKOFF_SECONDS)
    return max(0.0, delay - (now - since).total_seconds())


def _has_ended(pod: Object) -> bool:
    # A pod that was taken down as surplus is terminating too, but nobody tracks it any more.
    return pods.is_terminal(pod) or (pods.is_terminating(pod) and is_tracked(pod))


def _ended_at(pod: Object) -> datetime:
    status = pod.get("status", {})
    ends = [
        entry["state"]["terminated"]["finishedAt"]
        for entry in status.get("containerStatuses") or ()
        if entry.get("state", {}).get("terminated", {}).get("finishedAt")
    ]
    ready = pods.condition(pod, "Ready") or {}
    metadata = pod["metadata"]
    fallback = metadata.get("deletionTimestamp") or ready.get("lastTransitionTime") or metadata["creationTimestamp"]
    return max(map(parse_timestamp, ends)) if ends else parse_timestamp(fallback)
