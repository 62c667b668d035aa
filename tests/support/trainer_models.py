"""Models and data for tests of the training side, without files."""

from typing import Any

import keras
import numpy as np

from trainyard_api.fit import Optimizer, Schedule
from trainyard_api.program import KerasProgram
from trainyard_trainer.data.labels import ClassLabels
from trainyard_trainer.encoding.columns import DENSE, SLOTS, TableInputs
from trainyard_trainer.execution import PLAIN, Execution
from trainyard_trainer.fitting.optimizers import make_optimizer
from trainyard_trainer.fitting.steps import LABELS, StepRunner
from trainyard_trainer.models import FAMILIES
from trainyard_trainer.tasks.task import Task, task_for

TWO = ClassLabels(("no", "yes"), ("no", "yes"), (1, 1))


def rows(count: int, dense: int = 4, slots: tuple[int, ...] = (), seed: int = 3) -> dict[str, Any]:
    """Return learnable rows as a step takes them."""
    rng = np.random.default_rng(seed)
    numbers = rng.normal(size=(count, dense)).astype(np.float32)
    categories = np.stack([rng.integers(0, each, count) for each in slots], 1) if slots else np.zeros((count, 0))
    offsets = np.cumsum(slots) - np.array(slots) if slots else np.zeros(0)
    labels = (numbers[:, 0] + (categories[:, 0] == 1 if slots else 0) > 0.2).astype(np.int32)
    return {DENSE: numbers, SLOTS: (categories + offsets).astype(np.int32), LABELS: labels}


class Sample:
    """A small model with everything that trains it."""

    def __init__(
        self,
        *,
        dense: int = 4,
        slots: tuple[int, ...] = (),
        hidden: list[int] | None = None,
        dropout: float = 0.0,
        normalization: Any = None,
        optimizer: str = "adam",
        learning_rate: float = 0.01,
        batch_size: int = 8,
        schedule: Schedule | None = None,
        class_weights: Any = None,
        strategy: Any = None,
        execution: Execution = PLAIN,
    ) -> None:
        keras.utils.set_random_seed(1)
        program = KerasProgram(
            task="binaryClassification", hidden=hidden or [8], dropout=dropout, normalization=normalization
        )
        self.task: Task = task_for(TWO, program)
        self.model = FAMILIES["mlp"](program, TableInputs(dense, slots), 1)
        wanted = Optimizer(name=optimizer, learning_rate=learning_rate, schedule=schedule)  # type: ignore[arg-type]
        self.optimizer = make_optimizer(wanted, self.model, precision=execution.precision)
        self.runner = StepRunner(
            self.model,
            self.optimizer,
            self.task,
            batch_size=batch_size,
            strategy=strategy,
            class_weights=class_weights,
            execution=execution,
        )

    def weights(self) -> list[Any]:
        """Return copies of the weights."""
        return [np.array(each) for each in self.model.get_weights()]
