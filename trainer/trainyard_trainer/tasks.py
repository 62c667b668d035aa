"""What is predicted: the loss, the metrics and the served answer of each task.

A task adds up what its metrics need (`sums`) inside the training graph, batch by batch; `metrics` turns the totals of
an epoch into numbers under the names Keras uses.
"""

import math
from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
import tensorflow as tf

from trainyard_operator.api.program import KerasProgram
from trainyard_trainer.data.labels import ClassLabels, Labels, NumberLabels

COUNT, LOSS = "count", "loss"
_BINS = 16_384
"""Resolution of the area under the ROC curve."""


class Task(Protocol):
    """One way to read a model's outputs."""

    outputs: int
    totals: tuple[str, ...]
    """Names of what training adds up beside count and loss."""

    def loss(self, labels: Any, outputs: Any) -> Any:
        """Return the loss of each row, float32 [rows]: what is minimised."""

    def sums(self, labels: Any, outputs: Any) -> dict[str, Any]:
        """Return what training adds up beside the loss, each a float32 scalar."""

    def validation_sums(self, labels: Any, outputs: Any) -> dict[str, Any]:
        """Return what validation adds up beside the loss, each a float32 scalar or vector."""

    def metrics(self, totals: Mapping[str, Any]) -> dict[str, float]:
        """Return the metrics, the loss first, of the totals of an epoch or a validation."""

    def serve(self, outputs: Any) -> dict[str, Any]:
        """Return the named answers a client gets."""


class BinaryClassification:
    """One of two classes. The one output is the log-odds of the second class."""

    outputs = 1
    totals: tuple[str, ...] = ("right",)

    def __init__(self, labels: ClassLabels) -> None:
        self._names = list(labels.names)

    def loss(self, labels: Any, outputs: Any) -> Any:
        """Return the binary cross-entropy."""
        return tf.nn.sigmoid_cross_entropy_with_logits(labels=tf.cast(labels, tf.float32), logits=outputs[:, 0])

    def sums(self, labels: Any, outputs: Any) -> dict[str, Any]:
        """Return the number of rows whose class was right."""
        return {"right": _count((outputs[:, 0] > 0) == (labels > 0))}

    def validation_sums(self, labels: Any, outputs: Any) -> dict[str, Any]:
        """Return the same, and histograms of the outputs of each class."""
        # The scale is finest around zero, where the outputs of an untrained model crowd, and reaches beyond +-16.
        place = (tf.asinh(outputs[:, 0] * 1000) / 22 + 0.5) * _BINS
        bins = tf.cast(tf.clip_by_value(place, 0, _BINS - 1), tf.int32) + _BINS * labels
        histogram = tf.math.bincount(bins, minlength=2 * _BINS, maxlength=2 * _BINS, dtype=tf.float32)
        return self.sums(labels, outputs) | {"histogram": histogram}

    def metrics(self, totals: Mapping[str, Any]) -> dict[str, float]:
        """Return loss and accuracy, and for validation the area under the ROC curve where both classes occur."""
        found = _means(totals, loss=LOSS, accuracy="right")
        if "histogram" in totals:
            found["auc"] = area_under_curve(np.asarray(totals["histogram"], np.float64).reshape(2, _BINS))
        return {name: value for name, value in found.items() if not (name == "auc" and math.isnan(value))}

    def serve(self, outputs: Any) -> dict[str, Any]:
        """Return the class's name and the probability of the second class."""
        log_odds = outputs[:, 0]
        return {
            "label": tf.gather(tf.constant(self._names), tf.cast(log_odds > 0, tf.int32)),
            "probability": tf.sigmoid(log_odds),
        }


class BinaryHinge(BinaryClassification):
    """One of two classes by a support vector machine. The one output is positive for the second class."""

    def loss(self, labels: Any, outputs: Any) -> Any:
        """Return the hinge loss: how far a row is from its side of the margin."""
        sides = tf.cast(2 * labels - 1, tf.float32)
        return tf.nn.relu(1 - sides * outputs[:, 0])

    def serve(self, outputs: Any) -> dict[str, Any]:
        """Return the class's name and the output: distances from the boundary are not probabilities."""
        return {"label": super().serve(outputs)["label"], "score": outputs[:, 0]}


