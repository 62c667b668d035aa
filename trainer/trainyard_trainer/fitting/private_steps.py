"""Steps of differentially private stochastic gradient descent.

After Abadi et al., "Deep learning with differential privacy" (2016): rows drawn independently of each other, the
gradient of each cut to a norm, and noise added to their sum.
"""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import blake2b

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from trainyard_trainer.fitting.steps import LABELS, StepRunner, StepsDone, sums_of
from trainyard_trainer.privacy.plan import PrivacyPlan
from trainyard_trainer.tasks.task import Task
from trainyard_trainer.tensors import Floats, Integers, Model, Optimizer, Tensor, Tensors

SEED_BYTES = 16
"""A step's seed has 128 bits: nobody can try them all, and no two steps of a training share one."""
_SEEDS, _BEGUN = "privacy_seeds", "privacy_begun"


def new_key() -> Integers:
    """Return a key for the draws and the noise of a training, from the operating system: nobody may foresee them."""
    return np.frombuffer(secrets.token_bytes(SEED_BYTES), np.int64)


def step_seeds(key: npt.ArrayLike, first: int, count: int) -> Integers:
    """Return the seeds of `count` steps from the step `first` on, int64 [count, 2].

    The host derives them with a keyed hash. TensorFlow's `stateless_fold_in` draws as many bits as the number that it
    folds in has, and a Python int has 32 of them there.
    """
    secret = np.asarray(key, np.int64).tobytes()
    digests = (
        blake2b(step.to_bytes(8, "little"), key=secret, digest_size=SEED_BYTES).digest()
        for step in range(first, first + count)
    )
    return np.frombuffer(b"".join(digests), np.int64).reshape(count, 2)


def purpose_seeds(seed: Tensor, count: int) -> Tensor:
    """Return the seeds of a step's draws and of the noise of `count` variables, each as wide as the step's own."""
    return tf.random.stateless_uniform([1 + count, 2], seed, dtype=tf.int64, minval=None, maxval=None)


@dataclass(frozen=True, slots=True)
class Drawn:
    """The rows of a step: their numbers, labels, outputs and losses, and the sum of their gradients after the cut."""

    rows: Tensor
    labels: Tensor
    outputs: Tensor
    losses: Tensor
    gradients: list[Tensor]


