"""What `gpu.py` trains, as a user hands models to the trainer, and how much arithmetic they are."""

import math
from collections.abc import Iterator
from typing import Any

import keras

from trainyard_trainer import DataSpec


def resnet50(data: DataSpec) -> keras.Model:
    """Return ResNet-50 (He et al., 2015)."""
    inputs = data.keras_inputs()
    backbone = keras.applications.ResNet50(
        include_top=False, weights=None, input_shape=data.inputs["pixels"].shape, pooling="avg"
    )
    x = keras.layers.Rescaling(1 / 127.5, offset=-1)(inputs["pixels"])
    return keras.Model(inputs, keras.layers.Dense(data.outputs)(backbone(x)))


def transformer(data: DataSpec, *, layers: int = 6, width: int = 512, heads: int = 8) -> keras.Model:
    """Return an encoder of texts with the base sizes of Vaswani et al. (2017), normalised before each part."""
    inputs = data.keras_inputs()
    (length,), words = data.inputs["token_ids"].shape, data.inputs["token_ids"].slots
    x = keras.layers.Embedding(words, width)(inputs["token_ids"])
    x = x + keras.layers.Embedding(length, width)(keras.ops.arange(length))
    for _ in range(layers):
        y = keras.layers.LayerNormalization()(x)
        x = x + keras.layers.MultiHeadAttention(heads, width // heads)(y, y)
        y = keras.layers.LayerNormalization()(x)
        y = keras.layers.Dense(4 * width, activation="gelu")(y)
        x = x + keras.layers.Dense(width)(y)
    x = keras.layers.GlobalAveragePooling1D()(keras.layers.LayerNormalization()(x))
    return keras.Model(inputs, keras.layers.Dense(data.outputs)(x))


def training_flops(model: keras.Model) -> int:
    """Return the floating-point operations to train on one row: three times those of its matrix products forward.

    A multiplication and an addition count as two, and backward as twice forward, as is usual (Kaplan et al., 2020).
    """
    return 3 * sum(map(_forward, _layers(model)))


def _layers(model: keras.Model) -> Iterator[Any]:
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            yield from _layers(layer)
        else:
            yield layer


def _forward(layer: Any) -> int:
    if isinstance(layer, keras.layers.MultiHeadAttention):
        length, width = layer.output.shape[1:]
        projections = sum(math.prod(each.shape) for each in layer.weights if len(each.shape) == 3)
        return 2 * length * projections + 4 * length * length * width
    if isinstance(layer, keras.layers.Dense | keras.layers.Conv2D):
        return 2 * math.prod(layer.kernel.shape) * math.prod(layer.output.shape[1:-1])
    return 0
