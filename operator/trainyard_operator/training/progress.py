"""Live progress: what /progress of the training pod says. The pod runs users' code, so nothing is taken on trust."""

import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, ValidationError, WrapValidator

from trainyard_api.times import from_rfc3339, to_rfc3339
from trainyard_api.trainingjob import CheckpointStatus, Progress
from trainyard_operator.training.termination_message import (
    Loss,
    Metrics,
    Report,
    ReportedCheckpoint,
    TrainerMessage,
    decimal,
    integer,
    is_finite,
    or_none,
)

_DIGITS = 4
_MOST_SECONDS = 10 * 365 * 86400
_REFRESH = timedelta(seconds=30)

Count = Annotated[int, Field(ge=0, le=2**53)]
Number = Annotated[float | None, BeforeValidator(lambda value: value if is_finite(value) else None)]


Phase = Literal["starting", "training", "exporting", "done"]


class Snapshot(TrainerMessage):
    """What /progress answers."""

    phase: Phase
    epoch: Count = 0
    epochs: Count = 0
    step: Count = 0
    steps: Count = 0
    percent: Number = None
    loss: Loss = None
    metrics: Metrics = Field(default={})
    samples_per_second: Number = None
    eta_seconds: Number = None
    last_checkpoint: Annotated[ReportedCheckpoint | None, WrapValidator(or_none)] = None

    def to_status(self) -> Progress:
        """Return it as it stands in the status."""
        finished, most = (self.step, self.steps) if self.steps else (self.epoch, self.epochs)
        percent = self.percent if self.percent is not None else 100 * finished / max(most, 1)
        speed = self.samples_per_second
        return Progress(
            epoch=self.epoch,
            epochs=self.epochs,
            step=self.step,
            steps=self.steps,
            percent=int(min(100, max(0, percent))),
            summary=f"{self.epoch}/{self.epochs}",
            loss=None if self.loss is None else decimal(self.loss, _DIGITS),
            metrics={name: decimal(value, _DIGITS) for name, value in self.metrics.items()},
            samples_per_second=None if speed is None else int(min(2**53, max(0, speed))),
            eta=None if self.eta_seconds is None else duration(self.eta_seconds),
        )

    def checkpoint(self) -> CheckpointStatus | None:
        """Return the newest checkpoint as it stands in the status."""
        return self.last_checkpoint.to_status() if self.last_checkpoint else None


@dataclass(frozen=True, slots=True)
class Heard:
    """What the running trainer last said of itself.

    Attributes:
        at: When it did.
        asked: Since when this process asks. Nobody is called silent before he was asked for a while.
    """

    live: Snapshot | None = None
    at: datetime | None = None
    asked: datetime | None = None


def parse(content: bytes | str, kind: type[Snapshot] = Snapshot) -> Snapshot | None:
    """Return the snapshot without the fields that make no sense, or None where the answer is none."""
    try:
        said = json.loads(content, parse_int=integer)
    except (ValueError, RecursionError):
        return None
    return _valid(said, kind) if isinstance(said, dict) else None


def _valid(said: dict[str, Any], kind: type[Snapshot]) -> Snapshot | None:
    try:
        return kind.model_validate(said)
    except ValidationError as error:
        wrong = {fault["loc"][0] for fault in error.errors()}
        rest = {name: value for name, value in said.items() if name not in wrong}
        return _valid(rest, kind) if len(rest) < len(said) else None


def duration(seconds: float) -> str:
    """Return a time span in its two largest units, for example 3m20s."""
    whole = int(min(_MOST_SECONDS, max(0, seconds)))
    days, hours, minutes, rest = whole // 86400, whole // 3600 % 24, whole // 60 % 60, whole % 60
    if days:
        return f"{days}d{hours}h"
    if hours:
        return f"{hours}h{minutes}m"
    return f"{minutes}m{rest}s" if minutes else f"{rest}s"


def fresh(before: Progress | None, said: Snapshot, at: datetime) -> Progress:
    """Return an answer with its time, and since when it says the same; the time alone is worth a write now and then."""
    after = said.to_status()
    if before is None or before.updated is None:
        return after.model_copy(update={"updated": to_rfc3339(at), "advanced": to_rfc3339(at)})
    same = before.model_copy(update={"updated": None, "advanced": None}) == after
    if same and at - from_rfc3339(before.updated) < _REFRESH:
        return before
    # Reading data and exporting have no steps: whoever is at that gets on.
    moved = said.phase != "training" or (before.epoch, before.step) != (after.epoch, after.step)
    advanced = None if moved else before.advanced
    return after.model_copy(update={"updated": to_rfc3339(at), "advanced": advanced or to_rfc3339(at)})


def at_end(before: Progress | None, report: Report) -> Progress:
    """Return the progress of a training that ended well: all that was to be done is done, however early it stopped."""
    before = before or Progress()
    epoch = before.epoch if report.epochs is None else report.epochs
    epochs = max(before.epochs, epoch)
    step = before.step if report.steps is None else report.steps
    return Progress(
        epoch=epoch,
        epochs=epochs,
        step=step,
        steps=max(before.steps, step),
        percent=100,
        summary=f"{epoch}/{epochs}",
        loss=decimal(report.loss, _DIGITS) if report.loss is not None else before.loss,
        metrics={name: decimal(value, _DIGITS) for name, value in report.metrics.items()} or before.metrics,
        samples_per_second=before.samples_per_second,
    )
