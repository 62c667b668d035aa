"""The training loop of trees: rounds in slices, with reports, checkpoints and reasons to stop between the slices."""

import math
import threading
from collections.abc import Callable
from concurrent.futures import Future, wait
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TypeVar

from trainyard_trainer.errors import Diverged, Stopped
from trainyard_trainer.fitting.loop import LoopContext
from trainyard_trainer.fitting.plan import Position
from trainyard_trainer.fitting.saving import CheckpointInterval, Saver
from trainyard_trainer.fitting.stopping import StopPolicy
from trainyard_trainer.stores.folder_checkpoints import Snapshot
from trainyard_trainer.trees.forest import Forest
from trainyard_trainer.trees.grow import Grower, Interrupted
from trainyard_trainer.trees.score import ForestScores

_STOP_SECONDS = 0.2
"""How often a request to stop is looked for while ydf, which knows nothing of it, is at work."""
_GROWER = "grower/"
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class TreePlan:
    """The fixed numbers of a training. `digest` tells which checkpoints fit it, `store` where paths are relative to."""

    slice: int
    trees_per_round: int
    rows: int
    interval: CheckpointInterval
    digest: str
    store: Path


class TreeLoop:
    """Grows one forest."""

    def __init__(
        self, plan: TreePlan, context: LoopContext, *, grower: Grower, scores: ForestScores, policy: StopPolicy
    ) -> None:
        self._plan, self._context, self._grower, self._scores, self._policy = plan, context, grower, scores, policy
        self._clock, self._rounds = context.tracker.clock, policy.steps_left(0, steps_per_epoch=1)
        self._saver = Saver(
            context.checkpoints, plan.interval, tracker=context.tracker, event_log=context.event_log, store=plan.store
        )

    def run(self) -> tuple[Position, Forest]:
        """Grow from the newest checkpoint, or from the start; returns the forest to export.

        Raises:
            Diverged: a number is not finite.
            Stopped: on request, after a checkpoint.
        """
        position, forest = self._resume()
        self._context.tracker.update(phase="training", steps=self._rounds)
        try:
            with self._context.stop.deferred():
                while position.reason is None:
                    position, forest = self._slice(position, forest)
                    if position.reason or self._saver.due(position.epoch):
                        self._checkpoint(position, forest)
        finally:
            self._saver.close()
            self._context.history.close()
        if forest is None:  # a checkpoint always has one
            raise ValueError("a training that is over, but without a tree")
        if self._context.stop.requested:  # what is left, the export, can take longer than a grace period
            raise self._leave(position, forest)
        if self._policy.keeps_best and position.best_metrics:
            forest = forest.between(0, position.stop.best_epoch * self._plan.trees_per_round)
            position = replace(position, metrics=position.best_metrics)
        self._context.tracker.update(metrics=dict(position.metrics), loss=position.metrics["loss"], eta_seconds=0.0)
        return position, forest

    def _slice(self, position: Position, forest: Forest | None) -> tuple[Position, Forest]:
        have, began = position.epoch, self._clock.now()
        try:
            grown = self._unless_stopped(lambda: self._grower.grow(have, self._slice_end(have)))
        except Interrupted:
            raise self._leave(position, forest) from None
        found = self._scores.add(grown)
        seconds = (self._clock.now() - began) / len(found)
        for metrics in found:
            position = self._judge(position, metrics, seconds)
            if position.reason:
                break
        self._report(position, seconds)
        grown = grown.between(0, (position.epoch - have) * self._plan.trees_per_round)
        return position, Forest.joined([forest, grown] if forest else [grown])

    def _slice_end(self, have: int) -> int:
        """Return up to which round to grow now: the same from the same round on, whatever came before."""
        return min(self._rounds, have + self._plan.slice, have + self._saver.steps_until_due(have))

    def _unless_stopped(self, work: Callable[[], T]) -> T:
        """Return what `work` returns, or leave it alone once a stop is requested."""
        future: Future[T] = Future()

        def settle() -> None:
            try:
                future.set_result(work())
            except BaseException as error:  # handed to the thread that waits
                future.set_exception(error)

        threading.Thread(target=settle, name="grow", daemon=True).start()
        while not self._context.stop.requested:
            if wait([future], timeout=_STOP_SECONDS).done:
                return future.result()
        raise Interrupted

    def _judge(self, position: Position, metrics: dict[str, float], seconds: float) -> Position:
        epoch = position.epoch + 1
        for name in ("loss", "val_loss"):
            if not math.isfinite(metrics.get(name, 0.0)):
                raise Diverged(f"{name} is not a finite number any more in round {epoch}: try a smaller shrinkage")
        cut = self._policy.cut(steps=epoch, seconds=position.seconds + seconds)
        verdict = self._policy.judge(position.stop, epoch=epoch, metrics=metrics, cut=cut)
        self._context.history.add(epoch, steps=epoch, seconds=seconds, metrics=metrics)
        best = metrics if verdict.improved else position.best_metrics
        return replace(
            position,
            epoch=epoch,
            seconds=position.seconds + seconds,
            stop=verdict.state,
            metrics=metrics,
            best_metrics=best,
            reason=verdict.reason,
        )

    def _report(self, position: Position, seconds: float) -> None:
        speed = self._plan.rows / seconds
        self._context.tracker.step_ended(
            epoch=position.epoch,
            step=position.epoch,
            loss=position.metrics["loss"],
            metrics=dict(position.metrics),
            samples_per_second=speed,
            eta_seconds=min((self._rounds - position.epoch) * seconds, self._policy.seconds_left(position.seconds)),
        )
        numbers = ", ".join(f"{name} {value:.4g}" for name, value in position.metrics.items())
        self._context.event_log.write(
            "epoch",
            f"round {position.epoch}/{self._rounds}: {numbers}",
            epoch=position.epoch,
            step=position.epoch,
            samplesPerSecond=speed,
            **position.metrics,
        )

    def _resume(self) -> tuple[Position, Forest | None]:
        def skipped(path: Path, why: str) -> None:
            self._context.event_log.write(
                "checkpoint-skipped", f"skipped checkpoint {path.name}: {why}", path=str(path)
            )

        found = self._context.checkpoints.load_newest(self._plan.digest, skipped)
        if found is None:
            self._context.history.resume(0)
            return Position(), None
        snapshot, path = found
        position, forest = Position.from_wire(snapshot.state), Forest.from_arrays(snapshot.arrays)
        self._grower.restore({name.removeprefix(_GROWER): each for name, each in snapshot.arrays.items()})
        # In the slices of before, so that the sums of single precision are the same ones.
        have, each = 0, self._plan.trees_per_round
        while have < position.epoch:
            have, first = min(position.epoch, self._slice_end(have)), have
            self._scores.add(forest.between(first * each, have * each))
        self._context.history.resume(position.epoch)
        self._context.tracker.update(step=snapshot.step, epoch=position.epoch, metrics=dict(position.metrics))
        self._context.event_log.write(
            "resumed", f"resumed from the checkpoint at step {snapshot.step}", step=snapshot.step, path=str(path)
        )
        return position, forest

    def _leave(self, position: Position, forest: Forest | None) -> Stopped:
        if forest is None:
            return Stopped("stopped on request before the first trees were grown")
        if not self._saver.has(position.epoch):
            self._checkpoint(position, forest)
            self._saver.close()
        if not self._saver.has(position.epoch):
            raise OSError(f"asked to stop, but the checkpoint of step {position.epoch} could not be written")
        return Stopped(f"stopped on request after a checkpoint at step {position.epoch}")

    def _checkpoint(self, position: Position, forest: Forest) -> None:
        grower = {_GROWER + name: each for name, each in self._grower.state().items()}
        self._saver.submit(Snapshot(position.epoch, self._plan.digest, asdict(position), forest.arrays() | grower))
