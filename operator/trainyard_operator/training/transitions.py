"""Which events a change of status is worth: only what a person wants to know, and each only once."""

from collections.abc import Iterator

from trainyard_operator.api.trainingjob import Attempt, TrainingJobStatus
from trainyard_operator.cluster.port import Event
from trainyard_operator.training.conditions import RUNNING, STALLED
from trainyard_operator.training.problems import WAITING


def events(before: TrainingJobStatus, after: TrainingJobStatus) -> Iterator[Event]:
    """Return the events of a transition, in the order in which they happened."""
    yield from _attempts(before, after)
    if after.phase == before.phase == "Failed":
        return
    if after.phase == "Succeeded" and after.model:
        metrics = ", ".join(f"{name} {value}" for name, value in sorted(after.model.metrics.items()))
        yield Event("Normal", "Succeeded", f"Trained {after.model.uri}" + (f" ({metrics})" if metrics else ""))
    elif after.phase == "Failed" and after.failure:
        yield Event("Warning", "Failed", f"{after.failure.reason}: {after.failure.message}")
    elif after.phase == "Suspended" and before.phase != "Suspended":
        yield Event("Normal", "Suspended", "Suspended; set spec.runPolicy.suspend to false to go on")
    elif before.phase == "Suspended" and after.phase != "Suspended":
        yield Event("Normal", "Resumed", "Resumed")
    if (trouble := _trouble(after)) and trouble[0] != (_trouble(before) or ("",))[0]:
        yield Event("Warning", *trouble)


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
    if attempt.n == 0:
        return Event("Normal", "TrainingStarted", "Started the training")
    where = f" from step {after.last_checkpoint.step}" if after.last_checkpoint else ""
    return Event("Normal", "TrainingRestarted", f"Started attempt {attempt.n}{where}")


def _ended(attempt: Attempt, after: TrainingJobStatus) -> Event:
    if attempt.outcome == "Stopped":
        return Event("Warning", "AttemptStopped", f"Attempt {attempt.n} was stopped from outside; not charged")
    cause = f"{after.failure.reason}: {after.failure.message}" if after.failure else f"exit code {attempt.exit_code}"
    return Event("Warning", "AttemptFailed", f"Attempt {attempt.n} failed. {cause}")


def _trouble(status: TrainingJobStatus) -> tuple[str, str] | None:
    """Return reason and message of what keeps a job from running that is not over yet.

    Compared by reason only: the scheduler's message changes with every node that comes and goes.
    """
    if status.phase != "Pending":
        return None
    stalled = {condition.type: condition for condition in status.conditions}
    condition = stalled.get(STALLED) or stalled.get(RUNNING)
    if condition is None or condition.reason in ("Created", WAITING):
        return None
    return condition.reason, condition.message
