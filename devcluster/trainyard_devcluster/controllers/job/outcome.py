"""Whether a Job's end is decided, and why."""

from datetime import datetime, timedelta
from typing import Any

from trainyard_devcluster import pods
from trainyard_devcluster.controllers.conditions import a_condition
from trainyard_devcluster.controllers.job import indexes
from trainyard_devcluster.controllers.job.census import Census
from trainyard_devcluster.controllers.job.spec import FAILURE, SUCCESS, JobSpec
from trainyard_devcluster.events import parse_timestamp
from trainyard_devcluster.resources import Object


def decide(job: Object, spec: JobSpec, census: Census, now: datetime) -> Object | None:
    """The FailureTarget or SuccessCriteriaMet condition, as soon as nothing can change it any more."""
    return recorded(job) or _failure(job, spec, census, now) or _success(spec, census)


def recorded(job: Object) -> Object | None:
    """The decision that stands in the status."""
    conditions = (pods.condition(job, kind) for kind in (FAILURE, SUCCESS))
    return next((entry for entry in conditions if entry is not None and entry["status"] == "True"), None)


def deadline(job: Object, spec: JobSpec) -> datetime | None:
    """When the Job has run for as long as it may."""
    started = job.get("status", {}).get("startTime")
    # Until a resumed Job's status says so, its start is still that from before it was suspended.
    suspension = pods.condition(job, "Suspended") or {}
    suspended = spec.suspended or suspension.get("status") == "True"
    if spec.active_deadline_seconds is None or suspended or started is None:
        return None
    return parse_timestamp(started) + timedelta(seconds=spec.active_deadline_seconds)


def _failure(job: Object, spec: JobSpec, census: Census, now: datetime) -> Object | None:
    if census.failing_message:
        return a_condition(FAILURE, "True", "PodFailurePolicy", census.failing_message)
    if census.failed > spec.backoff_limit or _restarted_too_often(spec, census):
        return a_condition(FAILURE, "True", "BackoffLimitExceeded", "Job has reached the specified backoff limit")
    end = deadline(job, spec)
    if end is not None and now >= end:
        return a_condition(FAILURE, "True", "DeadlineExceeded", "Job was active longer than specified deadline")
    return _failure_by_index(spec, census)


def _failure_by_index(spec: JobSpec, census: Census) -> Object | None:
    failed = len(census.failed_indexes)
    if spec.max_failed_indexes is not None and failed > spec.max_failed_indexes:
        message = "Job has exceeded the specified maximal number of failed indexes"
        return a_condition(FAILURE, "True", "MaxFailedIndexesExceeded", message)
    if failed and failed + census.succeeded >= (spec.completions or 0):
        return a_condition(FAILURE, "True", "FailedIndexes", "Job has failed indexes")
    return None


def _restarted_too_often(spec: JobSpec, census: Census) -> bool:
    if not spec.restarts_in_place:
        return False
    restarts = sum(
        int(entry.get("restartCount", 0))
        for pod in census.active
        for kind in ("containerStatuses", "initContainerStatuses")
        for entry in pod.get("status", {}).get(kind) or ()
    )
    return restarts > 0 if spec.backoff_limit == 0 else restarts >= spec.backoff_limit


def _success(spec: JobSpec, census: Census) -> Object | None:
    for number, rule in enumerate(spec.success_policy):
        if _rule_is_met(rule, census.completed_indexes):
            return a_condition(SUCCESS, "True", "SuccessPolicy", f"Matched rules at index {number}")
    wanted = 1 if spec.completions is None else spec.completions
    if census.succeeded >= wanted and not census.active:
        return a_condition(SUCCESS, "True", "CompletionsReached", "Reached expected number of succeeded pods")
    return None


def _rule_is_met(rule: dict[str, Any], completed: frozenset[int]) -> bool:
    named = indexes.parse(rule.get("succeededIndexes")) if rule.get("succeededIndexes") else None
    done = completed if named is None else completed & named
    count = rule.get("succeededCount")
    return len(done) >= count if count is not None else named is not None and named <= completed
