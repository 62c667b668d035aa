"""Settles what the spec leaves to the trainer, before the first step: from a checkpoint, or by measuring."""

from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from functools import cache
from typing import Any

from trainyard_api.fit import Fit
from trainyard_trainer.autotune.choices import (
    AUTO,
    FIRST_BATCH,
    Choices,
    Chosen,
    choose_batch_size,
    choose_execution,
    first_batch,
    ways,
)
from trainyard_trainer.autotune.measuring import ExecutionBench, Trials
from trainyard_trainer.data.pipeline import Block, TrainingRows
from trainyard_trainer.devices import Devices
from trainyard_trainer.errors import BadInput
from trainyard_trainer.execution import FLOAT16, FLOAT32, Execution
from trainyard_trainer.fitting.state import ModelState
from trainyard_trainer.fitting.steps import StepRunner
from trainyard_trainer.reporting.event_log import Journal
from trainyard_trainer.stores.folder_checkpoints import Snapshot


@dataclass(frozen=True, slots=True)
class Decided:
    """The settings, and what trains with them."""

    choices: Choices
    optimizer: Any
    runner: StepRunner


@dataclass(frozen=True, slots=True)
class Maker:
    """Makes optimizers and runners for one model."""

    model: Any
    optimizer: Callable[[int, str], Any]
    runner: Callable[[Any, int, Execution], StepRunner]


class Decider:
    """Decides for one training. Several workers would have to agree: there the plainest way is taken."""

    def __init__(
        self, fit: Fit, maker: Maker, *, devices: Devices, rows: TrainingRows, limit: int, workers: int = 1
    ) -> None:
        self._fit, self._maker, self._devices, self._rows, self._limit = fit, maker, devices, rows, limit
        self._workers = workers
        self._open = ways(
            fit.precision, fit.jit_compile, bfloat16=devices.has_bfloat16, gpus=devices.gpus, alone=not devices.strategy
        )

    def decide(self, found: Snapshot | None, *, steps: Callable[[int], int], journal: Journal) -> Decided:
        """Return the settings; those of a checkpoint hold on. `steps` tells the length of a training by batch size.

        Raises:
            BadInput: the device cannot do what the spec asks for.
        """
        before = Choices.from_wire(found.state["choices"]) if found else None
        size = before.batch_size if before else self._batch_size()
        optimizer = self._maker.optimizer(size, FLOAT16 if self._fit.precision == FLOAT16 else FLOAT32)

        @cache
        def runner(way: Execution) -> StepRunner:
            return self._maker.runner(optimizer, size, way)

        if before and before.device == self._devices.kind:
            chosen = Chosen(before.execution, "as before the restart")
        else:
            chosen = self._execution(optimizer, size, runner, steps(size))
        moved = f"now on {self._devices.kind}, before on {before.device}; " if before and chosen.why[:2] != "as" else ""
        choices = Choices(size, chosen.execution, self._devices.kind)
        journal.write("settings", f"batch size {size}, {chosen.execution} ({moved}{chosen.why})", **choices.to_wire())
        return Decided(choices, optimizer, runner(chosen.execution))

    def _batch_size(self) -> int:
        if isinstance(self._fit.batch_size, int):
            return self._fit.batch_size
        # Its own optimizer, because a schedule depends on the batch size.
        optimizer = self._maker.optimizer(self._limit, FLOAT32)

        def runner(size: int, way: Execution) -> StepRunner:
            return self._maker.runner(optimizer, size, way)

        with Trials(ModelState(self._maker.model, optimizer), self._block(), runner) as trials:
            return choose_batch_size(trials.speed, limit=self._limit, first=first_batch(_replicas(self._devices)))

    def _execution(self, optimizer: Any, size: int, runner: Callable[[Execution], StepRunner], steps: int) -> Chosen:
        plainest = self._open.plainest
        if self._workers > 1:
            return Chosen(plainest, "the same on all workers")
        if not self._open.others and not plainest.jit_compile:
            return Chosen(plainest, "as the spec says")
        with Trials(ModelState(self._maker.model, optimizer), self._block(), lambda _, way: runner(way)) as trials:
            bench = ExecutionBench(trials, runner, batch_size=size)
            if plainest.jit_compile and bench.prepare(plainest) is None:
                raise BadInput(
                    f"fit.jitCompile is true, but XLA cannot compile this model; leave it out: {bench.problem}"
                )
            return choose_execution(bench, self._open, steps=steps)

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
    return limit if fit.batch_size == AUTO else int(fit.batch_size)
