"""Steps in the graph do what Keras does, however they are cut into calls."""

import subprocess
import sys
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
import pytest

from support.trainer_models import TWO, Sample, rows
from trainyard_api.fit import Optimizer
from trainyard_api.program import KerasProgram
from trainyard_trainer.encoding.columns import DENSE, SLOTS
from trainyard_trainer.fitting.optimizers import make_optimizer
from trainyard_trainer.fitting.state import ModelState
from trainyard_trainer.fitting.steps import LABELS, VALIDATION_BATCH, StepRunner
from trainyard_trainer.tasks.task import task_for

BINARY = KerasProgram(task="binaryClassification")
BLOCK = rows(100, slots=(3, 5))
ORDER = np.random.default_rng(5).permutation(100).astype(np.int32)


def a_sample(**changes: Any) -> Sample:
    settings: dict[str, Any] = {"slots": (3, 5), "dropout": 0.3}
    return Sample(**(settings | changes))


def train(sample: Sample, calls: list[int], block: dict[str, Any] = BLOCK) -> dict[str, Any]:
    """Run the 13 steps of an epoch of 100 rows in calls of the given numbers of steps; returns the totals."""
    totals: Mapping[str, float] = sample.runner.zero_totals()
    first = 0
    for steps in calls:
        done = sample.runner.train(block, ORDER, first=first, steps=steps, totals=totals)
        assert (done.bad_step, done.weights_finite) == (-1, True)
        totals, first = done.totals, first + steps * 8
    return dict(totals)


