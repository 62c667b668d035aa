"""The training loop: epochs of steps, with reports, checkpoints and reasons to stop between the calls."""

import math
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from trainyard_trainer.data.pipeline import Block, TrainingRows
from trainyard_trainer.errors import Diverged, Stopped
from trainyard_trainer.fitting.divergence import DivergenceDiagnosis
from trainyard_trainer.fitting.plan import Plan, Position
from trainyard_trainer.fitting.saving import Saver
from trainyard_trainer.fitting.state import ModelState
from trainyard_trainer.fitting.step_sync import (
    CallSummary,
    ValidationRound,
    add_up,
    check_same,
    sync_call,
    sync_validation,
)
from trainyard_trainer.fitting.steps import StepRunner
from trainyard_trainer.fitting.stopping import Reason, StopPolicy
from trainyard_trainer.fitting.throughput import Throughput
from trainyard_trainer.reporting.event_log import EventLog
from trainyard_trainer.reporting.history import LEARNING_RATE, History
from trainyard_trainer.reporting.progress_server import ProgressTracker
from trainyard_trainer.signals import StopSignal
from trainyard_trainer.stores.folder_checkpoints import CheckpointFolder, Snapshot
from trainyard_trainer.tasks.task import Task
from trainyard_trainer.tensors import Tensors, Total, Totals
from trainyard_trainer.workers.advice import advice
from trainyard_trainer.workers.group import SINGLE_WORKER, WorkerGroup

EPOCH_LINE_SECONDS = 0.5
"""Epochs shorter than this do not get a log line each."""


@dataclass(frozen=True, slots=True)
class LoopContext:
    """What the loop reports to and hears from."""

    tracker: ProgressTracker
    event_log: EventLog
    history: History
    stop: StopSignal
    checkpoints: CheckpointFolder
    group: WorkerGroup = SINGLE_WORKER


@dataclass(frozen=True, slots=True)
class LoopConfig:
    """One training: what is to be done, on what, and how it is judged.

    `found` is the checkpoint to go on from, and where it is. `validation` returns the blocks of validation rows anew.
    """

    plan: Plan
    context: LoopContext
    state: ModelState
    runner: StepRunner
    task: Task
    policy: StopPolicy
    rows: TrainingRows
    validation: Callable[[], Iterator[Tensors]] | None
    found: tuple[Snapshot, Path] | None
    diagnosis: DivergenceDiagnosis


