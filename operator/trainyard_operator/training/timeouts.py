"""The timers of a training. Pure functions of its spec, its status and its children, so that a restart loses none.

A timer that ends an attempt makes it a failure like any other: it is recorded, charged, and only then is its Job
deleted. The time of the whole training is final.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from trainyard_api.meta import parse_duration
from trainyard_api.times import from_rfc3339
from trainyard_api.trainingjob import TrainingJob, TrainingJobStatus
from trainyard_operator.cluster.port import Manifest
from trainyard_operator.training import blockers
from trainyard_operator.training.attempt_pods import (
    Workers,
    ended_with,
    has_trained,
    is_ending,
    is_training,
    running_since,
)
from trainyard_operator.training.conditions import RUNNING, SUSPENDED
from trainyard_operator.training.observed import ObservedTraining
from trainyard_operator.training.progress import Heard, fresh
from trainyard_operator.workloads.diagnosis import PATIENCE
from trainyard_operator.workloads.pods import created

DEADLINE_EXCEEDED, STALLED, STARTUP_TIMEOUT = "DeadlineExceeded", "Stalled", "StartupTimeout"


@dataclass(frozen=True, slots=True)
class Timer:
    """When something is over that does not come to an end by itself, and in which words.

    Attributes:
        final: It ends the training, not only an attempt.
    """

    at: datetime
    reason: str
    message: str
    final: bool = False


def running_attempt(status: TrainingJobStatus, observed: ObservedTraining) -> int | None:
    """Return the attempt that goes on: its Job has not ended, nor was an end of it recorded."""
    over = {attempt.n for attempt in status.attempts if attempt.outcome != "Running"}
    return next((n for n, job in observed.jobs.items() if n not in over and ended_with(job) is None), None)


def timers(
    job: TrainingJob, status: TrainingJobStatus, observed: ObservedTraining, heard: Heard, *, now: datetime
) -> list[Timer]:
    """Return the timers that run.

    Args:
        status: As it was last recorded.
    """
    n = running_attempt(status, observed)
    found = list(_whole(job, status))
    if n is not None:
        child, pods = observed.jobs[n], observed.pods.get(n, {})
        if not child["spec"].get("suspend") and not is_ending(child):
            found += [*_startup(job, status, child, pods, now), *_stall(job, status, pods, heard)]
    return found


def expired(running: Sequence[Timer], now: datetime) -> Timer | None:
    """Return the timer that was over first, of those that are; what is final comes before."""
    over = [timer for timer in running if timer.at <= now]
    return min(over, key=lambda timer: (not timer.final, timer.at), default=None)


def seconds_left(running: Sequence[Timer], now: datetime) -> float | None:
    """Return the seconds until the next timer is over, or None where none runs."""
    return min(((timer.at - now).total_seconds() for timer in running), default=None)


def _whole(job: TrainingJob, status: TrainingJobStatus) -> Iterator[Timer]:
    """Yield the timer of the whole training. A pause stops it, and it begins anew afterwards, as with a Job."""
    limit, policy = job.spec.run_policy.active_deadline, job.spec.run_policy
    if limit is None or status.start_time is None or policy.suspend or _since(status, SUSPENDED, "True"):
        return
    begun = max([from_rfc3339(status.start_time), *_since(status, SUSPENDED, "False")])
    message = f"the training took longer than spec.runPolicy.activeDeadline ({limit})"
    yield Timer(begun + _span(limit), DEADLINE_EXCEEDED, message, final=True)


def _startup(
    job: TrainingJob, status: TrainingJobStatus, child: Manifest, pods: Workers, now: datetime
) -> Iterator[Timer]:
    limit, count = job.spec.run_policy.startup_timeout, child["spec"].get("completions", 1)
    waiting = [pod for pod in pods.values() if not is_training(pod) and not has_trained(pod)]
    started = child.get("status", {}).get("startTime")
    if limit is None or started is None or (not waiting and len(pods) >= count):
        return
    # A pod that Kubernetes has replaced within the attempt has its time from then on.
    times = [from_rfc3339(started), *_since(status, RUNNING, "False"), *map(created, waiting)]
    begun = max(times)
    blocker = blockers.of_job(job, child, pods, now=now)
    missed = f"not all pods ran within spec.runPolicy.startupTimeout ({limit})"
    reason, message = (blocker.reason, f"{missed}: {blocker.message}") if blocker else (STARTUP_TIMEOUT, missed)
    yield Timer(begun + _span(limit), reason, message)


def _stall(job: TrainingJob, status: TrainingJobStatus, pods: Workers, heard: Heard) -> Iterator[Timer]:
    """Yield the timer of a trainer that has told how far it is, and trains: reading data and exporting have no steps.

    Right after a restart of the operator what was recorded can be old: nobody is taken for stalled before he was asked
    for a while.
    """
    limit, since = job.spec.run_policy.stall_timeout, running_since(pods.get(0))
    before = status.progress
    if limit is None or since is None:
        return
    if heard.live is not None and heard.at is not None:
        if heard.live.phase != "training":
            return
        before = fresh(before, heard.live, heard.at)
    elif status.phase != "Running":
        return
    if before is None or before.updated is None or before.advanced is None or from_rfc3339(before.updated) < since:
        return
    due = max(from_rfc3339(before.advanced), since) + _span(limit)
    if heard.at is None and heard.asked is not None:
        due = max(due, heard.asked + PATIENCE)
    step = f"step {before.step}" if before.step else f"epoch {before.epoch}"
    yield Timer(due, STALLED, f"the trainer has not got beyond {step} within spec.runPolicy.stallTimeout ({limit})")


def _since(status: TrainingJobStatus, kind: str, value: str) -> list[datetime]:
    """Return since when a condition has this value; nothing where it has not."""
    found = (condition for condition in status.conditions if (condition.type, condition.status) == (kind, value))
    return [from_rfc3339(condition.last_transition_time) for condition in found]


def _span(text: str) -> timedelta:
    return timedelta(seconds=parse_duration(text))