class MulticlassClassification:
    """One of several classes. The outputs are unnormalised log-probabilities."""

    totals: tuple[str, ...] = ("right",)

    def __init__(self, labels: ClassLabels) -> None:
        self._names = list(labels.names)
        self.outputs = len(self._names)

    def loss(self, labels: Any, outputs: Any) -> Any:
        """Return the categorical cross-entropy."""
        return tf.nn.sparse_softmax_cross_entropy_with_logits(labels=labels, logits=outputs)

    def sums(self, labels: Any, outputs: Any) -> dict[str, Any]:
        """Return the number of rows whose class was right."""
        return {"right": _count(tf.argmax(outputs, axis=1, output_type=tf.int32) == labels)}

    def validation_sums(self, labels: Any, outputs: Any) -> dict[str, Any]:
        """Return the same."""
        return self.sums(labels, outputs)

    def metrics(self, totals: Mapping[str, Any]) -> dict[str, float]:
        """Return loss and accuracy."""
        return _means(totals, loss=LOSS, accuracy="right")

    def serve(self, outputs: Any) -> dict[str, Any]:
        """Return the likeliest class's name and the probabilities of all classes in sorted order."""
        best = tf.argmax(outputs, axis=1, output_type=tf.int32)
        return {"label": tf.gather(tf.constant(self._names), best), "probabilities": tf.nn.softmax(outputs)}


class MulticlassHinge(MulticlassClassification):
    """One of several classes by a support vector machine. The class with the largest output wins.

    After Crammer and Singer, "On the algorithmic implementation of multiclass kernel-based vector machines" (2001).
    """

    def loss(self, labels: Any, outputs: Any) -> Any:
        """Return by how much the best wrong class comes nearer to the right one than the margin."""
        own = tf.one_hot(labels, self.outputs, on_value=True, off_value=False, dtype=tf.bool)
        right = tf.reduce_sum(tf.where(own, outputs, 0.0), axis=1)
        wrong = tf.reduce_max(tf.where(own, outputs.dtype.min, outputs), axis=1)
        return tf.nn.relu(1 + wrong - right)

    def serve(self, outputs: Any) -> dict[str, Any]:
        """Return the name of the class with the largest score, and the scores of all classes in sorted order."""
        return {"label": super().serve(outputs)["label"], "scores": outputs}


class Regression:
    """A number. The one output is in standard deviations from the mean of the training labels.

    So a sensible learning rate does not depend on the unit of the label. Losses and errors are reported in that unit.
    """

    outputs = 1
    totals: tuple[str, ...] = ("error",)

    def __init__(self, labels: NumberLabels) -> None:
        self._mean, self._deviation = labels.mean, labels.deviation

    def loss(self, labels: Any, outputs: Any) -> Any:
        """Return the squared error, in squared standard deviations."""
        return tf.square((labels - self._mean) / self._deviation - outputs[:, 0])

    def sums(self, labels: Any, outputs: Any) -> dict[str, Any]:
        """Return the sum of absolute errors."""
        return {"error": tf.reduce_sum(tf.abs((labels - self._mean) / self._deviation - outputs[:, 0]))}

    def validation_sums(self, labels: Any, outputs: Any) -> dict[str, Any]:
        """Return the same."""
        return self.sums(labels, outputs)

    def metrics(self, totals: Mapping[str, Any]) -> dict[str, float]:
        """Return mean squared and mean absolute error in the unit of the label."""
        found = _means(totals, loss=LOSS, mae="error")
        return {"loss": found["loss"] * self._deviation**2, "mae": found["mae"] * self._deviation}

    def serve(self, outputs: Any) -> dict[str, Any]:
        """Return the predicted number."""
        return {"value": outputs[:, 0] * self._deviation + self._mean}


def task_for(labels: Labels, program: KerasProgram) -> Task:
    """Return the program's task for these labels."""
    if isinstance(labels, NumberLabels):
        return Regression(labels)
    hinge = program.family == "svm"
    if program.task == "binaryClassification":
        return BinaryHinge(labels) if hinge else BinaryClassification(labels)
    return MulticlassHinge(labels) if hinge else MulticlassClassification(labels)


def area_under_curve(histogram: Any) -> float:
    """Return how often a row of the second class scores higher than one of the first; ties count half."""
    first, second = histogram
    below = np.cumsum(first) - first
    pairs = first.sum() * second.sum()
    return float((second * (below + first / 2)).sum() / pairs) if pairs else math.nan


def _count(which: Any) -> Any:
    return tf.reduce_sum(tf.cast(which, tf.float32))


def _means(totals: Mapping[str, Any], **names: str) -> dict[str, float]:
    return {name: float(totals[of]) / float(totals[COUNT]) for name, of in names.items()}
