"""Which pods a Job needs now: how many to start, at which indexes, and which to take down."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from trainyard_devcluster import pods
from trainyard_devcluster.controllers.job import backoff
from trainyard_devcluster.controllers.job.census import Census
from trainyard_devcluster.controllers.job.outcome import decide, recorded
from trainyard_devcluster.controllers.job.spec import JobSpec, index_of
from trainyard_devcluster.controllers.pod_template import parting_rank
from trainyard_devcluster.resources import Object, uid_of

PODS_AT_ONCE = 100


@dataclass(frozen=True, slots=True)
class Actions:
    """What to do to a Job's pods."""

    start: tuple[int | None, ...] = ()
    """One completion index for each pod to start; None where the Job has no indexes."""
    remove: tuple[Object, ...] = ()
    """Pods that are not needed. Nobody counts them."""
    stop: tuple[Object, ...] = ()
    """Pods of a Job whose end is decided. They are counted."""
    wait: float | None = None
    """Seconds until more pods may be started."""


def actions(job: Object, spec: JobSpec, census: Census, job_pods: Sequence[Object], now: datetime) -> Actions:
    """Decide for a Job that has not ended.

    An outcome is written down before any pod is stopped for it: without those pods it might be decided otherwise.
    """
    if recorded(job):
        return Actions(stop=census.active)
    if pods.is_terminating(job) or decide(job, spec, census, now):
        return Actions()
    if spec.suspended:
        return Actions(remove=census.active)
    surplus = _surplus(spec, census)
    if surplus:
        return Actions(remove=tuple(surplus))
    missing = _wanted(spec, census) - len(census.active)
    if spec.replace_failed_only:
        missing -= census.terminating
    missing = min(missing, PODS_AT_ONCE)
    if missing <= 0:
        return Actions()
    wait = backoff.remaining(job_pods, now) if spec.backoff_limit_per_index is None else 0.0
    if wait > 0:
        return Actions(wait=wait)
    if not spec.indexed:
        return Actions(start=(None,) * missing)
    return _at_indexes(spec, census, job_pods, missing, now)


def _wanted(spec: JobSpec, census: Census) -> int:
    if spec.completions is None:
        return len(census.active) if census.succeeded else spec.parallelism
    left = spec.completions - census.succeeded - len(census.failed_indexes)
    return max(0, min(left, spec.parallelism))


def _surplus(spec: JobSpec, census: Census) -> list[Object]:
    ranked = sorted(census.active, key=parting_rank)
    unneeded = _unneeded_at_indexes(spec, census, ranked) if spec.indexed else []
    taken = {uid_of(pod) for pod in unneeded}
    rest = [pod for pod in ranked if uid_of(pod) not in taken]
    return unneeded + rest[: max(0, len(rest) - _wanted(spec, census))]


def _unneeded_at_indexes(spec: JobSpec, census: Census, ranked: Sequence[Object]) -> list[Object]:
    # Of two pods at one index the one that goes is the one that ranks first.
    seen = set(census.completed_indexes | census.failed_indexes)
    unneeded = []
    for pod in reversed(ranked):
        index = index_of(pod)
        if index is None or index in seen or index >= (spec.completions or 0):
            unneeded.append(pod)
        else:
            seen.add(index)
    return unneeded


def _at_indexes(spec: JobSpec, census: Census, job_pods: Sequence[Object], missing: int, now: datetime) -> Actions:
    taken = {index_of(pod) for pod in census.active} | census.completed_indexes | census.failed_indexes
    if spec.replace_failed_only:
        taken |= {index_of(pod) for pod in job_pods if pods.is_terminating(pod) and not pods.is_terminal(pod)}
    free = [index for index in range(spec.completions or 0) if index not in taken]
    waits = {index: backoff.remaining_for_index(census.last_failures.get(index), now) for index in free}
    delayed = [wait for wait in waits.values() if wait > 0]
    return Actions(
        start=tuple(index for index in free if waits[index] <= 0)[:missing], wait=min(delayed) if delayed else None
    )
