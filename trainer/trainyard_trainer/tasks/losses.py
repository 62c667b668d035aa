"""The losses that a spec can name, row by row, on what a model puts out before any activation."""

from collections.abc import Callable, Mapping

import keras
import tensorflow as tf

from trainyard_trainer.tensors import Tensor

Loss = Callable[[Tensor, Tensor], Tensor]
"""Takes labels [rows] and outputs, float32 [rows, outputs], and returns the loss of each row, float32 [rows]."""


def _cross_entropy(labels: Tensor, outputs: Tensor) -> Tensor:
    return tf.nn.sigmoid_cross_entropy_with_logits(labels=tf.cast(labels, tf.float32), logits=outputs[:, 0])


def _focal(labels: Tensor, outputs: Tensor) -> Tensor:
    targets = tf.cast(labels, tf.float32)[:, None]
    return keras.losses.binary_focal_crossentropy(targets, outputs, from_logits=True)


def _hinge(labels: Tensor, outputs: Tensor) -> Tensor:
    """How far a row is from its side of the margin."""
    return tf.nn.relu(1 - tf.cast(2 * labels - 1, tf.float32) * outputs[:, 0])


def _categorical_cross_entropy(labels: Tensor, outputs: Tensor) -> Tensor:
    return tf.nn.sparse_softmax_cross_entropy_with_logits(labels=labels, logits=outputs)


def _categorical_focal(labels: Tensor, outputs: Tensor) -> Tensor:
    targets = tf.one_hot(labels, outputs.shape[1])
    return keras.losses.categorical_focal_crossentropy(targets, outputs, from_logits=True)


def _categorical_hinge(labels: Tensor, outputs: Tensor) -> Tensor:
    """By how much the best wrong class comes nearer to the right one than the margin.

    After Crammer and Singer, "On the algorithmic implementation of multiclass kernel-based vector machines" (2001).
    """
    own = tf.one_hot(labels, outputs.shape[1], on_value=True, off_value=False, dtype=tf.bool)
    right = tf.reduce_sum(tf.where(own, outputs, 0.0), axis=1)
    wrong = tf.reduce_max(tf.where(own, outputs.dtype.min, outputs), axis=1)
    return tf.nn.relu(1 + wrong - right)


def _of_columns(loss: Callable[[Tensor, Tensor], Tensor]) -> Loss:
    return lambda labels, outputs: loss(labels[:, None], outputs)


BINARY: Mapping[str, Loss] = {
    "binary_crossentropy": _cross_entropy,
    "binary_focal_crossentropy": _focal,
    "hinge": _hinge,
    "squared_hinge": lambda labels, outputs: tf.square(_hinge(labels, outputs)),
}
MULTICLASS: Mapping[str, Loss] = {
    "categorical_crossentropy": _categorical_cross_entropy,
    "categorical_focal_crossentropy": _categorical_focal,
    "hinge": _categorical_hinge,
    "squared_hinge": lambda labels, outputs: tf.square(_categorical_hinge(labels, outputs)),
}


def quantile(share: float) -> Loss:
    """Return the loss whose least sum has that share of the labels below the answer (also called pinball loss).

    After Koenker and Bassett, "Regression quantiles" (1978).
    """

    def loss(labels: Tensor, outputs: Tensor) -> Tensor:
        above = labels - outputs[:, 0]
        return tf.maximum(share * above, (share - 1) * above)

    return loss


def poisson(labels: Tensor, outputs: Tensor) -> Tensor:
    """Return how much likelier the best rate would be than exp(output), for counts and rates in units of their mean.

    That is Keras' loss of the same name, less what a perfect model would have, which depends on the labels only.
    """
    rates = tf.exp(outputs[:, 0])
    return rates - labels + tf.math.xlogy(labels, labels) - labels * outputs[:, 0]


REGRESSION: Mapping[str, Loss] = {
    "mean_squared_error": lambda labels, outputs: tf.square(labels - outputs[:, 0]),
    "mean_absolute_error": lambda labels, outputs: tf.abs(labels - outputs[:, 0]),
    "huber": _of_columns(keras.losses.huber),
    "log_cosh": _of_columns(keras.losses.log_cosh),
}
