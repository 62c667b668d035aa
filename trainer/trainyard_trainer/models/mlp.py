"""Family mlp: a stack of dense layers."""

import math

import keras

from trainyard_api.program import KerasProgram
from trainyard_trainer.encoding.columns import DENSE, SLOTS, TableInputs
from trainyard_trainer.models.normalization import normalized

MAX_EMBEDDING = 16


def build_mlp(program: KerasProgram, inputs: TableInputs, outputs: int) -> keras.Model:
    """Return the model: categories become learnt vectors, which the dense layers see beside the numbers."""
    dense = keras.Input((inputs.dense,), name=DENSE)
    slots = keras.Input((len(inputs.slots),), dtype="int32", name=SLOTS)
    parts = [dense] if inputs.dense else []
    if inputs.slots:
        width = min(math.ceil(math.sqrt(max(inputs.slots))), MAX_EMBEDDING)
        vectors = keras.layers.Embedding(sum(inputs.slots), width)(slots)
        parts.append(keras.layers.Flatten()(vectors))
    x = keras.layers.Concatenate()(parts) if len(parts) > 1 else parts[0]
    regularizer = keras.regularizers.L2(program.l2) if program.l2 else None
    for units in program.hidden:
        x = keras.layers.Dense(units, kernel_regularizer=regularizer)(x)
        x = keras.layers.Activation(program.activation)(normalized(x, program.normalization))
        if program.dropout:
            x = keras.layers.Dropout(program.dropout)(x)
    return keras.Model({DENSE: dense, SLOTS: slots}, keras.layers.Dense(outputs, kernel_regularizer=regularizer)(x))
