"""Which events a change of status is worth: only what a person wants to know, and each only once."""

from collections.abc import Iterator
from datetime import datetime

from trainyard_api.times import from_rfc3339
from trainyard_api.trainingjob import Attempt, TrainingJobStatus
from trainyard_operator.cluster.port import Event
from trainyard_operator.training.conditions import (
    DATA_CHANGED,
    FAILED,
    MAY_NOT_START,
    POD_UNREACHABLE,
    PROGRESS_STALE,
    QUEUED,
    RUNNING,
    SCHEDULE_INVALID,
    SUCCEEDED,
    SUSPENDED,
    SUSPENDED_BY_OTHER,
)
from trainyard_operator.workloads.blockers import WAITING_FOR_CLEANUP, WAITING_FOR_VOLUMES
from trainyard_operator.workloads.conditions import STALLED

_SUSPENDED = Event("Normal", "Suspended", "Suspended; set spec.runPolicy.suspend to false to go on")
_RESUMED = Event("Normal", "Resumed", "Resumed")


def events(before: TrainingJobStatus, after: TrainingJobStatus) -> Iterator[Event]:
    """Return the events of a transition, in the order in which they happened."""
    yield from _attempts(before, after)
    if after.last_schedule_time != before.last_schedule_time and after.run == before.run:
        skipped = f"Not started at {after.last_schedule_time}: the run before has not ended"
        yield Event("Normal", "ScheduleSkipped", skipped)
    if (unscheduled := _unscheduled(after)) and unscheduled != _unscheduled(before):
        yield unscheduled
    # What has ended is told once, however often its spec is edited.
    if after.phase == before.phase and after.phase in ("Succeeded", "Failed"):
        return
    if after.phase in ("Succeeded", "Failed"):
        yield from _end(after)
    elif after.phase == "Suspended" and before.phase != "Suspended":
        yield _suspended(after)
    elif before.phase == "Suspended" and after.phase != "Suspended":
        yield _RESUMED
    for find in (_trouble, _concern):
        if (trouble := find(after)) and trouble[0] != (find(before) or ("",))[0]:
            yield Event("Warning", *trouble)


def last_events(status: TrainingJobStatus, *, since: datetime) -> Iterator[Event]:
    """Return the events of the transition to a status, as far as it tells them by itself.

    Only of the last: whoever wrote what is in it from before has told of that before writing again. An event that was
    told is the same as here, word by word.

    Args:
        status: As it was found.
        since: What happened earlier is left out, unless it is in the way still.
    """
    conditions = {condition.type: condition for condition in status.conditions}
    changed = {kind: from_rfc3339(condition.last_transition_time) for kind, condition in conditions.items()}
    if status.phase in ("Succeeded", "Failed"):
        if changed.get(status.phase, since) >= since:
            yield from _end(status)
        if unscheduled := _unscheduled(status):
            yield unscheduled
        return
    # A rerun begins when the end of the run before no longer holds.
    ends = [changed[kind] for kind in (SUCCEEDED, FAILED) if status.run and kind in changed]
    yield from _last_attempt(status, max(ends, default=min(changed.values(), default=since)), since)
    suspended = changed.get(SUSPENDED, since)
    if suspended >= since and suspended == max(changed.values(), default=None):
        if status.phase == "Suspended":
            yield _suspended(status)
        elif suspended > changed[FAILED]:  # so it was suspended once
            yield _RESUMED
    for trouble in (_trouble(status), _concern(status)):
        if trouble:
            yield Event("Warning", *trouble)


def _suspended(status: TrainingJobStatus) -> Event:
    condition = next((one for one in status.conditions if one.type == SUSPENDED), None)
    if condition is not None and condition.reason in (SUSPENDED_BY_OTHER, QUEUED):
        return Event("Normal", condition.reason, condition.message)
    return _SUSPENDED


def _unscheduled(status: TrainingJobStatus) -> Event | None:
    found = next((one for one in status.conditions if one.type == SCHEDULE_INVALID), None)
    return Event("Warning", found.reason, found.message) if found else None


