"""Keras optimizers and learning-rate schedules by name."""

import re

import keras

from trainyard_api.fit import LEARNING_RATE, Optimizer, Schedule
from trainyard_trainer.execution import FLOAT16, FLOAT32
from trainyard_trainer.tensors import Model

# Keras' own look-up by name does not know all of them (Lamb, in 3.15).
_CLASSES = {
    name.lower(): optimizer for name, optimizer in vars(keras.optimizers).items() if isinstance(optimizer, type)
}


def make_optimizer(
    wanted: Optimizer, model: Model, *, steps_per_epoch: int = 1, epochs: int = 1, precision: str = FLOAT32
) -> keras.Optimizer:
    """Return the optimizer with its variables made, so that a checkpoint can be read into them.

    In float16 small gradients would be 0, so the loss is scaled up for them, and a step whose gradients overflow is
    left out. A schedule follows the optimizer's own count of steps, which is one of those variables.
    """
    given = {"momentum": wanted.momentum, "weight_decay": wanted.weight_decay}
    rate: float | keras.optimizers.schedules.LearningRateSchedule = wanted.learning_rate or LEARNING_RATE
    if wanted.schedule is not None:
        rate = _schedule(wanted.schedule, rate, steps_per_epoch, epochs)
    settings: dict[str, object] = {name: value for name, value in given.items() if value is not None}
    if wanted.name == "muon":
        settings |= _muon(wanted, model)
    optimizer = _CLASSES[wanted.name](learning_rate=rate, **settings)
    if precision == FLOAT16:
        optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
    optimizer.build(model.trainable_variables)
    return optimizer


def _muon(wanted: Optimizer, model: Model) -> dict[str, object]:
    """Return what else Muon needs: it leaves vectors and embeddings to AdamW by itself, and the outputs if told to."""
    last = next((layer for layer in reversed(model.layers) if isinstance(layer, keras.layers.Dense)), None)
    settings: dict[str, object] = {"exclude_layers": [f"(^|/){re.escape(last.name)}/"] if last else []}
    return settings | ({"adam_weight_decay": wanted.weight_decay} if wanted.weight_decay is not None else {})


def _schedule(
    wanted: Schedule, rate: float, steps_per_epoch: int, epochs: int
) -> keras.optimizers.schedules.LearningRateSchedule:
    schedules = keras.optimizers.schedules
    if wanted.name == "exponentialDecay":
        return schedules.ExponentialDecay(rate, wanted.decay_steps or steps_per_epoch, wanted.decay_rate)
    decay_steps = wanted.decay_steps or max(1, steps_per_epoch * epochs - wanted.warmup_steps)
    if not wanted.warmup_steps:
        return schedules.CosineDecay(rate, decay_steps, alpha=wanted.alpha)
    return schedules.CosineDecay(
        0.0, decay_steps, alpha=wanted.alpha, warmup_target=rate, warmup_steps=wanted.warmup_steps
    )
