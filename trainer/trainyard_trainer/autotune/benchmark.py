"""Measures how fast steps run on the real model, rows and device, and leaves no trace in the weights."""

import math
import time
from collections.abc import Callable, Mapping
from typing import Generic, Protocol, TypeVar

import tensorflow as tf

from trainyard_trainer.autotune.choices import Timing
from trainyard_trainer.data.pipeline import Block
from trainyard_trainer.devices import peak_memory, usable_memory
from trainyard_trainer.errors import one_line
from trainyard_trainer.execution import Execution
from trainyard_trainer.tasks.task import COUNT, LOSS
from trainyard_trainer.tensors import Arrays, Integers, Tensors

_CALL_SECONDS = 0.03
_ROUNDS = 5
_MEMORY_SHARE = 0.8


class MeasuredState(Protocol):
    """The variables that steps change, to be put back after measuring."""

    def arrays(self) -> Arrays:
        """Return copies of all of them."""

    def restore(self, arrays: Arrays) -> None:
        """Set all of them to what `arrays` returned."""


class MeasuredSteps(Protocol):
    """What came of some steps."""

    @property
    def totals(self) -> Mapping[str, float]:
        """The totals of their rows."""


class MeasuredRunner(Protocol):
    """Runs steps, as a training does."""

    def zero_totals(self) -> dict[str, float]:
        """Return the totals to start with."""

    def train(
        self, block: Tensors, order: Integers, *, first: int, steps: int, totals: Mapping[str, float]
    ) -> MeasuredSteps:
        """Run `steps` steps on the rows `order[first:]` of a block."""


RunnerT = TypeVar("RunnerT", bound=MeasuredRunner)


class StepTimer(Generic[RunnerT]):
    """Trains for moments, each time from the weights there were at first. On leaving, they are as they were."""

    def __init__(self, state: MeasuredState, block: Block, make_runner: Callable[[int, Execution], RunnerT]) -> None:
        self._state, self._block, self._make_runner = state, block, make_runner
        self._grown = 0

    def __enter__(self) -> "StepTimer[RunnerT]":
        self._before: Arrays = self._state.arrays()
        return self

    def __exit__(self, *error: object) -> None:
        self._state.restore(self._before)

    def run(self, runner: RunnerT, steps: int, *, first: int = 0) -> Timing:
        """Run some steps on the rows of the block from the first one."""
        self._state.restore(self._before)
        totals = runner.zero_totals()
        began = time.perf_counter()
        done = runner.train(self._block.rows, self._block.order, first=first, steps=steps, totals=totals)
        return Timing(
            (time.perf_counter() - began) / steps, float(done.totals[LOSS]) / max(float(done.totals[COUNT]), 1.0)
        )

    def steps(self, seconds: float, batch_size: int) -> int:
        """Return how many steps, of so many seconds each, make a call that is long enough to be measured."""
        return max(
            1, min(math.ceil(_CALL_SECONDS / max(seconds, 1e-9)), (len(self._block.order) - _ROUNDS) // batch_size)
        )

    def speed(self, batch_size: int) -> float | None:
        """Return rows a second with a batch size, twice the one before; nothing where it does not fit into memory."""
        before = peak_memory()
        if before + 2 * self._grown > _MEMORY_SHARE * usable_memory():
            return None  # Not tried: on a CPU, what does not fit ends the process.
        runner = self._make_runner(batch_size, Execution())
        try:
            self.run(runner, 1)
            steps = self.steps(self.run(runner, 1).seconds, batch_size)
            best = min(self.run(runner, steps).seconds for _ in range(3))
        except tf.errors.ResourceExhaustedError:
            return None
        self._grown = peak_memory() - before
        return batch_size / best


class ExecutionBenchmark(Generic[RunnerT]):
    """Compares executions at one batch size. Runners that were made stay traced, so the chosen one is ready."""

    def __init__(self, timer: StepTimer[RunnerT], runner: Callable[[Execution], RunnerT], *, batch_size: int) -> None:
        self._timer, self._runner, self._batch_size = timer, runner, batch_size
        self.problem = ""
        """Why the last execution that was not possible is not."""

    def prepare(self, execution: Execution) -> float | None:
        """Trace or compile; returns the seconds it took, or nothing where it is not possible."""
        try:
            return self._timer.run(self._runner(execution), 1).seconds
        except (tf.errors.OpError, TypeError, ValueError) as error:
            # An operation that XLA, or this precision, does not have.
            self.problem = one_line(error, 400)
            return None

    def seconds(self, execution: Execution) -> float:
        """Return about how long a step takes, from a few of them."""
        return self._timer.run(self._runner(execution), self._timer.steps(_CALL_SECONDS / 8, self._batch_size)).seconds

    def compare(self, one: Execution, other: Execution) -> tuple[Timing, Timing]:
        """Run two executions in turns, as many steps each as take about 30 ms; the quickest of five turns counts."""
        first, second = self._runner(one), self._runner(other)
        steps = self._timer.steps(self._timer.run(first, 1).seconds, self._batch_size)
        slow = self._timer.run(second, 1).seconds
        rounds = 1 if slow * steps > 10 * _CALL_SECONDS else _ROUNDS
        # Never from the same row twice: what is compiled for one row only would look well otherwise.
        pairs = [[self._timer.run(runner, steps, first=i) for runner in (first, second)] for i in range(1, rounds + 1)]
        return _quickest([a for a, _ in pairs]), _quickest([b for _, b in pairs])


def _quickest(timings: list[Timing]) -> Timing:
    return min(timings, key=lambda timing: timing.seconds)
