"""Who has suspended the Job of an attempt, and whether that is to be changed.

A queue such as Kueue suspends and resumes Jobs of others. Two controllers that each force their will start and kill
pods several times a second. So what somebody else suspended stays suspended. What somebody else resumed is suspended
again once a minute at most.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from trainyard_api.names import FIELD_MANAGER
from trainyard_api.times import from_rfc3339
from trainyard_operator.cluster.port import Manifest
from trainyard_operator.training.conditions import QUEUED, SUSPENDED_BY_OTHER
from trainyard_operator.workloads.blockers import Blocker
from trainyard_operator.workloads.text import clean

_TRUCE = timedelta(seconds=60)


@dataclass(frozen=True, slots=True)
class Suspension:
    """What `spec.suspend` of a Job is to be, and why where that is not what our spec says."""

    suspend: bool
    blocker: Blocker | None = None


def decide(job: Manifest, *, target: bool, now: datetime) -> Suspension:
    """Return what becomes of `spec.suspend`, given who wrote it last.

    Args:
        job: The Job with its managed fields.
        target: What the spec of the TrainingJob says.
    """
    live = bool(job["spec"].get("suspend"))
    others = list(_others(job))
    if live == target or not others:
        return Suspension(target)
    manager, when = max(others, key=lambda other: other[1])
    name = job["metadata"]["name"]
    if live:
        message = f"suspended by {clean(manager, 100)}, which has to resume Job {name!r}; the training then goes on"
        return Suspension(True, Blocker(SUSPENDED_BY_OTHER, message, transient=True))
    # Suspended it shall be, and somebody keeps resuming it.
    return Suspension(now - when >= _TRUCE)


def queued(name: str, queue: str, *, suspended: bool) -> Suspension:
    """Return what becomes of `spec.suspend` of a Job with a queue: whatever the queue has made of it."""
    if not suspended:
        return Suspension(False)
    message = (
        f"Job {name!r} waits in queue {queue!r} (spec.runPolicy.queueName) until Kueue admits it. Where nothing "
        f"happens, see that Kueue is installed and `kubectl get localqueue {queue}` finds the queue in this namespace"
    )
    return Suspension(True, Blocker(QUEUED, message, transient=True))


def _others(job: Manifest) -> Iterator[tuple[str, datetime]]:
    """Yield the other managers of the field, and when each last wrote."""
    for entry in job["metadata"].get("managedFields", []):
        fields = entry.get("fieldsV1", {}).get("f:spec", {})
        if "f:suspend" in fields and entry.get("manager") != FIELD_MANAGER:
            yield str(entry.get("manager") or "somebody"), from_rfc3339(entry.get("time") or "1970-01-01T00:00:00Z")
