"""The training loop: epochs of steps, with reports, checkpoints and reasons to stop between the calls."""

import math
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from trainyard_trainer.checkpoint import BackgroundWriter, CheckpointFolder, Snapshot
from trainyard_trainer.data.pipeline import TrainingRows
from trainyard_trainer.errors import Diverged, Stopped, one_line
from trainyard_trainer.history import History
from trainyard_trainer.journal import Journal, rfc3339
from trainyard_trainer.pace import Pace
from trainyard_trainer.progress import CheckpointNote, ProgressBoard
from trainyard_trainer.signals import StopSignal
from trainyard_trainer.state import ModelState
from trainyard_trainer.steps import StepRunner
from trainyard_trainer.stopping import StopPolicy, StopState
from trainyard_trainer.tasks import COUNT, Task

EPOCH_LINE_SECONDS = 0.5
"""Epochs shorter than this do not get a log line each."""


@dataclass(frozen=True, slots=True)
class Position:
    """Where a training is: what a checkpoint holds beside the weights.

    `step` counts within the running epoch, whose `totals` so far are kept too. `metrics` are those of the last finished
    epoch, `best_metrics` those of the epoch whose weights are kept as the best. `reason` is set once it is over.
    """

    epoch: int = 0
    step: int = 0
    totals: Mapping[str, float] = field(default_factory=dict)
    stop: StopState = field(default_factory=StopState)
    metrics: Mapping[str, float] = field(default_factory=dict)
    best_metrics: Mapping[str, float] = field(default_factory=dict)
    reason: str | None = None

    @classmethod
    def from_wire(cls, state: Mapping[str, Any]) -> "Position":
        """Return the position a checkpoint holds."""
        return cls(**(dict(state) | {"stop": StopState(**state["stop"])}))