class PrivateStepRunner(StepRunner):
    """Runs private steps. The order of the rows that it is given means nothing: each step draws its own.

    The draws of a step follow from `key` and the optimizer's count of steps; both are in the checkpoint. So a resumed
    training repeats the very noise of before, and nothing of it counts twice.
    """

    def __init__(
        self,
        model: Model,
        optimizer: Optimizer,
        task: Task,
        plan: PrivacyPlan,
        *,
        class_weights: Floats | None = None,
        key: npt.ArrayLike | None = None,
    ) -> None:
        super().__init__(model, optimizer, task, batch_size=plan.batch_size, class_weights=class_weights)
        self._plan = plan
        value = new_key() if key is None else np.asarray(key, np.int64)
        self._key = keras.Variable(value, dtype="int64", trainable=False, name="privacy_key")
        self.state = (self._key,)

    def _call(
        self,
        block: Tensors,
        order: Integers,
        first: int,
        steps: int,
        totals: Mapping[str, float],
        left: int,
        *,
        whole: bool,
    ) -> StepsDone:
        begun = int(self._optimizer.iterations.numpy())
        seeds = tf.constant(step_seeds(self._key.numpy(), begun, steps))
        seeded = {**block, _SEEDS: seeds, _BEGUN: tf.constant([begun], tf.int64)}
        return super()._call(seeded, order, first, steps, totals, left, whole=whole)

    def _step(self, block: Tensors, which: Tensor, batch: Tensor) -> dict[str, Tensor]:
        rows = dict(block)
        seeds, begun = rows.pop(_SEEDS), rows.pop(_BEGUN)[0]
        seed = seeds[tf.cast(self._optimizer.iterations.value, tf.int64) - begun]
        variables = self._model.trainable_variables
        drawn = self.draw(rows, seed)
        with tf.GradientTape() as tape:  # the penalty knows no rows, so it needs no noise
            penalty = tf.add_n(self._model.losses) if self._model.losses else tf.constant(0.0)
        penalties = tape.gradient(
            penalty, [each.value for each in variables], unconnected_gradients=tf.UnconnectedGradients.ZERO
        )
        noisy = [
            (each + noise) / self._plan.batch_size + tf.convert_to_tensor(extra)
            for each, noise, extra in zip(drawn.gradients, self.noise(seed), penalties, strict=True)
        ]
        self._optimizer.apply(noisy, variables)
        return sums_of(drawn.losses, self._task.sums(drawn.labels, drawn.outputs), None)

    def draw(self, block: Tensors, seed: Tensor) -> Drawn:
        """Draw the rows of a step, and add up their gradients."""
        count = tf.shape(block[LABELS])[0]
        # In double precision: a chance of 1 in a million is one of float32's 8 million values, give or take a tenth.
        chance = tf.random.stateless_uniform([count], purpose_seeds(seed, 0)[0], dtype=tf.float64)
        chosen = tf.cast(tf.where(chance < self._plan.sampling_rate)[:, 0], tf.int32)
        # A row that does not count stands at the end, because there may be no other.
        padded = tf.concat([chosen, [0]], axis=0)
        rows = {name: tf.gather(value, padded) for name, value in block.items()}
        outputs, losses, gradients = tf.vectorized_map(self._row, rows)
        norms = tf.sqrt(tf.add_n([tf.reduce_sum(tf.square(_flat(each)), axis=1) for each in gradients]))
        counts = tf.logical_and(tf.math.is_finite(norms), tf.range(tf.size(padded)) < tf.size(chosen))
        factors = tf.where(counts, tf.minimum(1.0, self._plan.clip / tf.maximum(norms, 1e-12)), 0.0)
        sums = [_weighted_sum(factors, counts, each) for each in gradients]
        return Drawn(chosen, rows[LABELS][:-1], outputs[:-1], losses[:-1], sums)

    def noise(self, seed: Tensor) -> list[Tensor]:
        """Return the noise of a step, for each of the model's trainable variables."""
        variables = self._model.trainable_variables
        seeds = purpose_seeds(seed, len(variables))[1:]
        deviation = self._plan.noise * self._plan.clip
        # In double precision: float32's draws end at about 5.7 deviations.
        noise = [tf.random.stateless_normal(each.shape, seeds[i], dtype=tf.float64) for i, each in enumerate(variables)]
        return [tf.cast(deviation * each, tf.float32) for each in noise]

    def _row(self, row: Tensors) -> tuple[Tensor, Tensor, list[Tensor]]:
        """Return the outputs, the loss and the gradient of one row."""
        batch = {name: value[None] for name, value in row.items()}
        labels, variables = batch.pop(LABELS), self._model.trainable_variables
        with tf.GradientTape() as tape:
            outputs = self._model(batch, training=True)
            losses = self._task.loss(labels, outputs)
            if self._class_weights is not None:
                losses *= tf.gather(self._class_weights, labels)
        gradients = tape.gradient(
            losses, [each.value for each in variables], unconnected_gradients=tf.UnconnectedGradients.ZERO
        )
        return outputs[0], losses[0], [tf.convert_to_tensor(each) for each in gradients]


def _flat(gradients: Tensor) -> Tensor:
    return tf.reshape(gradients, [tf.shape(gradients)[0], -1])


def _weighted_sum(factors: Tensor, counts: Tensor, gradients: Tensor) -> Tensor:
    flat = tf.where(counts[:, None], _flat(gradients), 0.0)  # what is not a number stays so when it is multiplied by 0
    return tf.reshape(tf.linalg.matvec(flat, factors, transpose_a=True), tf.shape(gradients)[1:])
