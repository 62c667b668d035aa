"""Optimizers and learning-rate schedules as the spec names them."""

from pathlib import Path
from typing import Any, get_args

import keras
import numpy as np
import pytest

from support.trainer_fits import fitted
from support.trainer_models import Sample, rows
from support.trainer_runs import a_spec
from trainyard_api.fit import Optimizer, OptimizerName, Schedule
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


NO_OPTIMIZERS_OF_THEIR_OWN = {"Optimizer", "LossScaleOptimizer", "MultiOptimizer", "OptimizerMap"}
LEFT_OUT = {"ScheduleFreeAdamW"}  # see the test of it


def test_all_optimizers_of_keras_can_be_named_but_those_that_are_left_out_on_purpose() -> None:
    classes = {name for name, each in vars(keras.optimizers).items() if isinstance(each, type)}

    assert {each.lower() for each in classes - NO_OPTIMIZERS_OF_THEIR_OWN - LEFT_OUT} == set(get_args(OptimizerName))


def test_schedule_free_adamw_is_left_out_because_on_tensorflow_keras_computes_something_else() -> None:
    """It averages with its momentum of after the update, where its own comments say before; when fixed, let it in."""
    rng = np.random.default_rng(1)
    start, gradients = rng.normal(size=4), rng.normal(size=(10, 4))
    fast, average, squares = start.copy(), start.copy(), np.zeros(4)
    for step, gradient in enumerate(gradients, start=1):  # https://arxiv.org/abs/2405.15682, algorithm 1
        squares = 0.999 * squares + 0.001 * gradient**2
        fast -= 0.1 * gradient / (np.sqrt(squares / (1 - 0.999**step)) + 1e-8)
        average += (fast - average) / step
    weight = keras.Variable(start)
    optimizer = keras.optimizers.ScheduleFreeAdamW(learning_rate=0.1)
    for gradient in gradients:
        optimizer.apply([keras.ops.convert_to_tensor(gradient, "float32")], [weight])

    assert np.abs(np.asarray(weight) - (0.1 * fast + 0.9 * average)).max() > 0.01


def test_muon_leaves_vectors_embeddings_and_the_outputs_to_adamw() -> None:
    inputs = keras.Input((3,), dtype="int32")
    hidden = keras.layers.Dense(8, name="hidden")(keras.layers.Flatten()(keras.layers.Embedding(9, 4)(inputs)))
    model = keras.Model(inputs, keras.layers.Dense(2, name="hidden_1")(hidden))

    optimizer = make_optimizer(Optimizer(name="muon", weight_decay=0.02), model)

    velocities = zip(model.trainable_variables, optimizer.adam_velocities, strict=True)
    assert [variable.path for variable, velocity in velocities if velocity is None] == ["hidden/kernel"]
    assert (optimizer.weight_decay, optimizer.adam_weight_decay) == (0.02, 0.02)
    assert make_optimizer(Optimizer(name="muon"), model).adam_weight_decay == keras.optimizers.Muon().adam_weight_decay


@pytest.mark.thorough
@pytest.mark.parametrize("fit", [{}, {"jitCompile": True}, {"precision": "mixed_bfloat16"}], ids=str)
def test_muon_trains_with_and_without_xla_and_in_lower_precision(fit: Any, table: Path, tmp_path: Path) -> None:
    optimizer = {"name": "muon", "learningRate": 0.02}

    done = fitted(a_spec(table).with_keras(hidden=[16, 16]).with_fit(epochs=40, optimizer=optimizer, **fit), tmp_path)

    assert done.trained.end.metrics["val_accuracy"] > 0.9


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
