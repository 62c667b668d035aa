"""Settings of Keras, TensorFlow and numpy that hold for a whole process: a program may not leave them changed."""

import random
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from tensorflow.python.eager import context

from trainyard_trainer.errors import BadInput
from trainyard_trainer.tensors import Model

_OTHER_NUMBERS = ("float16", "bfloat16", "float64")


@contextmanager
def settings_kept() -> Iterator[None]:
    """Put back what code inside changes, and say so on stderr."""
    before = _settings()
    numbers, rows, seed = random.getstate(), np.random.get_state(), context.global_seed()
    try:
        yield
    finally:
        random.setstate(numbers)
        np.random.set_state(rows)
        if context.global_seed() != seed:
            tf.random.set_seed(seed)
        after = _settings()
        for name in before:
            if after[name] != before[name]:
                print(f"{name} was set to {after[name]} by the program, and is {before[name]} again", file=sys.stderr)
        _restore(before)


def check_numbers(model: Model, where: str) -> None:
    """Refuse a model with layers that compute in other numbers than float32.

    Raises:
        BadInput: it has one.
    """
    for layer in model._flatten_layers():
        dtype = getattr(layer, "compute_dtype", None)
        if dtype in _OTHER_NUMBERS:
            raise BadInput(
                f"layer {layer.name} of {where} computes in {dtype} (its dtype policy is {layer.dtype_policy.name}): "
                "leave dtype, set_dtype_policy and set_floatx out of the program, and say fit.precision for faster "
                "training; weights and the exported model are float32"
            )


def _settings() -> dict[str, Any]:
    return {
        "the dtype policy": keras.config.dtype_policy().name,
        "floatx": keras.config.floatx(),
        "the image data format": keras.config.image_data_format(),
        "epsilon": keras.config.epsilon(),
        "eager execution of functions": tf.config.functions_run_eagerly(),
    }


def _restore(settings: dict[str, Any]) -> None:
    keras.config.set_floatx(settings["floatx"])
    keras.config.set_dtype_policy(settings["the dtype policy"])
    keras.config.set_image_data_format(settings["the image data format"])
    keras.config.set_epsilon(settings["epsilon"])
    if tf.config.functions_run_eagerly() != settings["eager execution of functions"]:
        tf.config.run_functions_eagerly(settings["eager execution of functions"])
