"""Settles what the spec leaves to the trainer, before the first step: from a checkpoint, or by measuring."""

from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from functools import cache
from typing import Generic

from trainyard_api.fit import Fit
from trainyard_trainer.autotune.benchmark import ExecutionBenchmark, MeasuredState, RunnerT, StepTimer
from trainyard_trainer.autotune.choices import (
    AUTO,
    FIRST_BATCH,
    Choices,
    ExecutionChoice,
    choose_batch_size,
    choose_execution,
    execution_options,
    first_batch,
)
from trainyard_trainer.data.pipeline import Block, TrainingRows
from trainyard_trainer.devices import Devices
from trainyard_trainer.errors import BadInput
from trainyard_trainer.execution import FLOAT16, FLOAT32, Execution
from trainyard_trainer.reporting.event_log import EventLog
from trainyard_trainer.stores.folder_checkpoints import Snapshot
from trainyard_trainer.tensors import Optimizer


@dataclass(frozen=True, slots=True)
class Autotuned(Generic[RunnerT]):
    """The settings, and what trains with them."""

    choices: Choices
    optimizer: Optimizer
    runner: RunnerT


@dataclass(frozen=True, slots=True)
class StepFactory(Generic[RunnerT]):
    """Makes what trains one model: an optimizer for a batch size and precision, and runners with such an optimizer.

    `state` returns what measuring has to put back: the model's and an optimizer's variables.
    """

    optimizer: Callable[[int, str], Optimizer]
    runner: Callable[[Optimizer, int, Execution], RunnerT]
    state: Callable[[Optimizer], MeasuredState]


class Autotuner(Generic[RunnerT]):
    """Settles batch size and execution of one training.

    Several workers would have to agree on what they measured, so they take the plainest execution.
    """

    def __init__(
        self,
        fit: Fit,
        factory: StepFactory[RunnerT],
        *,
        devices: Devices,
        rows: TrainingRows,
        limit: int,
        workers: int = 1,
    ) -> None:
        self._fit, self._factory, self._devices, self._rows, self._limit = fit, factory, devices, rows, limit
        self._workers = workers
        self._options = execution_options(
            fit.precision, fit.jit_compile, bfloat16=devices.has_bfloat16, gpus=devices.gpus, alone=not devices.strategy
        )

    def settle(self, found: Snapshot | None, *, steps: Callable[[int], int], event_log: EventLog) -> Autotuned[RunnerT]:
        """Return the settings; those of a checkpoint hold on. `steps` tells the length of a training by batch size.

        Raises:
            BadInput: the device cannot do what the spec asks for.
        """
        before = Choices.from_wire(found.state["choices"]) if found else None
        size = before.batch_size if before else self._batch_size()
        optimizer = self._factory.optimizer(size, FLOAT16 if self._fit.precision == FLOAT16 else FLOAT32)

        @cache
        def runner(execution: Execution) -> RunnerT:
            return self._factory.runner(optimizer, size, execution)

        if before and before.device == self._devices.kind:
            chosen = ExecutionChoice(before.execution, "as before the restart")
        else:
            chosen = self._execution(optimizer, size, runner, steps(size))
        moved = f"now on {self._devices.kind}, before on {before.device}; " if before and chosen.why[:2] != "as" else ""
        choices = Choices(size, chosen.execution, self._devices.kind)
        event_log.write("settings", f"batch size {size}, {chosen.execution} ({moved}{chosen.why})", **choices.to_wire())
        return Autotuned(choices, optimizer, runner(chosen.execution))

    def _batch_size(self) -> int:
        if isinstance(self._fit.batch_size, int):
            return self._fit.batch_size
        # Its own optimizer, because a schedule depends on the batch size.
        optimizer = self._factory.optimizer(self._limit, FLOAT32)

        def runner(size: int, execution: Execution) -> RunnerT:
            return self._factory.runner(optimizer, size, execution)

        with StepTimer(self._factory.state(optimizer), self._block(), runner) as timer:
            return choose_batch_size(timer.speed, limit=self._limit, first=first_batch(_replicas(self._devices)))

    def _execution(
        self, optimizer: Optimizer, size: int, runner: Callable[[Execution], RunnerT], steps: int
    ) -> ExecutionChoice:
        plainest = self._options.plainest
        if self._workers > 1:
            return ExecutionChoice(plainest, "the same on all workers")
        if not self._options.others and not plainest.jit_compile:
            return ExecutionChoice(plainest, "as the spec says")
        state = self._factory.state(optimizer)
        with StepTimer(state, self._block(), lambda _, execution: runner(execution)) as timer:
            benchmark = ExecutionBenchmark(timer, runner, batch_size=size)
            if plainest.jit_compile and benchmark.prepare(plainest) is None:
                raise BadInput(
                    f"fit.jitCompile is true, but XLA cannot compile this model; leave it out: {benchmark.problem}"
                )
            return choose_execution(benchmark, self._options, steps=steps)

    def _block(self) -> Block:
        with closing(self._rows.epoch(0, 0)) as blocks:
            return next(blocks)


def settings_of_several(fit: Fit, found: Snapshot | None, *, devices: Devices, limit: int, workers: int) -> Fit:
    """Return the settings for several workers, who each need the batch size to know which rows are theirs."""
    size = Choices.from_wire(found.state["choices"]).batch_size if found else fit.batch_size
    if not isinstance(size, int):
        size = max(min(limit, FIRST_BATCH * _replicas(devices)), workers)  # none may be without a row
    return fit.model_copy(update={"batch_size": size})


def _replicas(devices: Devices) -> int:
    return int(devices.strategy.num_replicas_in_sync) if devices.strategy else 1


def rows_a_block(fit: Fit, limit: int) -> int:
    """Return the number that blocks of rows are a multiple of, whatever batch size is chosen."""
    return limit if fit.batch_size == AUTO else int(fit.batch_size or limit)
