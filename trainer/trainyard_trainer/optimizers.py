"""Keras optimizers by name."""

from typing import Any

import keras

from trainyard_operator.api.trainingjob import Optimizer


def make_optimizer(wanted: Optimizer, model: Any) -> Any:
    """Return the optimizer with its variables made, so that a checkpoint can be read into them."""
    optimizer = keras.optimizers.get({"class_name": wanted.name, "config": {"learning_rate": wanted.learning_rate}})
    optimizer.build(model.trainable_variables)
    return optimizer
