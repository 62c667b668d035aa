"""The metrics that a spec can ask for beside the usual ones: what each task adds up for them, and how they follow.

Their names are those of Keras. With several classes precision, recall and f1_score are means over the classes, each
counting the same (Keras' `average="macro"`); a share of nothing is 0.
"""

import math
from typing import Protocol

import numpy as np
import tensorflow as tf

from trainyard_trainer.tensors import Tensor, Total, Totals

TOP_K = 5
"""As in Keras' TopKCategoricalAccuracy."""


class Scores(Protocol):
    """The further metrics of one task. `names` are those of what is added up for them."""

    names: frozenset[str]

    def sums(self, labels: Tensor, outputs: Tensor, weights: Tensor | None = None) -> dict[str, Tensor]:
        """Return what is added up batch by batch, each a float32 scalar or vector; rows count by their weights."""

    def values(self, totals: Totals, count: float) -> dict[str, float]:
        """Return all metrics of what was added up over `count` rows."""


class ClassScores:
    """Precision, recall and F1, of the second class of two, else averaged; and how often in the top five."""

    names = frozenset({"hits", "predicted", "there", "among"})

    def __init__(self, classes: int) -> None:
        self._classes = classes

    def sums(self, labels: Tensor, outputs: Tensor, weights: Tensor | None = None) -> dict[str, Tensor]:
        """Return, for each class, how often it was right, predicted and there."""
        if outputs.shape[1] == 1:
            predicted = tf.cast(outputs[:, 0] > 0, tf.int32)
            among = tf.zeros_like(outputs[:, 0])
        else:
            predicted = tf.argmax(outputs, axis=1, output_type=tf.int32)
            among = tf.cast(tf.math.in_top_k(labels, outputs, min(TOP_K, self._classes)), tf.float32)
        right = tf.cast(predicted == labels, tf.float32)
        each = tf.ones_like(right) if weights is None else weights
        return {
            "hits": self._by_class(labels, right * each),
            "predicted": self._by_class(predicted, each),
            "there": self._by_class(labels, each),
            "among": tf.reduce_sum(among * each),
        }

    def _by_class(self, classes: Tensor, values: Tensor) -> Tensor:
        return tf.math.bincount(classes, weights=values, minlength=self._classes, maxlength=self._classes)

    def values(self, totals: Totals, count: float) -> dict[str, float]:
        which = slice(1, None) if self._classes == 2 else slice(None)
        hits, predicted, there = (
            np.asarray(totals[name], np.float64)[which] for name in ("hits", "predicted", "there")
        )
        return {
            "precision": _mean_share(hits, predicted),
            "recall": _mean_share(hits, there),
            "f1_score": _mean_share(2 * hits, predicted + there),
            "top_k_categorical_accuracy": float(totals["among"]) / count,
        }


class NumberScores:
    """Errors of a predicted number, in the unit of the label; `outputs` are in standard deviations from its mean."""

    names = frozenset({"squares", "shares", "standard", "spread"})

    def __init__(self, mean: float, deviation: float) -> None:
        self._mean, self._deviation = mean, deviation

    def sums(self, labels: Tensor, outputs: Tensor, weights: Tensor | None = None) -> dict[str, Tensor]:
        """Return sums of squares and of relative errors. Sums are of standardised labels: they keep their digits."""
        standard = (labels - self._mean) / self._deviation
        errors = standard - outputs[:, 0]
        shares = tf.abs(errors) * self._deviation / tf.maximum(tf.abs(labels), 1e-7)
        return {
            "squares": total(tf.square(errors), weights),
            "shares": total(shares, weights),
            "standard": total(standard, weights),
            "spread": total(tf.square(standard), weights),
        }

    def values(self, totals: Totals, count: float) -> dict[str, float]:
        square = float(totals["squares"]) / count
        variance = float(totals["spread"]) / count - (float(totals["standard"]) / count) ** 2
        return {
            "mean_squared_error": square * self._deviation**2,
            "root_mean_squared_error": math.sqrt(square) * self._deviation,
            "mean_absolute_percentage_error": 100 * float(totals["shares"]) / count,
            "r2_score": 1 - square / variance if variance > 0 else 0.0,
        }


def total(values: Tensor, weights: Tensor | None) -> Tensor:
    """Return the sum of numbers, or of which are true, each times its weight where there are weights."""
    numbers = tf.cast(values, tf.float32)
    return tf.reduce_sum(numbers if weights is None else numbers * weights)


def _mean_share(some: Total, of: Total) -> float:
    return float(np.mean(np.divide(some, of, out=np.zeros_like(some), where=of > 0)))