class Loop:
    """Trains one model. After `run` the model has the weights to export."""

    def __init__(self, config: LoopConfig) -> None:
        plan, context, runner = config.plan, config.context, config.runner
        self._plan, self._context, self._runner = plan, context, runner
        self._state, self._task, self._policy = config.state, config.task, config.policy
        self._rows, self._validation = config.rows, config.validation
        self._found, self._diagnosis = config.found, config.diagnosis
        self._clock, self._group = context.tracker.clock, context.group
        self._steps_per_call = 1
        self._throughput = Throughput(self._clock.now(), runner.call_seconds)
        self._line_due = 0.0
        self._advised = context.group.index > 0
        self._saver = Saver(
            context.checkpoints, plan.interval, tracker=context.tracker, event_log=context.event_log, store=plan.store
        )

    def run(self) -> Position:
        """Train from the checkpoint that was found, or from the start, to the end.

        Raises:
            Diverged: a number is not finite.
            Stopped: on request, after a checkpoint.
        """
        position = self._resume()
        self._began = self._clock.now() - position.seconds
        steps = self._policy.steps_left(0, steps_per_epoch=self._plan.steps_per_epoch)
        self._context.tracker.update(phase="training", steps=steps)
        try:
            with self._context.stop.deferred():
                while position.reason is None:
                    position = self._run_epoch(position)
                self._checkpoint(position)
        finally:
            self._saver.close()
            self._context.history.close()
        # What is left, the export, can take longer than a grace period.
        if any(self._group.gather(self._context.stop.requested)):
            self._leave(position)
        if self._policy.keeps_best and self._state.restore_best():
            position = replace(position, metrics=position.best_metrics)
        self._context.tracker.update(metrics=dict(position.metrics), loss=position.metrics["loss"], eta_seconds=0.0)
        return position

    def _resume(self) -> Position:
        if self._found is None:
            self._context.history.resume(0)
            return Position(totals=self._runner.zero_totals())
        snapshot, path = self._found
        self._found = None  # a copy of all weights
        self._state.restore(snapshot.arrays)
        position = Position.from_wire(snapshot.state)
        self._context.history.resume(position.epochs_begun if position.reason else position.epoch)
        self._context.tracker.update(step=snapshot.step, epoch=position.epoch, metrics=dict(position.metrics))
        self._context.event_log.write(
            "resumed",
            f"resumed from the checkpoint at step {snapshot.step}",
            step=snapshot.step,
            path=str(path),
        )
        return position

    def _run_epoch(self, position: Position) -> Position:
        """Train to the end of the running epoch, or to where it is cut short, and judge it."""
        started = self._clock.now()
        cut: Reason | None = None
        end = position
        with closing(self._train_epoch(position)) as calls:
            for end, call in calls:
                self._attend(end, call)
                cut = self._policy.cut(steps=self._steps_done(end), seconds=end.seconds)
                if cut:
                    break
        return self._judged(self._measured(end, started), cut)

    def _train_epoch(self, position: Position) -> Generator[tuple[Position, CallSummary]]:
        """Run the steps of the running epoch that are left, and yield where it is after each call, and the call."""
        with closing(self._rows.epoch(position.epoch, position.step * self._plan.own_batch)) as blocks:
            for block in blocks:
                first = block.start
                while first < len(block.order):
                    position, call, taken = self._call(position, block, first)
                    first += taken * self._plan.own_batch
                    yield position, call

    def _call(self, position: Position, block: Block, first: int) -> tuple[Position, CallSummary, int]:
        """Run as many steps as one call should, and check what came of them."""
        plan = self._plan
        done = self._steps_done(position)
        in_block = math.ceil((len(block.order) - first) / plan.own_batch)
        rows_left = plan.rows_left(position.step)
        left = self._policy.steps_left(done, steps_per_epoch=plan.steps_per_epoch)
        steps = min(self._steps_per_call, in_block, left, self._saver.steps_until_due(done))
        began = self._clock.now()
        result = self._runner.train(
            block.rows, block.order, first=first, steps=steps, totals=position.totals, left=rows_left
        )
        now = self._clock.now()
        self._throughput.record(now=now, began=began, steps=steps, rows=min(steps * plan.choices.batch_size, rows_left))
        call = CallSummary(
            result.totals,
            result.bad_step,
            result.weights_finite,
            stop=self._context.stop.requested,
            save=self._saver.due(done + steps),
            seconds=now - self._began,
            steps_per_call=self._throughput.steps_per_call,
        )
        call = sync_call(self._group, call, position.totals)
        if call.bad_step >= 0:
            raise self._diverged(
                f"the loss is not a finite number any more at step {done + call.bad_step + 1}", block, first, steps
            )
        if not call.weights_finite:
            raise self._diverged(
                f"a weight is not a finite number any more by step {done + steps}", block, first, steps
            )
        self._steps_per_call = call.steps_per_call
        return replace(position, step=position.step + steps, totals=call.totals, seconds=call.seconds), call, steps

    def _attend(self, position: Position, call: CallSummary) -> None:
        """Between two calls: report, save when due, and leave if asked to."""
        done = self._steps_done(position)
        left = self._policy.steps_left(done, steps_per_epoch=self._plan.steps_per_epoch)
        eta = self._throughput.eta(left, epochs_done=position.epoch)
        self._context.tracker.step_ended(
            step=done,
            loss=self._task.metrics(position.totals)["loss"],
            samples_per_second=self._throughput.samples_per_second,
            eta_seconds=None if eta is None else min(eta, self._policy.seconds_left(position.seconds)),
        )
        self._advise()
        if call.stop:
            self._leave(position)
        if call.save:
            self._checkpoint(position)

    def _measured(self, position: Position, started: float) -> Position:
        """Return the epoch with its metrics, those of the validation rows among them."""
        trained = self._clock.now()
        metrics = self._task.metrics(position.totals)
        if self._validation is not None:
            totals = add_up(self._group, self._validation_totals(position, self._validation()))
            metrics |= {f"val_{name}": value for name, value in self._task.metrics(totals).items()}
        for name in ("loss", "val_loss"):
            if not math.isfinite(metrics.get(name, 0.0)):
                raise self._diverged(f"{name} is not a finite number any more in epoch {position.epoch + 1}")
        shown = {LEARNING_RATE: self._state.learning_rate} | metrics
        self._context.history.add(
            position.epoch + 1, steps=self._steps_done(position), seconds=trained - started, metrics=shown
        )
        position = replace(position, metrics=metrics, seconds=self._clock.now() - self._began)
        if position.step < self._plan.steps_per_epoch:
            return position
        return replace(position, epoch=position.epoch + 1, step=0, totals=self._runner.zero_totals())

    def _validation_totals(self, position: Position, blocks: Iterator[Tensors]) -> Totals:
        """Return the totals of this worker's validation rows, unless anybody is asked to stop meanwhile."""
        totals: dict[str, Total] = {}
        while True:
            block = next(blocks, None)
            turn = sync_validation(
                self._group, ValidationRound(more=block is not None, stop=self._context.stop.requested)
            )
            if turn.stop:
                self._leave(position)
            if not turn.more:
                return totals
            for name, value in self._runner.validate(block).items() if block is not None else ():
                totals[name] = totals.get(name, 0) + value
            self._context.tracker.step_ended()

    def _judged(self, position: Position, cut: Reason | None) -> Position:
        """Judge an epoch that is over, and say what became of it."""
        number = position.epochs_begun
        verdict = self._policy.judge(position.stop, epoch=number, metrics=position.metrics, cut=cut)
        position = replace(position, stop=verdict.state, reason=verdict.reason)
        if verdict.improved and self._policy.keeps_best:
            self._state.keep_best()
            position = replace(position, best_metrics=position.metrics)
        self._context.tracker.update(epoch=position.epoch, metrics=dict(position.metrics))
        now = self._clock.now()
        if now >= self._line_due or position.reason:
            self._line_due = now + EPOCH_LINE_SECONDS
            numbers = ", ".join(f"{name} {value:.4g}" for name, value in position.metrics.items())
            self._context.event_log.write(
                "epoch",
                f"epoch {number}/{self._plan.epochs}: {numbers}",
                epoch=number,
                step=self._steps_done(position),
                samplesPerSecond=self._throughput.samples_per_second,
                **position.metrics,
            )
        return position

    def _advise(self) -> None:
        """Say once, where several workers train, that one alone would be faster."""
        seconds = self._throughput.seconds_per_step
        if self._advised or seconds is None:
            return
        self._advised = True
        if found := advice(self._group.count, seconds):
            self._context.event_log.write("one-worker-is-faster", found, secondsPerStep=round(seconds, 6))

    def _leave(self, position: Position) -> None:
        done = self._steps_done(position)
        if position.reason is None:
            self._checkpoint(position)
            self._saver.close()
        # The chief tells how it went, and nobody leaves it before it is done: TensorFlow would take that for a crash.
        if not self._group.gather(self._saver.has(done))[0]:
            raise OSError(f"asked to stop, but the checkpoint of step {done} could not be written")
        raise Stopped(f"stopped on request in epoch {position.epoch + 1} after a checkpoint at step {done}")

    def _checkpoint(self, position: Position) -> None:
        arrays = self._state.arrays()
        check_same(self._group, arrays)
        if self._group.index:
            return
        state = asdict(position) | {
            "totals": {name: float(value) for name, value in position.totals.items()},
            "choices": self._plan.choices.to_wire(),
        }
        self._saver.submit(Snapshot(self._steps_done(position), self._plan.digest, state, arrays))

    def _steps_done(self, position: Position) -> int:
        return position.epoch * self._plan.steps_per_epoch + position.step

    def _diverged(self, what: str, block: Block | None = None, first: int = 0, steps: int = 0) -> Diverged:
        """Return the end of a training, with the likeliest cause in the rows of its last call or in its settings."""
        which = block.order[first : first + steps * self._plan.own_batch] if block else ()
        cause, settings = self._diagnosis.likeliest(block.rows if block else None, which), self._diagnosis.likeliest()
        # The rows of another worker may show it.
        cause = next((found for found in self._group.gather(cause) if found != settings), settings)
        return Diverged(f"{what}: the likeliest cause: {cause}. No such weights were saved")