@dataclass(frozen=True, slots=True)
class Plan:
    """The fixed numbers of a training. `digest` tells which checkpoints fit it, `store` where paths are relative to."""

    epochs: int
    batch_size: int
    rows: int
    every_steps: int
    digest: str
    store: Path
    learning_rate: float

    @property
    def steps_per_epoch(self) -> int:
        """Steps of an epoch; the last one may be on fewer rows."""
        return math.ceil(self.rows / self.batch_size)


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the loop reports to and hears from."""

    board: ProgressBoard
    journal: Journal
    history: History
    stop: StopSignal
    checkpoints: CheckpointFolder


class Loop:
    """Trains one model. After `run` the model has the weights to export."""

    def __init__(
        self,
        plan: Plan,
        around: Surroundings,
        *,
        state: ModelState,
        runner: StepRunner,
        task: Task,
        policy: StopPolicy,
        rows: TrainingRows,
        validation: Callable[[], Iterator[Any]] | None,
    ) -> None:
        self._plan, self._around = plan, around
        self._state, self._runner, self._task, self._policy = state, runner, task, policy
        self._rows, self._validation = rows, validation
        self._pace = Pace(time.monotonic())
        self._line_due = 0.0
        self._writer = BackgroundWriter(around.checkpoints, saved=self._saved, failed=self._not_saved)

    def run(self) -> Position:
        """Train from the newest checkpoint, or from the start, to the end.

        Raises:
            Diverged: a number is not finite.
            Stopped: on request, after a checkpoint.
        """
        position = self._resume()
        self._around.board.update(phase="training", steps=self._plan.epochs * self._plan.steps_per_epoch)
        try:
            with self._around.stop.deferred():
                while position.reason is None:
                    position = self._close_epoch(self._train_epoch(position))
                self._checkpoint(position)
        finally:
            self._writer.close()
        if self._policy.keeps_best and self._state.restore_best():
            position = replace(position, metrics=position.best_metrics)
        self._around.board.update(metrics=dict(position.metrics), loss=position.metrics["loss"], eta_seconds=0.0)
        return position

    def _resume(self) -> Position:
        def skipped(path: Path, why: str) -> None:
            self._around.journal.write("checkpoint-skipped", f"skipped checkpoint {path.name}: {why}", path=str(path))

        found = self._around.checkpoints.load_newest(self._plan.digest, skipped)
        if found is None:
            self._around.history.resume(0)
            return Position(totals=self._runner.zero_totals())
        snapshot, path = found
        self._state.restore(snapshot.arrays)
        position = Position.from_wire(snapshot.state)
        self._around.history.resume(position.epoch)
        self._around.board.update(step=snapshot.step, epoch=position.epoch, metrics=dict(position.metrics))
        self._around.journal.write(
            "resumed", f"resumed from the checkpoint at step {snapshot.step}", step=snapshot.step, path=str(path)
        )
        return position

    def _train_epoch(self, position: Position) -> Position:
        """Run the steps of the running epoch that are left."""
        started = time.monotonic()
        with closing(self._rows.epoch(position.epoch, position.step * self._plan.batch_size)) as blocks:
            for block in blocks:
                first = block.start
                while first < len(block.order):
                    position, taken = self._call(position, block, first)
                    first += taken * self._plan.batch_size
                    self._attend(position)
        return self._measured(position, time.monotonic() - started)

    def _call(self, position: Position, block: Any, first: int) -> tuple[Position, int]:
        """Run as many steps as one call should, and check what came of them."""
        plan = self._plan
        done = self._steps_done(position)
        in_block = math.ceil((len(block.order) - first) / plan.batch_size)
        steps = min(self._pace.steps_per_call, in_block, plan.every_steps - done % plan.every_steps)
        began = time.monotonic()
        result = self._runner.train(block.rows, block.order, first=first, steps=steps, totals=position.totals)
        now = time.monotonic()
        if result.bad_step >= 0:
            raise self._diverged(f"the loss is not a finite number any more at step {done + result.bad_step + 1}")
        if not result.weights_finite:
            raise self._diverged(f"a weight is not a finite number any more by step {done + steps}")
        rows = int(result.totals[COUNT] - position.totals[COUNT])
        self._pace.record(now=now, began=began, steps=steps, rows=rows)
        return replace(position, step=position.step + steps, totals=result.totals), steps

    def _attend(self, position: Position) -> None:
        """Between two calls: report, save when due, and leave if asked to."""
        done = self._steps_done(position)
        left = self._plan.epochs * self._plan.steps_per_epoch - done
        self._around.board.update(
            step=done,
            loss=self._task.metrics(position.totals)["loss"],
            samples_per_second=self._pace.samples_per_second,
            eta_seconds=self._pace.eta(left, epochs_done=position.epoch),
            last_step_time=time.time(),
        )
        if self._around.stop.requested:
            self._leave(position)
        if done % self._plan.every_steps == 0:
            self._checkpoint(position)

    def _measured(self, position: Position, seconds: float) -> Position:
        """Return the finished epoch with its metrics, those of the validation rows among them."""
        metrics = self._task.metrics(position.totals)
        if self._validation is not None:
            totals: dict[str, Any] = {}
            for block in self._validation():
                for name, value in self._runner.validate(block).items():
                    totals[name] = totals.get(name, 0) + value
            metrics |= {f"val_{name}": value for name, value in self._task.metrics(totals).items()}
        for name in ("loss", "val_loss"):
            if not math.isfinite(metrics.get(name, 0.0)):
                raise self._diverged(f"{name} is not a finite number any more in epoch {position.epoch + 1}")
        epoch = position.epoch + 1
        self._around.history.add(epoch, steps=self._steps_done(position), seconds=seconds, metrics=metrics)
        return replace(position, epoch=epoch, step=0, totals=self._runner.zero_totals(), metrics=metrics)

    def _close_epoch(self, position: Position) -> Position:
        """Judge a finished epoch, and say what became of it."""
        verdict = self._policy.judge(position.stop, epoch=position.epoch, metrics=position.metrics)
        position = replace(position, stop=verdict.state, reason=verdict.reason)
        if verdict.improved:
            self._state.keep_best()
            position = replace(position, best_metrics=position.metrics)
        self._around.board.update(epoch=position.epoch, metrics=dict(position.metrics))
        now = time.monotonic()
        if now >= self._line_due or position.reason:
            self._line_due = now + EPOCH_LINE_SECONDS
            numbers = ", ".join(f"{name} {value:.4g}" for name, value in position.metrics.items())
            self._around.journal.write(
                "epoch",
                f"epoch {position.epoch}/{self._plan.epochs}: {numbers}",
                epoch=position.epoch,
                step=self._steps_done(position),
                samplesPerSecond=self._pace.samples_per_second,
                **position.metrics,
            )
        return position

    def _leave(self, position: Position) -> None:
        self._checkpoint(position)
        self._writer.close()
        note = self._around.board.current.last_checkpoint
        done = self._steps_done(position)
        if note is None or note.step != done:
            raise OSError(f"asked to stop, but the checkpoint of step {done} could not be written")
        raise Stopped(f"stopped on request in epoch {position.epoch + 1} after a checkpoint at step {done}")

    def _checkpoint(self, position: Position) -> None:
        state = asdict(position) | {"totals": {name: float(value) for name, value in position.totals.items()}}
        self._writer.submit(Snapshot(self._steps_done(position), self._plan.digest, state, self._state.arrays()))

    def _saved(self, snapshot: Snapshot, path: Path) -> None:
        store = self._plan.store
        shown = path.relative_to(store) if path.is_relative_to(store) else path
        self._around.board.update(last_checkpoint=CheckpointNote(snapshot.step, str(shown), rfc3339()))

    def _not_saved(self, snapshot: Snapshot, error: OSError) -> None:
        self._around.journal.write(
            "checkpoint-failed",
            f"the checkpoint of step {snapshot.step} could not be written: {one_line(error)}; older ones are kept",
            step=snapshot.step,
        )

    def _steps_done(self, position: Position) -> int:
        return position.epoch * self._plan.steps_per_epoch + position.step

    def _diverged(self, what: str) -> Diverged:
        rate = self._plan.learning_rate
        return Diverged(
            f"{what}: the likeliest cause is a learning rate of {rate:g} that is too high; try {rate / 10:g}. "
            "No such weights were saved"
        )
