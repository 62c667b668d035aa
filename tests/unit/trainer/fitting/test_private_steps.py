"""Private steps: what is drawn, cut and added is what the promise is about."""

from statistics import NormalDist
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from support.trainer_models import TWO, rows
from trainyard_api.fit import Optimizer
from trainyard_api.program import KerasProgram
from trainyard_trainer.data.labels import ClassLabels, NumberLabels
from trainyard_trainer.encoding.columns import DENSE, TableInputs
from trainyard_trainer.fitting.optimizers import make_optimizer
from trainyard_trainer.fitting.private_steps import PrivateStepRunner, new_key, purpose_seeds, step_seeds
from trainyard_trainer.fitting.state import ModelState
from trainyard_trainer.fitting.steps import LABELS
from trainyard_trainer.models import FAMILIES
from trainyard_trainer.privacy.plan import PrivacyPlan
from trainyard_trainer.tasks.task import task_for

CLIP = 0.5
THREE = ClassLabels(("a", "b", "c"), ("a", "b", "c"), (1, 1, 1))


class Private:
    """A small network with categories, and its private steps."""

    def __init__(self, *, noise: float = 1.0, batch_size: int = 20, rows: int = 200, l2: float | None = None) -> None:
        keras.utils.set_random_seed(1)
        program = KerasProgram(task="binaryClassification", hidden=[8], l2=l2)
        self.task = task_for(TWO, program)
        self.model = FAMILIES["mlp"](program, TableInputs(4, (3, 5)), 1)
        self.optimizer = make_optimizer(Optimizer(name="sgd", learning_rate=1.0), self.model)
        self.plan = PrivacyPlan(noise, CLIP, 1e-4, rows, batch_size, 100)
        self.runner = PrivateStepRunner(self.model, self.optimizer, self.task, self.plan, key=[1, 2])

    def sum_of(self, block: dict[str, Any], seed: Any) -> Any:
        return flat(self.runner.draw(block, seed).gradients)

    def weights(self) -> Any:
        return flat(self.model.get_weights())

    def train(self, block: dict[str, Any], steps: int) -> None:
        order = np.arange(200, dtype=np.int32)
        self.runner.train(block, order, first=0, steps=steps, totals=self.runner.zero_totals())


def flat(arrays: Any) -> Any:
    return np.concatenate([np.ravel(each) for each in arrays])


def block_of(count: int = 200) -> dict[str, Any]:
    return {name: tf.constant(each) for name, each in rows(count, slots=(3, 5)).items()}


def seed(number: int) -> Any:
    return tf.constant([number, 7], tf.int64)


def test_one_row_more_or_less_changes_the_sum_by_no_more_than_the_clip() -> None:
    private, block = Private(batch_size=200), block_of()  # every row is drawn

    whole = private.sum_of(block, seed(0))
    changes = []
    for gone in range(0, 200, 20):
        rest = {name: tf.concat([each[:gone], each[gone + 1 :]], axis=0) for name, each in block.items()}
        changes.append(np.linalg.norm(whole - private.sum_of(rest, seed(0))))

    assert max(changes) <= CLIP * 1.001
    assert max(changes) > CLIP * 0.8


def test_a_row_with_an_endless_gradient_counts_for_nothing() -> None:
    private, block = Private(batch_size=200), block_of()
    numbers = block[DENSE].numpy()
    numbers[3] = np.inf
    rest = {name: tf.concat([each[:3], each[4:]], axis=0) for name, each in block.items()}

    broken = private.sum_of(block | {DENSE: tf.constant(numbers)}, seed(0))

    np.testing.assert_allclose(broken, private.sum_of(rest, seed(0)), atol=1e-4)


def test_gradients_below_the_clip_are_those_of_plain_training() -> None:
    private, block = Private(batch_size=200), block_of()
    private.runner._plan = PrivacyPlan(1.0, 1e6, 1e-4, 200, 200, 100)
    inputs = {name: each for name, each in block.items() if name != LABELS}
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(private.task.loss(block[LABELS], private.model(inputs, training=True)))
    plain = [tf.convert_to_tensor(each) for each in tape.gradient(loss, private.model.trainable_variables)]

    np.testing.assert_allclose(private.sum_of(block, seed(0)), flat(plain), rtol=1e-3, atol=1e-4)


def test_each_row_is_drawn_on_its_own_with_the_same_chance() -> None:
    private, block = Private(batch_size=20), block_of()
    draws = np.zeros((600, 200))
    draw = tf.function(lambda number: private.runner.draw(block, tf.stack([number, 7])).rows)
    for i in range(len(draws)):
        draws[i, draw(tf.constant(i, tf.int64)).numpy()] = 1

    sizes = draws.sum(axis=1)
    assert sizes.mean() == pytest.approx(20, abs=1)
    assert sizes.var() == pytest.approx(200 * 0.1 * 0.9, rel=0.25)  # of a binomial distribution: not a fixed size
    assert draws.mean(axis=0).max() < 0.16
    assert draws.mean(axis=0).min() > 0.05
    together = np.asarray(np.corrcoef(draws.T))[np.triu_indices(200, 1)]
    assert abs(together.mean()) < 0.01


def test_a_step_that_draws_no_row_adds_noise_alone() -> None:
    private, block = Private(batch_size=1, rows=200), block_of(200)
    empty = next(i for i in range(50) if not len(private.runner.draw(block, seed(i)).rows))

    assert np.abs(private.sum_of(block, seed(empty))).max() == 0


def test_the_noise_has_the_deviation_that_the_accountant_counts_with() -> None:
    private = Private(noise=3.0)

    noise = np.array([flat(private.runner.noise(seed(i))) for i in range(300)])

    assert noise.std() == pytest.approx(3.0 * CLIP, rel=0.02)
    assert abs(noise.mean()) < 0.02
    assert abs(np.corrcoef(noise[:-1].ravel(), noise[1:].ravel())[0, 1]) < 0.02


