"""The dense end that models of images, texts and sounds share."""

import keras

from trainyard_api.program import KerasProgram


def dense_head(program: KerasProgram, pooled: keras.KerasTensor, outputs: int) -> keras.KerasTensor:
    """Return the outputs for one vector a row: the program's hidden layers, with dropout before each and the last."""
    regularizer = keras.regularizers.L2(program.l2) if program.l2 else None
    x = pooled
    for units in program.hidden:
        x = _dropped(program, x)
        x = keras.layers.Dense(units, activation=program.activation, kernel_regularizer=regularizer)(x)
    return keras.layers.Dense(outputs, kernel_regularizer=regularizer)(_dropped(program, x))


def _dropped(program: KerasProgram, x: keras.KerasTensor) -> keras.KerasTensor:
    return keras.layers.Dropout(program.dropout)(x) if program.dropout else x
