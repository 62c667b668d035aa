"""The normalisations that a layer can have before its activation, by their names in Keras."""

import math
from collections.abc import Callable, Mapping

import keras

_GROUPS = 8
_LAYERS: Mapping[str, Callable[[int], keras.Layer]] = {
    "batchNormalization": lambda channels: keras.layers.BatchNormalization(),
    "groupNormalization": lambda channels: keras.layers.GroupNormalization(math.gcd(_GROUPS, channels)),
    "layerNormalization": lambda channels: keras.layers.LayerNormalization(),
}


def normalized(x: keras.KerasTensor, name: str | None) -> keras.KerasTensor:
    """Return what a layer puts out, normalised as asked for; with `none`, or nothing asked for, as it is."""
    layer = _LAYERS.get(name or "none")
    return layer(x.shape[-1])(x) if layer else x
