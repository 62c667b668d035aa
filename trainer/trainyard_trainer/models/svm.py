"""Family svm: a support vector machine, linear or with a Gaussian kernel; its hinge loss comes from the task."""

import math

import keras

from trainyard_api.program import KerasProgram
from trainyard_trainer.encoding.columns import DENSE, SLOTS, TableInputs
from trainyard_trainer.models.linear import build_linear
from trainyard_trainer.tensors import Tensor

DEFAULT_L2 = 1e-4
"""Without a penalty on the weights there would be no margin to maximise."""


class RandomFourierFeatures(keras.layers.Layer):
    """Maps rows so that their dot products come near the kernel exp(-gamma * |x - y|^2).

    After Rahimi and Recht, "Random features for large-scale kernel machines" (2007). A category counts as one column
    for each of its values, one of them 1. The frequencies are drawn once and never trained.
    """

    def __init__(self, inputs: TableInputs, count: int, gamma: float) -> None:
        super().__init__()
        normal = keras.initializers.RandomNormal
        deviation = math.sqrt(2 * gamma)
        self._scale = math.sqrt(2 / count)
        self._columns = len(inputs.slots)
        self._phases = self._fixed((count,), keras.initializers.RandomUniform(0, 2 * math.pi))
        self._numbers = self._fixed((inputs.dense, count), normal(stddev=deviation)) if inputs.dense else None
        self._categories = self._fixed((sum(inputs.slots), count), normal(stddev=deviation)) if inputs.slots else None

    def _fixed(self, shape: tuple[int, ...], initializer: keras.Initializer) -> keras.Variable:
        return self.add_weight(shape=shape, initializer=initializer, trainable=False)

    def call(self, inputs: tuple[Tensor, Tensor]) -> Tensor:
        """Return the features, float32 [rows, count], of numbers and slots."""
        dense, slots = inputs
        angles = self._phases
        if self._numbers is not None:
            angles = angles + keras.ops.matmul(dense, self._numbers)
        for column in range(self._columns):  # all at once would need a matrix for each column
            angles = angles + keras.ops.take(self._categories, slots[:, column], axis=0)
        return self._scale * keras.ops.cos(angles)


def build_svm(program: KerasProgram, inputs: TableInputs, outputs: int) -> keras.Model:
    """Return the model: its outputs are signed distances in units of the margin, one for each class where several."""
    l2 = DEFAULT_L2 if program.l2 is None else program.l2
    if program.kernel == "linear":
        return build_linear(program.model_copy(update={"l2": l2}), inputs, outputs)
    dense, slots = (
        keras.Input((inputs.dense,), name=DENSE),
        keras.Input((len(inputs.slots),), dtype="int32", name=SLOTS),
    )
    gamma = program.gamma or 1 / (inputs.dense + len(inputs.slots))
    features = RandomFourierFeatures(inputs, program.random_features, gamma)((dense, slots))
    scores = keras.layers.Dense(outputs, kernel_initializer="zeros", kernel_regularizer=keras.regularizers.L2(l2))(
        features
    )
    return keras.Model({DENSE: dense, SLOTS: slots}, scores)
