"""A forest as a Keras layer of core TensorFlow operations: all trees are walked at once, one level at a time."""

from dataclasses import dataclass
from typing import Literal

import keras
import numpy as np
import tensorflow as tf

from trainyard_trainer.encoding.columns import DENSE, SLOTS, TableInputs
from trainyard_trainer.tensors import Array, Floats, Tensor, Tensors
from trainyard_trainer.trees.flatten import WORD_BITS
from trainyard_trainer.trees.forest import Forest

_LEAST = 1e-7
"""The smallest probability that has a logarithm here: all trees of a forest may agree."""

Combine = Literal["sum", "mean", "meanLogOdds", "meanLog"]
"""How the trees' answers become the task's: added to a start; or averaged, and for classes turned into their logits."""


@dataclass(frozen=True, slots=True)
class ForestShape:
    """What goes into a forest, how many numbers come out, and how its trees make them."""

    inputs: TableInputs
    outputs: int
    combine: Combine

    @property
    def columns(self) -> int:
        """Numbers and categories together."""
        return self.inputs.dense + len(self.inputs.slots)

    @property
    def trees_per_round(self) -> int:
        """Trees that are grown together: boosting has one for each output, and the others one for all."""
        return self.outputs if self.combine == "sum" else 1


class ForestModel(keras.layers.Layer):
    """Answers like the trees it was made of. It has nothing to train."""

    def __init__(self, forest: Forest, shape: ForestShape, start: Floats) -> None:
        super().__init__(dtype="float32", autocast=False, trainable=False)
        self._shape = shape
        self._depth = int(forest.depth.max(initial=0))
        self.rounds = len(forest) // shape.trees_per_round
        nodes, words, leaves = (forest.counts.cumsum(axis=0) - forest.counts).T
        each = forest.counts[:, 0]
        inner = forest.words_at < 0
        # A missing number is taken from the second of two copies, where it is larger than any threshold.
        column = forest.column + np.where(forest.missing | ~inner, shape.inputs.dense, 0)
        self._roots = self._fixed(nodes, "int32")
        self._column = self._fixed(column, "int32")
        self._threshold = self._fixed(forest.threshold, "float32")
        self._child = self._fixed(forest.child + np.repeat(nodes, each), "int32")
        self._leaf = self._fixed(forest.leaf + np.repeat(leaves, each), "int32")
        self._words_at = self._fixed(np.where(inner, -1, forest.words_at + np.repeat(words, each)), "int32")
        # One more than there are, because every node looks one up: trees that ask for no category have none.
        self._words = self._fixed(np.append(forest.words, 0), "int32")
        self._values = self._fixed(forest.values, "float32")
        self._start = self._fixed(start, "float32")

    def _fixed(self, values: Array, dtype: str) -> keras.Variable:
        array = np.asarray(values, dtype)
        return self.add_weight(shape=array.shape, dtype=dtype, initializer=lambda *_, **__: array, trainable=False)

    def call(self, inputs: Tensors, training: bool = False) -> Tensor:
        """Return the task's outputs, float32 [rows, outputs], for what the encoder returns."""
        if self._shape.trees_per_round > 1:
            return self.finish(tf.reduce_sum(self.answers(inputs), axis=1), self.rounds)
        with tf.device("/CPU:0"):  # adds up on the way: all answers at once would be rows times trees times classes
            leaves = self._leaves(inputs)
            rows = tf.repeat(tf.range(tf.shape(leaves)[0]), self.rounds)
            return self.finish(tf.sparse.segment_sum(self._values, tf.reshape(leaves, [-1]), rows), self.rounds)

    def answers(self, inputs: Tensors) -> Tensor:
        """Return what each round says, float32 [rows, rounds, outputs]."""
        with tf.device("/CPU:0"):
            values = tf.gather(self._values, self._leaves(inputs))
            return tf.reshape(values, [-1, self.rounds, self._shape.outputs])

    def finish(self, sums: Tensor, rounds: int) -> Tensor:
        """Return the task's outputs for the sum of the answers of the first `rounds` rounds."""
        if self._shape.combine == "sum":
            return self._start + sums
        means = sums / float(rounds)
        if self._shape.combine == "mean":
            return means
        logs = tf.math.log(tf.clip_by_value(means, _LEAST, 1.0))
        if self._shape.combine == "meanLog":
            return logs
        return logs - tf.math.log(tf.clip_by_value(1 - means, _LEAST, 1.0))

    def _leaves(self, inputs: Tensors) -> Tensor:
        """Return where each row ends in each tree; small look-ups in integers, which a GPU is not for."""
        return tf.gather(self._leaf, self._walk(inputs[DENSE], inputs[SLOTS]))

    def _walk(self, dense: Tensor, slots: Tensor) -> Tensor:
        gone = tf.math.is_nan(dense)
        low, high = (tf.where(gone, np.float32(each), dense) for each in (-np.inf, np.inf))
        table = tf.concat([low, high, tf.cast(slots, tf.float32)], axis=1)
        node = tf.broadcast_to(tf.convert_to_tensor(self._roots), [tf.shape(table)[0], self._roots.shape[0]])
        for _ in range(self._depth):
            value = tf.gather(table, tf.gather(self._column, node), batch_dims=1)
            met = value >= tf.gather(self._threshold, node)
            if self._shape.inputs.slots:
                met = tf.logical_or(met, self._in_set(node, value))
            node = tf.gather(self._child, node) + tf.cast(met, tf.int32)
        return node

    def _in_set(self, node: Tensor, value: Tensor) -> Tensor:
        words_at = tf.gather(self._words_at, node)
        category = words_at >= 0
        item = tf.cast(tf.where(category, value, tf.zeros_like(value)), tf.int32)
        word = tf.gather(self._words, tf.where(category, words_at + item // WORD_BITS, 0))
        bit = tf.bitwise.bitwise_and(tf.bitwise.right_shift(word, item % WORD_BITS), 1)
        return tf.logical_and(category, bit > 0)
