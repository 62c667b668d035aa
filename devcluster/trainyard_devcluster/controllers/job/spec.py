"""A Job's spec in words, with the defaults of the API."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from trainyard_devcluster.events import parse_timestamp
from trainyard_devcluster.resources import Object

TRACKING_FINALIZER = "batch.kubernetes.io/job-tracking"
INDEX_KEY = "batch.kubernetes.io/job-completion-index"
INDEX_ENV = "JOB_COMPLETION_INDEX"
JOB_NAME_LABELS = ("batch.kubernetes.io/job-name", "job-name")
CONTROLLER_UID_LABELS = ("batch.kubernetes.io/controller-uid", "controller-uid")
INDEX_FAILURES_ANNOTATION = "batch.kubernetes.io/job-index-failure-count"
INDEX_IGNORED_FAILURES_ANNOTATION = "batch.kubernetes.io/job-index-ignored-failure-count"
CONTROLLER = "kubernetes.io/job-controller"

FAILURE = "FailureTarget"
SUCCESS = "SuccessCriteriaMet"
"""The conditions that decide how a Job ends, before it has ended."""

UNLIMITED = 2**31 - 1


@dataclass(frozen=True, slots=True)
class JobSpec:
    """What the Job asks for. Fields that may be None are off where they are."""

    parallelism: int
    completions: int | None
    indexed: bool
    suspended: bool
    backoff_limit: int
    backoff_limit_per_index: int | None
    max_failed_indexes: int | None
    active_deadline_seconds: int | None
    failure_policy: tuple[dict[str, Any], ...]
    success_policy: tuple[dict[str, Any], ...]
    replace_failed_only: bool
    restarts_in_place: bool


def parse(job: Object) -> JobSpec:
    """Read a Job's spec."""
    spec = job["spec"]
    rules = (spec.get("podFailurePolicy") or {}).get("rules") or ()
    per_index = spec.get("backoffLimitPerIndex")
    replacement = spec.get("podReplacementPolicy") or ("Failed" if rules else "TerminatingOrFailed")
    parallelism = spec.get("parallelism")
    backoff_limit = spec.get("backoffLimit")
    if backoff_limit is None:
        backoff_limit = 6 if per_index is None else UNLIMITED
    completions = spec.get("completions")
    if completions is None and parallelism is None:
        completions = 1
    return JobSpec(
        parallelism=1 if parallelism is None else parallelism,
        completions=completions,
        indexed=spec.get("completionMode") == "Indexed",
        suspended=bool(spec.get("suspend")),
        backoff_limit=backoff_limit,
        backoff_limit_per_index=per_index,
        max_failed_indexes=spec.get("maxFailedIndexes"),
        active_deadline_seconds=spec.get("activeDeadlineSeconds"),
        failure_policy=tuple(rules),
        success_policy=tuple((spec.get("successPolicy") or {}).get("rules") or ()),
        replace_failed_only=replacement == "Failed",
        restarts_in_place=spec["template"]["spec"].get("restartPolicy") == "OnFailure",
    )


def finished_at(job: Object) -> datetime | None:
    """When the Job became Complete or Failed, None while it is neither."""
    for entry in job.get("status", {}).get("conditions") or ():
        if entry["type"] in ("Complete", "Failed") and entry["status"] == "True":
            return parse_timestamp(entry["lastTransitionTime"])
    return None


def index_of(pod: Object) -> int | None:
    """The pod's completion index."""
    text = (pod["metadata"].get("annotations") or {}).get(INDEX_KEY, "")
    return int(text) if text.isdecimal() else None


def is_tracked(pod: Object) -> bool:
    """Whether the pod waits to be counted."""
    return TRACKING_FINALIZER in (pod["metadata"].get("finalizers") or ())
