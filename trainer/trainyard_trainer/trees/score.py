"""The metrics of every round, from the same formulas as those of every other family."""

from collections.abc import Callable
from typing import cast

import numpy as np
import tensorflow as tf

from trainyard_trainer.fitting.steps import LABELS, WEIGHTS, sums_of
from trainyard_trainer.tasks.task import Task
from trainyard_trainer.tensors import Arrays, Floats, Tensor, Tensors, Total
from trainyard_trainer.trees.forest import Forest
from trainyard_trainer.trees.model import ForestModel

_CHUNK_NUMBERS = 4_000_000


class ForestScores:
    """Follows a growing forest on the training and the validation rows."""

    def __init__(
        self,
        task: Task,
        model: Callable[[Forest], ForestModel],
        *,
        training: Arrays,
        validation: Arrays | None,
        class_weights: Floats | None,
    ) -> None:
        self._task, self._model = task, model
        self._training = _Side(training, task.outputs, task.sums, task, class_weights)
        self._validation = validation and _Side(validation, task.outputs, task.validation_sums, task, None)

    def add(self, grown: Forest) -> list[dict[str, float]]:
        """Return the metrics after each of the rounds that have been grown."""
        model = self._model(grown)
        found = [self._task.metrics(totals) for totals in self._training.add(model)]
        if self._validation:
            for metrics, totals in zip(found, self._validation.add(model), strict=True):
                metrics |= {f"val_{name}": value for name, value in self._task.metrics(totals).items()}
        return found


class _Side:
    """Some rows, with what the forest has said to them so far."""

    def __init__(
        self,
        block: Arrays,
        outputs: int,
        sums: Callable[[Tensor, Tensor, Tensor | None], dict[str, Tensor]],
        task: Task,
        class_weights: Floats | None,
    ) -> None:
        self._block, self._further, self._task, self._class_weights = block, sums, task, class_weights
        self._said = np.zeros((len(block[LABELS]), outputs), np.float32)
        self._rounds = 0

    def add(self, model: ForestModel) -> list[dict[str, Total]]:
        totals: list[dict[str, Total]] = [{} for _ in range(model.rounds)]
        chunk = max(1, _CHUNK_NUMBERS // (model.rounds * self._said.shape[1]))
        for begin in range(0, len(self._said), chunk):
            which = slice(begin, begin + chunk)
            # TensorFlow takes arrays where it takes tensors.
            rows = cast(dict[str, Tensor], {name: values[which] for name, values in self._block.items()})
            labels, weights = rows.pop(LABELS), rows.pop(WEIGHTS, None)
            said = self._said[which, None] + tf.cumsum(model.answers(rows), axis=1)
            self._said[which] = said[:, -1]
            for i, total in enumerate(totals):
                outputs = model.finish(said[:, i], self._rounds + i + 1)
                for name, value in self._sums(labels, outputs, weights).items():
                    total[name] = total.get(name, 0.0) + np.asarray(value, np.float64)
        self._rounds += model.rounds
        return totals

    def _sums(self, labels: Tensor, outputs: Tensor, weights: Tensor | None) -> Tensors:
        losses = self._task.loss(labels, outputs)
        if self._class_weights is not None:
            losses *= tf.gather(self._class_weights, labels)
        return sums_of(losses, self._further(labels, outputs, weights), weights)
