"""Family cnn: a convolutional network for images."""

import keras

from trainyard_api.images import Augment, Image
from trainyard_api.program import KerasProgram
from trainyard_trainer.data.images import PIXELS
from trainyard_trainer.encoding.images import ImageInputs
from trainyard_trainer.models.head import dense_head
from trainyard_trainer.models.normalization import normalized

_NORMALIZATION = "groupNormalization"
"""Unlike the usual one of the batch it is the same in serving as in training, however small the batches are."""


def build_cnn(program: KerasProgram, inputs: ImageInputs, outputs: int) -> keras.Model:
    """Return the model: convolutions, each on half the size of the one before, and dense layers on their means."""
    image = program.image or Image()
    pixels = keras.Input(inputs.shape, dtype=inputs.dtype, name=PIXELS)
    x = _normalised(inputs)(pixels)
    for layer in _changes(image.augment or Augment()):
        x = layer(x)
    regularizer = keras.regularizers.L2(program.l2) if program.l2 else None
    for filters in image.filters:
        x = keras.layers.Conv2D(filters, image.kernel_size, padding="same", kernel_regularizer=regularizer)(x)
        x = keras.layers.Activation(program.activation)(normalized(x, program.normalization or _NORMALIZATION))
        if min(x.shape[1:3]) > 1:
            x = keras.layers.MaxPooling2D()(x)
    pooled = keras.layers.GlobalAveragePooling2D()(x)
    return keras.Model({PIXELS: pixels}, dense_head(program, pooled, outputs))


def _normalised(inputs: ImageInputs) -> keras.KerasTensor:
    if inputs.dtype == "uint8":
        return keras.layers.Rescaling(1 / 127.5, offset=-1)
    variance = [each**2 for each in inputs.deviation]
    return keras.layers.Normalization(axis=-1, mean=list(inputs.mean), variance=variance)


def _changes(augment: Augment) -> list[keras.Layer]:
    layers = keras.layers
    return [
        *([layers.RandomFlip(augment.flip)] if augment.flip else []),
        *([layers.RandomTranslation(augment.translation, augment.translation)] if augment.translation else []),
        *([layers.RandomRotation(augment.rotation)] if augment.rotation else []),
        *([layers.RandomZoom(augment.zoom)] if augment.zoom else []),
        *([layers.RandomContrast(augment.contrast, value_range=(-1, 1))] if augment.contrast else []),
    ]
