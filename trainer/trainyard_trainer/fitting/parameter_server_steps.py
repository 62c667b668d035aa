"""Training steps that several workers do for the chief, on weights that parameter servers hold.

The steps of a call are cut into closures, as TensorFlow calls what a coordinator hands out, and each worker takes the
next closure as soon as it has done one. So the workers do not wait for each other within a call, and no step is under
way between two of them: what is validated and saved then are the weights after just those steps.
"""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from trainyard_trainer.fitting.steps import StepRunner, StepsDone
from trainyard_trainer.tensors import Integers, Model, Optimizer, Strategy, Tensor, Tensors

CLOSURES_PER_WORKER = 4
"""How many closures of a call each worker gets, if all are equally fast: with fewer, all wait long for the last one."""


class ParameterServerStepRunner(StepRunner):
    """Runs the steps of one model on `workers` workers. A closure whose worker dies is done anew by another one."""

    call_seconds = 1.0  # some closures of so many steps that sending them, and waiting for the last one, takes little

    def __init__(
        self,
        model: Model,
        optimizer: Optimizer,
        *further: Any,
        strategy: Strategy | None,
        workers: int,
        **settings: Any,
    ) -> None:
        super().__init__(model, optimizer, *further, strategy=strategy, **settings)
        self._coordinator = tf.distribute.coordinator.ClusterCoordinator(strategy)
        self._workers = workers
        self._statistics = []  # each worker is one replica: layers keep count by themselves

    def train(
        self, block: Tensors, order: Integers, *, first: int, steps: int, totals: Mapping[str, float], left: int = 0
    ) -> StepsDone:
        """Run `steps` steps on the rows `order[first:]` of a block, in no order, and add to the totals."""
        begun = self._optimizer.iterations.numpy()
        size = math.ceil(steps / (CLOSURES_PER_WORKER * self._workers))
        starts = range(0, steps, size)
        rows = [order[first + i * self._batch_size : first + min(i + size, steps) * self._batch_size] for i in starts]
        done = self._coordinator.fetch([self._schedule(block, which) for which in rows])
        # Keras counts steps by reading the count and writing it: of several workers' steps at once some get lost.
        self._optimizer.iterations.assign(begun + steps)
        bad = [start + int(bad_step) for start, (_, bad_step, _) in zip(starts, done, strict=True) if bad_step >= 0]
        return StepsDone(
            {name: value + sum(sums[name] for sums, _, _ in done) for name, value in totals.items()},
            min(bad, default=-1),
            all(bool(finite) for _, _, finite in done),
        )

    def _step(self, block: Tensors, which: Tensor, batch: Tensor) -> dict[str, Tensor]:
        # Nothing is divided, so a short batch is not filled up: BatchNormalization would take the filling for rows.
        assert self._strategy is not None
        sums: dict[str, Tensor] = self._strategy.run(lambda: self._replica_step(block, which, batch))
        return sums

    def _schedule(self, block: Tensors, which: Integers) -> object:
        """Have a worker train on rows of a block, which are sent to it."""
        steps = self._steps(block, whole=len(which) % self._batch_size == 0)
        rows = {name: tf.gather(value, which) for name, value in block.items()}
        order = np.arange(len(which), dtype=np.int32)
        count = np.int32(math.ceil(len(which) / self._batch_size))
        return self._coordinator.schedule(steps, (rows, order, np.int32(0), count, np.int32(0), self.zero_totals()))
