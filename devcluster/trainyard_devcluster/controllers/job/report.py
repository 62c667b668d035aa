"""A Job's status, from its pods as they are."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from trainyard_devcluster import pods
from trainyard_devcluster.controllers.conditions import a_condition, with_condition
from trainyard_devcluster.controllers.job import indexes
from trainyard_devcluster.controllers.job.census import Census, take
from trainyard_devcluster.controllers.job.outcome import decide
from trainyard_devcluster.controllers.job.spec import FAILURE, SUCCESS, JobSpec
from trainyard_devcluster.events import timestamp
from trainyard_devcluster.resources import Object


@dataclass(frozen=True, slots=True)
class Report:
    """The status to write, then the pods whose finalizer may go, then the events (type, reason, message) to tell."""

    status: Object
    releases: tuple[Object, ...]
    events: tuple[tuple[str, str, str], ...]


def report(job: Object, spec: JobSpec, job_pods: Sequence[Object], now: datetime) -> Report:
    """Say how the Job stands. Its final condition comes only when every pod has ended and is counted."""
    census = take(job, spec, job_pods)
    outcome = decide(job, spec, census, now)
    if outcome is not None:
        census = take(job, spec, job_pods, outcome=outcome["type"])
    conditions = list(job.get("status", {}).get("conditions") or ())
    events: list[tuple[str, str, str]] = []
    started = job.get("status", {}).get("startTime")
    if started is None and not spec.suspended:
        started = timestamp(now)
    final: Object | None = None
    if outcome is not None:
        conditions = _told(conditions, outcome, now)
        final = _final(census, outcome)
    elif not pods.is_terminating(job):
        suspension = _suspension(job, spec)
        if suspension is not None:
            conditions = _told(conditions, suspension, now)
            resumed = suspension["status"] == "False"
            started = timestamp(now) if resumed else started
            events.append(("Normal", "Resumed" if resumed else "Suspended", suspension["message"]))
    if final is not None:
        conditions = _told(conditions, final, now)
        complete = final["type"] == "Complete"
        told = ("Normal", "Completed", "Job completed")
        events.append(told if complete else ("Warning", final["reason"], final["message"]))
    completed_at = timestamp(now) if final is not None and final["type"] == "Complete" else None
    return Report(_status(spec, census, conditions, started, completed_at), census.releases, tuple(events))


def _told(conditions: Sequence[Object], condition: Object, now: datetime) -> list[Object]:
    known = next((entry for entry in conditions if entry["type"] == condition["type"]), None)
    if known is not None and known["status"] == condition["status"]:
        return list(conditions)
    return with_condition(conditions, {"lastProbeTime": timestamp(now)} | condition, now)


def _final(census: Census, outcome: Object) -> Object | None:
    unfinished = census.active or census.terminating or census.uncounted_succeeded or census.uncounted_failed
    if unfinished or census.releases:
        return None
    kind = {FAILURE: "Failed", SUCCESS: "Complete"}[outcome["type"]]
    return a_condition(kind, "True", outcome["reason"], outcome["message"])


def _suspension(job: Object, spec: JobSpec) -> Object | None:
    known = pods.condition(job, "Suspended")
    was_suspended = known is not None and known["status"] == "True"
    if spec.suspended == was_suspended:
        return None
    if spec.suspended:
        return a_condition("Suspended", "True", "JobSuspended", "Job suspended")
    return a_condition("Suspended", "False", "JobResumed", "Job resumed")


def _status(
    spec: JobSpec, census: Census, conditions: list[Object], started: str | None, completed_at: str | None
) -> Object:
    uncounted = {"succeeded": list(census.uncounted_succeeded), "failed": list(census.uncounted_failed)}
    optional = {
        "conditions": conditions,
        "startTime": started,
        "completionTime": completed_at,
        "active": len(census.active),
        "succeeded": census.counted_succeeded,
        "failed": census.counted_failed,
        "completedIndexes": indexes.render(census.completed_indexes) if spec.indexed else None,
    }
    status = {key: value for key, value in optional.items() if value}
    if spec.backoff_limit_per_index is not None:
        status["failedIndexes"] = indexes.render(census.failed_indexes)
    return status | {
        "ready": census.ready,
        "terminating": census.terminating,
        "uncountedTerminatedPods": {kind: uids for kind, uids in uncounted.items() if uids},
    }
