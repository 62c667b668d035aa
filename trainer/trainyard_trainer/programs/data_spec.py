"""What a user's function is told of the data."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from trainyard_api.tasks import Task

if TYPE_CHECKING:
    import keras


@dataclass(frozen=True, slots=True)
class Input:
    """One tensor that the model is given.

    Attributes:
        shape: Its shape, without the rows.
        dtype: What its numbers are.
        slots: How many different values an int32 input has, from 0; an embedding needs as many rows.
        vocabulary: The words that the ids of texts stand for, from id 2 on; none where words are hashed.
        mean: The mean of each channel over the training rows, for pixels that are no bytes.
        deviation: Their standard deviation, likewise; 1 where they are all the same.
    """

    shape: tuple[int, ...]
    dtype: str
    slots: int | None = None
    vocabulary: tuple[str, ...] = ()
    mean: tuple[float, ...] = ()
    deviation: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class DataSpec:
    """What a model has to fit.

    Attributes:
        task: What is predicted.
        features: The columns that rows have, in order.
        inputs: What the model is given, by name. Of a table:

            dense_features: float32 (columns,), normalised, with missing values filled in.
            slots: int32 (columns,), categories, all of them rows of one embedding table with `slots` rows.

            With `program.python.image`, `text` or `audio` instead:

            pixels: (height, width, channels). Of image files, and of arrays of bytes, uint8 from 0 to 255. Of other
                arrays float32, the numbers as they are in the data: `mean` and `deviation` are there to normalise them.
            token_ids: int32 (words,), ids below `slots`: 0 behind the last word, 1 for words that are not in
                `vocabulary`, and from 2 on its words.
            spectrogram: float32 (frames, mel bins), in decibels, most of them from -100 to 50 and not normalised.
        outputs: Width of the model's output, float32 [rows, outputs]: log-odds of the second class or of each label,
            unnormalised log-probabilities of all classes, or standard deviations from the mean. A final sigmoid or
            softmax is taken off.
        classes: The classes in the order of the outputs; none for numbers.
    """

    task: Task
    features: tuple[str, ...]
    inputs: Mapping[str, Input]
    outputs: int
    classes: tuple[str, ...] = ()

    def keras_inputs(self) -> "dict[str, keras.KerasTensor]":
        """Return a new keras.Input for each of the inputs, by name: a functional model can start from them."""
        import keras  # the user's function has loaded it

        return {name: keras.Input(tensor.shape, dtype=tensor.dtype, name=name) for name, tensor in self.inputs.items()}
