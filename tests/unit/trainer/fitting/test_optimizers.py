"""Optimizers and learning-rate schedules as the spec names them."""

from typing import Any, get_args

import keras
import numpy as np
import pytest

from support.trainer_models import Sample, rows
from trainyard_operator.api.fit import Optimizer, OptimizerName, Schedule
from trainyard_trainer.fitting.optimizers import make_optimizer


def a_model() -> Any:
    return keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])


def rates(schedule: dict[str, Any], steps: int) -> list[float]:
    """Return the learning rate of each of the first steps of two epochs of ten."""
    wanted = Optimizer(learning_rate=0.1, schedule=Schedule.model_validate(schedule))
    optimizer = make_optimizer(wanted, a_model(), steps_per_epoch=10, epochs=2)
    found = []
    for step in range(steps):
        optimizer.iterations.assign(step)
        found.append(float(optimizer.learning_rate))
    return found


@pytest.mark.parametrize("name", get_args(OptimizerName))
def test_every_optimizer_takes_a_decay_of_weights_and_a_schedule(name: Any) -> None:
    wanted = Optimizer(name=name, weight_decay=0.01, schedule=Schedule(name="cosineDecay"))

    optimizer = make_optimizer(wanted, a_model())

    assert optimizer.weight_decay == 0.01
    assert float(optimizer.learning_rate) == pytest.approx(0.001)


@pytest.mark.parametrize("name", ["rmsprop", "sgd"])
def test_momentum_is_that_of_keras(name: Any) -> None:
    assert make_optimizer(Optimizer(name=name, momentum=0.9), a_model()).momentum == 0.9
    assert make_optimizer(Optimizer(name=name), a_model()).momentum == 0.0


def test_cosine_decay_ends_with_the_training_and_may_warm_up() -> None:
    plain = rates({"name": "cosineDecay", "alpha": 0.1}, 21)
    np.testing.assert_allclose([plain[0], plain[10], plain[20]], [0.1, 0.055, 0.01], rtol=1e-5)

    warm = rates({"name": "cosineDecay", "warmupSteps": 4}, 21)
    np.testing.assert_allclose([*warm[:5], warm[12], warm[20]], [0, 0.025, 0.05, 0.075, 0.1, 0.05, 0], atol=1e-7)


def test_exponential_decay_goes_by_epochs_unless_told_otherwise() -> None:
    by_epoch = rates({"name": "exponentialDecay", "decayRate": 0.5}, 21)
    np.testing.assert_allclose([by_epoch[0], by_epoch[10], by_epoch[20]], [0.1, 0.05, 0.025], rtol=1e-5)

    by_steps = rates({"name": "exponentialDecay", "decayRate": 0.5, "decaySteps": 5}, 11)
    np.testing.assert_allclose([by_steps[5], by_steps[10]], [0.05, 0.025], rtol=1e-5)


def test_the_rate_falls_inside_one_call_of_many_steps() -> None:
    def distance(schedule: Schedule | None) -> float:
        sample = Sample(optimizer="sgd", learning_rate=0.5, schedule=schedule, batch_size=8)
        before = sample.weights()
        order = np.arange(80, dtype=np.int32)
        sample.runner.train(rows(80), order, first=0, steps=10, totals=sample.runner.zero_totals())
        return float(sum(np.abs(a - b).sum() for a, b in zip(sample.weights(), before, strict=True)))

    falling = Schedule(name="exponentialDecay", decay_rate=1e-6, decay_steps=1)
    assert distance(falling) < 0.6 * distance(None)