def _last_attempt(status: TrainingJobStatus, created: datetime, since: datetime) -> Iterator[Event]:
    if not status.attempts:
        return
    attempt, checkpoint = status.attempts[-1], status.last_checkpoint
    time = (
        attempt.ended
        or attempt.started
        or attempt.queued
        or (status.attempts[-2].ended if len(status.attempts) > 1 else None)
    )
    if (from_rfc3339(time) if time else created) < since:
        return
    if attempt.outcome in ("Failed", "Stopped"):
        yield _ended(attempt, status)
    # A checkpoint of its own says that the status was written again since.
    elif not (checkpoint and attempt.started and from_rfc3339(checkpoint.time) > from_rfc3339(attempt.started)):
        yield _started(attempt, status)


def _end(status: TrainingJobStatus) -> Iterator[Event]:
    if status.phase == "Succeeded" and status.model:
        metrics = ", ".join(f"{name} {value}" for name, value in sorted(status.model.metrics.items()))
        yield Event("Normal", "Succeeded", f"Trained {status.model.uri}" + (f" ({metrics})" if metrics else ""))
        changed = next((one for one in status.conditions if one.type == DATA_CHANGED and one.status == "True"), None)
        if changed is not None:
            yield Event("Normal", DATA_CHANGED, changed.message)
    elif status.phase == "Succeeded" and (made := status.predictions):
        left_out = f" ({made.bad_rows:,} bad rows were left out)" if made.bad_rows else ""
        yield Event("Normal", "Succeeded", f"Predicted {made.rows:,} rows{left_out}, into {made.uri}")
    elif status.phase == "Failed" and status.failure:
        yield Event("Warning", "Failed", f"{status.failure.reason}: {status.failure.message}")


def _attempts(before: TrainingJobStatus, after: TrainingJobStatus) -> Iterator[Event]:
    known = {attempt.n: attempt for attempt in before.attempts}
    for attempt in after.attempts:
        was = known.get(attempt.n)
        if was is None and attempt.outcome == "Running":
            yield _started(attempt, after)
        ended = attempt.outcome in ("Failed", "Stopped") and (was is None or was.outcome == "Running")
        # The end of the whole is told once, for both.
        if ended and after.phase != "Failed":
            yield _ended(attempt, after)


def _started(attempt: Attempt, after: TrainingJobStatus) -> Event:
    if attempt.n == after.first_attempt and after.run == 0:
        return Event("Normal", "TrainingStarted", "Started the training")
    if attempt.n == after.first_attempt:
        former = after.runs[-1].rerun if after.runs else None
        why = f"for {after.rerun!r}" if after.rerun != former else f"scheduled for {after.last_schedule_time}"
        return Event("Normal", "RerunStarted", f"Started to train again (run {after.run}, {why})")
    where = f" from step {after.last_checkpoint.step}" if after.last_checkpoint else ""
    return Event("Normal", "TrainingRestarted", f"Started attempt {attempt.n}{where}")


def _ended(attempt: Attempt, after: TrainingJobStatus) -> Event:
    if attempt.outcome == "Stopped":
        why = f" ({attempt.reason})" if attempt.reason not in (None, "Stopped") else ""
        return Event("Warning", "AttemptStopped", f"Attempt {attempt.n} was stopped from outside{why}; not charged")
    cause = f"{after.failure.reason}: {after.failure.message}" if after.failure else f"exit code {attempt.exit_code}"
    return Event("Warning", "AttemptFailed", f"Attempt {attempt.n} failed. {cause}")


def _concern(status: TrainingJobStatus) -> tuple[str, str] | None:
    """Return reason and message of what may keep the pods from running."""
    found = next((one for one in status.conditions if one.type == MAY_NOT_START), None)
    return (found.reason, found.message) if found else None


def _trouble(status: TrainingJobStatus) -> tuple[str, str] | None:
    """Return reason and message of what keeps a job from running that is not over yet.

    Compared by reason only: the scheduler's message changes with every node that comes and goes.
    """
    if status.phase in ("Succeeded", "Failed"):
        return None
    conditions = {condition.type: condition for condition in status.conditions}
    running = conditions.get(RUNNING)
    unseen = running is not None and running.reason in (PROGRESS_STALE, POD_UNREACHABLE)
    condition = conditions.get(STALLED) or (running if status.phase == "Pending" or unseen else None)
    if condition is None or condition.reason in ("Created", WAITING_FOR_CLEANUP, WAITING_FOR_VOLUMES):
        return None
    return condition.reason, condition.message