def test_a_penalty_is_neither_cut_nor_noisy() -> None:
    private = Private(noise=1e-9, batch_size=1, rows=10**9, l2=0.1)  # so that no row is ever drawn
    kernel = private.model.layers[-1].kernel
    before = kernel.numpy()

    private.train(block_of(), 5)

    np.testing.assert_allclose(kernel.numpy(), before * 0.8**5, rtol=1e-4)


def test_steps_after_a_resume_repeat_the_noise_of_an_undisturbed_training() -> None:
    block, whole = block_of(), Private()
    whole.train(block, 6)
    first = Private()
    first.train(block, 3)
    saved = ModelState(first.model, first.optimizer, first.runner.state).arrays()

    second = Private()
    second.runner._key.assign([5, 5])
    ModelState(second.model, second.optimizer, second.runner.state).restore(saved)
    second.train(block, 3)

    np.testing.assert_array_equal(second.weights(), whole.weights())


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("family", "kind", "labels", "knobs"),
    [
        ("linear", "regression", NumberLabels(0.0, 1.0), {}),
        ("svm", "binaryClassification", TWO, {"kernel": "rbf", "random_features": 16}),
        ("mlp", "multiclassClassification", THREE, {"hidden": [8], "normalization": "layerNormalization"}),
    ],
)
def test_every_family_that_is_allowed_learns(family: Any, kind: Any, labels: Any, knobs: dict[str, Any]) -> None:
    keras.utils.set_random_seed(1)
    program = KerasProgram(family=family, task=kind, **knobs)
    task, block = task_for(labels, program), block_of()
    if kind == "regression":
        block[LABELS] = tf.cast(block[LABELS], tf.float32)
    model = FAMILIES[family](program, TableInputs(4, (3, 5)), task.outputs)
    optimizer = make_optimizer(Optimizer(learning_rate=0.05), model)
    runner = PrivateStepRunner(model, optimizer, task, PrivacyPlan(0.1, 1.0, 1e-4, 200, 50, 100), key=[1, 2])
    before = task.metrics(runner.validate(block))["loss"]

    runner.train(block, np.arange(200, dtype=np.int32), first=0, steps=60, totals=runner.zero_totals())

    assert task.metrics(runner.validate(block))["loss"] < 0.7 * before


def test_keys_come_from_the_operating_system() -> None:
    assert len({tuple(new_key()) for _ in range(10)}) == 10


def share_of_ones(seeds: Any) -> Any:
    """Return, for each of the 128 bits of seeds, in how many of them it is 1."""
    return np.unpackbits(np.ascontiguousarray(seeds).view(np.uint8).reshape(len(seeds), 16), axis=1).mean(axis=0)


def test_no_two_of_200_000_steps_share_a_seed() -> None:
    seeds = step_seeds(new_key(), 0, 200_000)

    assert seeds.dtype == np.int64
    assert len(np.unique(seeds, axis=0)) == 200_000
    assert len(np.unique(seeds[:, 0])) == len(np.unique(seeds[:, 1])) == 200_000  # of 32 bits some 5 would repeat
    np.testing.assert_allclose(share_of_ones(seeds), 0.5, atol=0.01)


def test_the_seeds_of_a_steps_draws_and_noise_have_128_bits_each() -> None:
    derive = tf.function(lambda seed: purpose_seeds(seed, 2))

    seeds = np.array([derive(tf.constant(each)).numpy() for each in step_seeds([1, 2], 0, 2000)])

    assert seeds.shape == (2000, 3, 2)
    assert len(np.unique(seeds.reshape(-1, 2), axis=0)) == 6000
    for purpose in range(3):
        np.testing.assert_allclose(share_of_ones(seeds[:, purpose]), 0.5, atol=0.06)


@pytest.mark.parametrize("bit", [0, 40, 64, 127])
def test_every_bit_of_a_seed_changes_draws_and_noise(bit: int) -> None:
    private = Private()
    one = int.from_bytes(step_seeds([1, 2], 5, 1).tobytes(), "little")
    seeds = [tf.constant(np.frombuffer(each.to_bytes(16, "little"), np.int64)) for each in (one, one ^ 1 << bit)]

    noise = [flat(private.runner.noise(each)) for each in seeds]
    rows = [set(private.runner.draw(block_of(), each).rows.numpy()) for each in seeds]

    assert abs(np.corrcoef(*noise)[0, 1]) < 0.3
    assert rows[0] != rows[1]


def test_the_seed_of_a_step_does_not_depend_on_how_steps_are_cut_into_calls() -> None:
    pieces = [step_seeds([1, 2], first, 4) for first in (10, 14, 18)]

    np.testing.assert_array_equal(np.concatenate(pieces), step_seeds([1, 2], 10, 12))
    assert not np.array_equal(step_seeds([1, 3], 10, 12), step_seeds([1, 2], 10, 12))


def test_the_noise_is_normal_as_far_as_its_tails_can_be_seen() -> None:
    private = Private(noise=1 / CLIP)

    noise = np.concatenate([flat(private.runner.noise(tf.constant(each))) for each in step_seeds([1, 2], 0, 3000)])

    normal = NormalDist()
    assert len(noise) > 200_000
    for quantile in (0.0001, 0.001, 0.01, 0.1, 0.5, 0.9, 0.99, 0.999, 0.9999):
        there = float((noise < normal.inv_cdf(quantile)).mean())
        assert there == pytest.approx(quantile, abs=4.5 * (quantile * (1 - quantile) / len(noise)) ** 0.5), quantile
