"""Family linear: one weight for each number and each category, and nothing between them and the answer."""

import keras

from trainyard_api.program import KerasProgram
from trainyard_trainer.encoding.columns import DENSE, SLOTS, TableInputs


def build_linear(program: KerasProgram, inputs: TableInputs, outputs: int) -> keras.Model:
    """Return the model: logistic or linear regression, by the task.

    All weights are 0 at first, so the first answer is the mean, or all classes alike.
    """
    dense, slots = (
        keras.Input((inputs.dense,), name=DENSE),
        keras.Input((len(inputs.slots),), dtype="int32", name=SLOTS),
    )
    regularizer = keras.regularizers.L2(program.l2) if program.l2 else None
    parts = []
    if inputs.dense:
        parts.append(keras.layers.Dense(outputs, kernel_initializer="zeros", kernel_regularizer=regularizer)(dense))
    if inputs.slots:
        # The sum of one row of weights for each category is a dense layer on one-hot columns, without the columns.
        weights = keras.layers.Embedding(
            sum(inputs.slots), outputs, embeddings_initializer="zeros", embeddings_regularizer=regularizer
        )(slots)
        parts.append(keras.ops.sum(weights, axis=1))
    return keras.Model({DENSE: dense, SLOTS: slots}, keras.layers.Add()(parts) if len(parts) > 1 else parts[0])