@pytest.mark.thorough
@pytest.mark.parametrize("optimizer", ["adam", "sgd", "rmsprop", "adamw", "lion", "adafactor", "nadam", "ftrl"])
def test_an_epoch_is_the_same_bit_for_bit_however_it_is_cut_into_calls(optimizer: str) -> None:
    whole, cut = a_sample(optimizer=optimizer), a_sample(optimizer=optimizer)

    assert train(whole, [13]) == train(cut, [1, 5, 4, 3])
    for one, other in zip(whole.weights(), cut.weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_the_last_batch_may_be_short_and_counts_by_its_rows() -> None:
    assert train(a_sample(), [13])["count"] == 100


# Keras' adam is not asked about categories: see the next test.
@pytest.mark.parametrize(("optimizer", "slots"), [("adam", ()), ("sgd", (3, 5))])
def test_it_trains_as_keras_fit_does(optimizer: str, slots: tuple[int, ...]) -> None:
    ours, theirs = (a_sample(optimizer=optimizer, slots=slots, dropout=0.0) for _ in range(2))
    block = rows(100, slots=slots)
    theirs.model.compile(
        theirs.optimizer,
        keras.losses.BinaryCrossentropy(from_logits=True),
        metrics=[keras.metrics.BinaryAccuracy(threshold=0)],
    )
    inputs = {name: block[name][ORDER] for name in (DENSE, SLOTS)}

    totals = train(ours, [13], block)
    history = theirs.model.fit(inputs, block[LABELS][ORDER], batch_size=8, epochs=1, shuffle=False, verbose=0)

    metrics = ours.task.metrics(totals)
    assert metrics["loss"] == pytest.approx(history.history["loss"][0], rel=1e-4)
    assert metrics["accuracy"] == pytest.approx(history.history["binary_accuracy"][0], abs=1e-6)
    for one, other in zip(ours.weights(), theirs.weights(), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-5)


def test_adam_learns_an_embedding_like_the_dense_layer_on_one_hot_columns_that_it_stands_for() -> None:
    ids = keras.Input((3,), dtype="int32", name=SLOTS)
    weights = [
        keras.layers.Embedding(6, 1, embeddings_initializer="zeros"),
        keras.layers.Dense(1, use_bias=False, kernel_initializer="zeros"),
    ]
    outputs = [weights[0](ids), weights[1](keras.ops.one_hot(ids, 6))]
    rng = np.random.default_rng(3)
    block: dict[str, Any] = {
        SLOTS: rng.integers(0, 6, (40, 3)).astype(np.int32),
        LABELS: rng.integers(0, 2, 40).astype(np.int32),
    }

    for each in outputs:
        model = keras.Model({SLOTS: ids}, keras.ops.sum(each, axis=1))
        runner = StepRunner(model, make_optimizer(Optimizer(), model), task_for(TWO, BINARY), batch_size=8)
        runner.train(block, np.arange(40, dtype=np.int32), first=0, steps=5, totals=runner.zero_totals())

    embedded, dense = (each.get_weights()[0] for each in weights)
    np.testing.assert_allclose(embedded, dense, atol=1e-6)
    assert np.abs(dense).max() > 1e-3


def test_a_training_goes_on_from_its_saved_state_bit_for_bit() -> None:
    undisturbed, before, after = a_sample(), a_sample(), a_sample()
    train(undisturbed, [13])
    train(undisturbed, [13])
    train(before, [13])
    saved = ModelState(before.model, before.optimizer).arrays()
    keras.utils.set_random_seed(99)

    ModelState(after.model, after.optimizer).restore(saved)
    train(after, [13])

    for one, other in zip(undisturbed.weights(), after.weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_the_best_weights_come_back_also_after_a_resume() -> None:
    sample = a_sample()
    state = ModelState(sample.model, sample.optimizer)
    train(sample, [5])
    best = sample.weights()
    state.keep_best()
    train(sample, [5])
    another = a_sample()
    resumed = ModelState(another.model, another.optimizer)
    resumed.restore(state.arrays())

    assert state.restore_best()
    assert resumed.restore_best()
    for expected, one, other in zip(best, sample.weights(), another.weights(), strict=True):
        np.testing.assert_array_equal(expected, one)
        np.testing.assert_array_equal(expected, other)


def test_there_are_no_best_weights_before_the_first_improvement() -> None:
    sample = a_sample()

    assert not ModelState(sample.model, sample.optimizer).restore_best()


def test_validation_covers_every_row_once_and_changes_nothing() -> None:
    sample = a_sample()
    many = rows(2 * VALIDATION_BATCH + 5, slots=(3, 5))
    before = sample.weights()

    totals = sample.runner.validate(many)

    outputs = sample.model.predict({name: many[name] for name in (DENSE, SLOTS)}, verbose=0)
    assert totals["count"] == len(many[LABELS])
    assert sample.task.metrics(totals)["accuracy"] == pytest.approx(np.mean((outputs[:, 0] > 0) == many[LABELS]))
    for one, other in zip(before, sample.weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_loss_that_is_no_number_is_noticed_with_its_step() -> None:
    sample = Sample()
    block = rows(80)
    block[DENSE][37] = np.inf

    done = sample.runner.train(
        block, np.arange(80, dtype=np.int32), first=0, steps=10, totals=sample.runner.zero_totals()
    )

    assert done.bad_step in (4, 5)
    assert not done.weights_finite


def test_weights_that_are_no_numbers_are_noticed_even_behind_a_finite_loss() -> None:
    # On a CPU, relu lets a NaN in its input pass as 0, so that the loss looks well (oneDNN's fused kernels).
    sample = Sample()
    weights = sample.weights()
    weights[0][:] = np.nan
    sample.model.set_weights(weights)

    done = sample.runner.train(
        rows(80), np.arange(80, dtype=np.int32), first=0, steps=1, totals=sample.runner.zero_totals()
    )

    assert not done.weights_finite


def test_the_best_weights_come_with_the_moving_averages_that_belong_to_them() -> None:
    sample = a_sample(normalization="batchNormalization")
    state = ModelState(sample.model, sample.optimizer)
    train(sample, [13])
    state.keep_best()
    best = sample.weights()
    train(sample, [13])
    later = sample.weights()

    assert state.restore_best()

    for one, other, then in zip(sample.weights(), best, later, strict=True):
        np.testing.assert_array_equal(one, other)
        assert not np.array_equal(one, then)


MIRRORED = """
import numpy as np
import tensorflow as tf

tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * 2
)
from support.trainer_models import TWO, Sample, rows
from trainyard_api.fit import Optimizer
from trainyard_api.program import KerasProgram
from trainyard_trainer.fitting.state import ModelState

block, order = rows(101, slots=(3, 5)), np.random.default_rng(5).permutation(101).astype(np.int32)


def train(sample):
    totals: Mapping[str, float] = sample.runner.zero_totals()
    first = 0
    for steps in (1, 6, 6):
        done = sample.runner.train(block, order, first=first, steps=steps, totals=totals)
        totals, first = done.totals, first + steps * 8
    return totals


strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
with strategy.scope():
    mirrored = Sample(slots=(3, 5), strategy=strategy)
alone = Sample(slots=(3, 5))
for _ in range(2):
    one, other = train(mirrored), train(alone)
    assert one["count"] == other["count"] == 101, (one, other)
    np.testing.assert_allclose(one["loss"], other["loss"], rtol=1e-4)
for one, other in zip(mirrored.weights(), alone.weights(), strict=True):
    np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-5)
validated = mirrored.runner.validate(block)
np.testing.assert_allclose(validated["loss"], alone.runner.validate(block)["loss"], rtol=1e-3)

state = ModelState(mirrored.model, mirrored.optimizer)
saved = state.arrays()
train(mirrored)
state.restore(saved)
for name, value in state.arrays().items():
    np.testing.assert_array_equal(value, saved[name])

def after(steps, count=20, **changes):
    sample = Sample(normalization="batchNormalization", **changes)
    sample.runner.train(rows(20), order[order < count], first=0, steps=steps, totals=sample.runner.zero_totals())
    return [each for each in sample.model.weights if not each.trainable]


with strategy.scope():
    several, shared = after(3, strategy=strategy), after(1, strategy=strategy)
    short = after(1, count=4, strategy=strategy)  # what fills it up is not seen
for each in several:
    one, other = strategy.experimental_local_results(each.value)
    np.testing.assert_array_equal(one, other)
np.testing.assert_allclose(shared[0], after(1)[0], rtol=1e-4)
np.testing.assert_allclose(short[0], after(1, count=4)[0], rtol=1e-4)
print("as one")
"""


@pytest.mark.thorough
def test_two_devices_train_like_one() -> None:
    # In a process of its own, because a process can be split into devices only before TensorFlow has started.
    done = subprocess.run([sys.executable, "-c", MIRRORED], cwd="tests", capture_output=True, text=True, timeout=120)

    assert done.stdout == "as one\n", done.stderr[-3000:]
