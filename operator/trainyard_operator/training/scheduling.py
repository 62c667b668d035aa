"""What a schedule asks for: the next run, at its time and once. Pure functions of spec, status and time.

The status says when the next run begins. A time that nobody was there to see is made up for, once. One that comes while
the training still trains is left out, or ends what runs.
"""

from dataclasses import dataclass
from datetime import UTC, datetime

from trainyard_api.run_policy import RunPolicy
from trainyard_api.times import from_rfc3339, to_rfc3339
from trainyard_api.trainingjob import TrainingJobStatus
from trainyard_operator.training.cron import parse

_ANY = datetime(2026, 1, 1, tzinfo=UTC)
"""What follows a moment within eight years follows any."""


@dataclass(frozen=True, slots=True)
class Due:
    """A time of the schedule that has come, and whether a run begins for it."""

    time: datetime
    begins: bool


def due(policy: RunPolicy, status: TrainingJobStatus, now: datetime) -> Due | None:
    """Return the time that has come, or None where it has not."""
    if policy.schedule is None or policy.suspend or status.next_schedule_time is None:
        return None
    time = from_rfc3339(status.next_schedule_time)
    if time > now:
        return None
    replaced = policy.schedule.concurrency_policy == "Replace" and status.start_time is not None
    return Due(time, replaced or status.completion_time is not None)


def noted(status: TrainingJobStatus, policy: RunPolicy, now: datetime, *, changed: bool) -> TrainingJobStatus:
    """Return the status with the last time of the schedule that has come, and the next.

    Args:
        changed: The spec is another than that which the status is about, and its schedule perhaps too.
    """
    last, then = due(policy, status, now), status.next_schedule_time
    if policy.schedule is None or policy.suspend:
        then = None
    elif changed or last or then is None:
        then = _next(policy, now)
    known = to_rfc3339(last.time) if last else status.last_schedule_time
    return status.model_copy(update={"last_schedule_time": known, "next_schedule_time": then})


def problem(policy: RunPolicy) -> str | None:
    """Return why no time follows from a schedule."""
    if policy.schedule is None:
        return None
    try:
        return None if parse(policy.schedule.cron, policy.schedule.time_zone).after(_ANY) else "it never comes"
    except ValueError as error:
        return str(error)


def _next(policy: RunPolicy, now: datetime) -> str | None:
    try:
        cron = parse(policy.schedule.cron, policy.schedule.time_zone) if policy.schedule else None
    except ValueError:
        return None  # see `problem`
    time = cron.after(now) if cron else None
    return to_rfc3339(time) if time else None
