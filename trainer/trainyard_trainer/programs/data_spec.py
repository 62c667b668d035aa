"""What a user's function is told of the data."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from trainyard_operator.api.tasks import Task


@dataclass(frozen=True, slots=True)
class Input:
    """One tensor that the model is given. `shape` is without the rows; `slots` counts the values of an int32 input."""

    shape: tuple[int, ...]
    dtype: str
    slots: int | None = None


@dataclass(frozen=True, slots=True)
class DataSpec:
    """What a model has to fit.

    Attributes:
        task: What is predicted.
        features: The columns that rows have, in order.
        inputs: What the model is given, by name. Numbers are normalised, missing values filled in, and categories are
            slots of one embedding table with `inputs["slots"].slots` rows.
        outputs: Width of the model's output, float32 [rows, outputs], without a final activation: log-odds of the
            second class, unnormalised log-probabilities of all classes, or standard deviations from the mean.
        classes: The classes in the order of the outputs; none for numbers.
    """

    task: Task
    features: tuple[str, ...]
    inputs: Mapping[str, Input]
    outputs: int
    classes: tuple[str, ...] = ()

    def keras_inputs(self) -> dict[str, Any]:
        """Return a new keras.Input for each of the inputs, by name: a functional model can start from them."""
        import keras  # the user's function has loaded it

        return {name: keras.Input(each.shape, dtype=each.dtype, name=name) for name, each in self.inputs.items()}
