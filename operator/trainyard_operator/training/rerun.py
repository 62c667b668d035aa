"""Training again under the same name. Pure functions.

A new run begins with an empty record of its own: attempts are counted anew, under numbers that go on. What the run
before has made stays in the status until the new one has made something, so that whoever serves it goes on.
"""

from dataclasses import replace
from datetime import datetime
from typing import Literal

from trainyard_api.rerun import KEPT_RUNS, FormerRun
from trainyard_api.run_policy import RunPolicy
from trainyard_api.times import to_rfc3339
from trainyard_api.trainingjob import ModelStatus, TrainingJobStatus
from trainyard_operator.cluster.port import Manifest
from trainyard_operator.training.attempt_pods import ended_with
from trainyard_operator.training.observed import ObservedTraining


def is_wanted(policy: RunPolicy, status: TrainingJobStatus) -> bool:
    """Return whether a training that has ended is to train again."""
    return status.completion_time is not None and policy.rerun is not None and policy.rerun != status.rerun


def begin(status: TrainingJobStatus, token: str | None, *, now: datetime) -> TrainingJobStatus:
    """Return the status that the next run starts from; the same, however often the beginning is tried.

    A run that has not ended is replaced: its Jobs are those of a former one from then on.
    """
    former = FormerRun(
        run=status.run,
        rerun=status.rerun,
        first_attempt=status.first_attempt,
        attempts=len(status.attempts),
        started=status.start_time,
        ended=status.completion_time or to_rfc3339(now),
        outcome=_outcome(status),
        reason=status.failure.reason if status.failure else None,
        version=status.model.version if status.model and status.phase == "Succeeded" else None,
    )
    return TrainingJobStatus(
        observed_generation=status.observed_generation,
        conditions=status.conditions,
        model=status.model and _dated(status.model, status.completion_time),
        gpu_seconds=status.gpu_seconds,
        run=status.run + 1,
        rerun=token or status.rerun,
        last_schedule_time=status.last_schedule_time,
        next_schedule_time=status.next_schedule_time,
        first_attempt=max((attempt.n + 1 for attempt in status.attempts), default=status.first_attempt),
        runs=[*status.runs, former][-KEPT_RUNS:],
    )


def of_this_run(observed: ObservedTraining, status: TrainingJobStatus) -> ObservedTraining:
    """Return what is there of this run. A pod of a former one that still trains would write in the same place."""
    first = status.first_attempt
    return replace(
        observed,
        jobs={n: job for n, job in observed.jobs.items() if n >= first},
        pods={n: pods for n, pods in observed.pods.items() if n >= first},
        leaving=observed.leaving or any(n < first and ended_with(job) is None for n, job in observed.jobs.items()),
    )


def outdated(observed: ObservedTraining, status: TrainingJobStatus) -> list[Manifest]:
    """Return the Jobs of former runs that go: what still runs, and what is older than the run before."""
    before = status.runs[-1].first_attempt if status.runs else 0
    return [
        job for n, job in observed.jobs.items() if n < before or (n < status.first_attempt and ended_with(job) is None)
    ]


def _outcome(status: TrainingJobStatus) -> Literal["Succeeded", "Failed", "Replaced"]:
    if status.completion_time is None:
        return "Replaced"
    return "Succeeded" if status.phase == "Succeeded" else "Failed"


def _dated(model: ModelStatus, completed: str | None) -> ModelStatus:
    return model if model.created else model.model_copy(update={"created": completed})
