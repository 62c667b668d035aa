"""Counting a Job's pods exactly once, whatever is restarted between two API calls.

A finished pod is first written into `status.uncountedTerminatedPods` (or, where it succeeded at an index, into
`status.completedIndexes`), then loses its tracking finalizer, and only then moves into the counters. A pod that is gone
or has no finalizer any more was therefore written down before, and one that has it was not moved yet.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from trainyard_devcluster import pods
from trainyard_devcluster.controllers.job import indexes
from trainyard_devcluster.controllers.job.backoff import failures_before
from trainyard_devcluster.controllers.job.failure_policy import Verdict, judge
from trainyard_devcluster.controllers.job.spec import SUCCESS, JobSpec, index_of, is_tracked
from trainyard_devcluster.resources import Object, name_of, uid_of

MAX_UNCOUNTED = 500
"""How many UIDs a status may hold at a time, to keep the object small."""


@dataclass(frozen=True, slots=True)
class Census:
    """A Job's pods in buckets, and the counters that follow from them and the status."""

    active: tuple[Object, ...]
    ready: int
    terminating: int
    counted_succeeded: int
    counted_failed: int
    uncounted_succeeded: tuple[str, ...]
    uncounted_failed: tuple[str, ...]
    completed_indexes: frozenset[int]
    failed_indexes: frozenset[int]
    last_failures: dict[int, Object]
    """With a limit per index: the pod whose failure each index has to make up for."""
    releases: tuple[Object, ...]
    """Pods that are written down once the status is, so that their finalizer may go."""
    failing_message: str
    """Why the failure policy fails the whole Job; empty where it does not."""

    @property
    def failed(self) -> int:
        """All failures that count."""
        return self.counted_failed + len(self.uncounted_failed)

    @property
    def succeeded(self) -> int:
        """All successes; of an Indexed Job, completed indexes."""
        return self.counted_succeeded + len(self.uncounted_succeeded)


def take(job: Object, spec: JobSpec, job_pods: Sequence[Object], *, outcome: str = "") -> Census:
    """Sort and count the pods. `outcome` is the type of the condition that decides the Job's end, once there is one."""
    status = job.get("status", {})
    tracked = {uid_of(pod): pod for pod in job_pods if is_tracked(pod)}
    written: Object = status.get("uncountedTerminatedPods") or {}
    settled = {kind: [uid for uid in written.get(kind) or () if uid not in tracked] for kind in ("succeeded", "failed")}
    waiting = {kind: [uid for uid in written.get(kind) or () if uid in tracked] for kind in ("succeeded", "failed")}
    completed = indexes.parse(status.get("completedIndexes"))
    failing_message = ""
    releases = []
    failures: list[tuple[Object, Verdict]] = []
    for pod in sorted(tracked.values(), key=name_of):
        if len(waiting["succeeded"]) + len(waiting["failed"]) >= MAX_UNCOUNTED:
            break
        uid = uid_of(pod)
        if uid in waiting["failed"]:
            pass
        elif pods.phase(pod) == "Succeeded":
            if spec.indexed:
                completed |= _valid_index(pod, spec)
            elif uid not in waiting["succeeded"]:
                waiting["succeeded"].append(uid)
        elif outcome == SUCCESS and pods.is_terminating(pod):
            # Stopped because the others were enough: no failure.
            pass
        elif has_failed(pod, spec):
            verdict = judge(spec.failure_policy, pod) if pods.phase(pod) == "Failed" else Verdict("Count")
            failures.append((pod, verdict))
            if verdict.action == "FailJob":
                failing_message = failing_message or verdict.message
            if verdict.counts and (not spec.indexed or _valid_index(pod, spec)):
                waiting["failed"].append(uid)
        elif not (pods.is_terminating(pod) and pods.is_terminating(job)):
            continue
        releases.append(pod)
    failed_indexes = indexes.parse(status.get("failedIndexes")) | _failed_indexes(spec, failures)
    records = {} if spec.backoff_limit_per_index is None else _records(job_pods, spec, completed | failed_indexes)
    # Once the end is decided, nobody makes up for a failure any more.
    kept = set() if outcome else {uid_of(pod) for pod in records.values()}
    active = [pod for pod in job_pods if pods.is_active(pod)]
    return Census(
        active=tuple(active),
        ready=sum(map(pods.is_ready, active)),
        terminating=sum(pods.is_terminating(pod) and not pods.is_terminal(pod) for pod in job_pods),
        counted_succeeded=len(completed) if spec.indexed else status.get("succeeded", 0) + len(settled["succeeded"]),
        counted_failed=status.get("failed", 0) + len(settled["failed"]),
        uncounted_succeeded=tuple(waiting["succeeded"]),
        uncounted_failed=tuple(waiting["failed"]),
        completed_indexes=completed,
        failed_indexes=failed_indexes,
        last_failures=records,
        releases=tuple(pod for pod in releases if uid_of(pod) not in kept),
        failing_message=failing_message,
    )


def has_failed(pod: Object, spec: JobSpec) -> bool:
    """Whether the Job takes the pod as failed. One that is only terminating is, unless the spec wants to be sure."""
    if spec.replace_failed_only or pods.is_terminal(pod):
        return pods.phase(pod) == "Failed"
    return pods.is_terminating(pod)


def _valid_index(pod: Object, spec: JobSpec) -> frozenset[int]:
    index = index_of(pod)
    return frozenset() if index is None or index >= (spec.completions or 0) else frozenset({index})


def _failed_indexes(spec: JobSpec, failures: Iterable[tuple[Object, Verdict]]) -> frozenset[int]:
    limit = spec.backoff_limit_per_index
    if limit is None:
        return frozenset()
    found: frozenset[int] = frozenset()
    for pod, verdict in failures:
        if verdict.action == "FailIndex" or (verdict.counts and failures_before(pod)[0] >= limit):
            found |= _valid_index(pod, spec)
    return found


def _records(job_pods: Sequence[Object], spec: JobSpec, done: frozenset[int]) -> dict[int, Object]:
    # An index's failures are written on the pod that makes up for the last one, so that one stays until there is one.
    latest: dict[int, Object] = {}
    for pod in job_pods:
        index = index_of(pod)
        if index is None or index in done or not is_tracked(pod):
            continue
        if index not in latest or sum(failures_before(pod)) > sum(failures_before(latest[index])):
            latest[index] = pod
    return {index: pod for index, pod in latest.items() if has_failed(pod, spec)}
