"""What is predicted: the loss, the metrics and the served answer of each task.

A task adds up what its metrics need (`sums`) inside the training graph, batch by batch; `metrics` turns the totals of
an epoch into numbers under the names Keras uses. Where rows have weights, each counts as that many rows.
"""

import math
from collections.abc import Sequence
from typing import Protocol

import numpy as np
import tensorflow as tf

from trainyard_api.fit import Fit
from trainyard_api.program import ModelProgram
from trainyard_trainer.data.label_sets import LabelSets
from trainyard_trainer.data.labels import ClassLabels, Labels, NumberLabels
from trainyard_trainer.tasks.losses import BINARY, MULTICLASS, REGRESSION, poisson, quantile
from trainyard_trainer.tasks.multilabel import MultilabelClassification
from trainyard_trainer.tasks.scores import ClassScores, NumberScores, Scores, total
from trainyard_trainer.tensors import Doubles, Tensor, Totals

COUNT, LOSS = "count", "loss"
"""Names of the rows that were added up, by their weights where they have some, and of their losses."""
_CROSS_ENTROPY = "categorical_crossentropy"
MOST_LOG = 80.0
"""Single precision knows no number much larger than exp of that."""
_BINS = 16_384
"""Resolution of the area under the ROC curve."""


class Task(Protocol):
    """One way to read a model's outputs."""

    outputs: int
    totals: tuple[str, ...]
    """Names of what training adds up beside count and loss."""

    def loss(self, labels: Tensor, outputs: Tensor) -> Tensor:
        """Return the loss of each row, float32 [rows]: what is minimised."""

    def sums(self, labels: Tensor, outputs: Tensor, weights: Tensor | None = None) -> dict[str, Tensor]:
        """Return what training adds up beside the loss, each a float32 scalar."""

    def validation_sums(self, labels: Tensor, outputs: Tensor, weights: Tensor | None = None) -> dict[str, Tensor]:
        """Return what validation adds up beside the loss, each a float32 scalar or vector."""

    def metrics(self, totals: Totals) -> dict[str, float]:
        """Return the metrics, the loss first, of the totals of an epoch or a validation."""

    def serve(self, outputs: Tensor) -> dict[str, Tensor]:
        """Return the named answers a client gets."""


class Further:
    """The metrics that a spec asks for beside the usual ones; nothing is added up where it asks for none."""

    def __init__(self, scores: Scores, wanted: Sequence[str]) -> None:
        self._scores, self._wanted = scores, wanted

    def sums(self, labels: Tensor, outputs: Tensor, weights: Tensor | None) -> dict[str, Tensor]:
        """Return what validation adds up for them."""
        return self._scores.sums(labels, outputs, weights) if self._wanted else {}

    def values(self, totals: Totals) -> dict[str, float]:
        """Return them, of the totals of a validation; of those of an epoch, which training adds up, there are none."""
        if not self._wanted or not self._scores.names <= totals.keys():
            return {}
        found = self._scores.values(totals, float(totals[COUNT]))
        return {name: found[name] for name in self._wanted}


class BinaryClassification:
    """One of two classes. The one output is the log-odds of the second class."""

    outputs = 1
    totals: tuple[str, ...] = ("right",)

    def __init__(self, labels: ClassLabels, loss: str = "binary_crossentropy", further: Sequence[str] = ()) -> None:
        self._names = list(labels.names)
        self._loss, self._further = BINARY[loss], Further(ClassScores(2), further)

    def loss(self, labels: Tensor, outputs: Tensor) -> Tensor:
        """Return the loss of the spec, by default the binary cross-entropy."""
        return self._loss(labels, outputs)

    def sums(self, labels: Tensor, outputs: Tensor, weights: Tensor | None = None) -> dict[str, Tensor]:
        """Return the number of rows whose class was right."""
        return {"right": total((outputs[:, 0] > 0) == (labels > 0), weights)}

    def validation_sums(self, labels: Tensor, outputs: Tensor, weights: Tensor | None = None) -> dict[str, Tensor]:
        """Return the same, and histograms of the outputs of each class."""
        # The scale is finest around zero, where the outputs of an untrained model crowd, and reaches beyond +-16.
        place = (tf.asinh(outputs[:, 0] * 1000) / 22 + 0.5) * _BINS
        bins = tf.cast(tf.clip_by_value(place, 0, _BINS - 1), tf.int32) + _BINS * labels
        histogram = tf.math.bincount(bins, weights=weights, minlength=2 * _BINS, maxlength=2 * _BINS, dtype=tf.float32)
        further = self._further.sums(labels, outputs, weights)
        return self.sums(labels, outputs, weights) | {"histogram": histogram} | further

    def metrics(self, totals: Totals) -> dict[str, float]:
        """Return loss and accuracy, and for validation the area under the ROC curve where both classes occur."""
        found = _means(totals, loss=LOSS, accuracy="right")
        if "histogram" in totals:
            found["auc"] = area_under_curve(np.asarray(totals["histogram"], np.float64).reshape(2, _BINS))
        return {
            name: value for name, value in found.items() if not (name == "auc" and math.isnan(value))
        } | self._further.values(totals)

    def serve(self, outputs: Tensor) -> dict[str, Tensor]:
        """Return the class's name and the probability of the second class."""
        log_odds = outputs[:, 0]
        return {
            "label": tf.gather(tf.constant(self._names), tf.cast(log_odds > 0, tf.int32)),
            "probability": tf.sigmoid(log_odds),
        }


class BinaryHinge(BinaryClassification):
    """One of two classes by a support vector machine. The one output is positive for the second class."""

    def serve(self, outputs: Tensor) -> dict[str, Tensor]:
        """Return the class's name and the output: distances from the boundary are not probabilities."""
        return {"label": super().serve(outputs)["label"], "score": outputs[:, 0]}


class MulticlassClassification:
    """One of several classes. The outputs are unnormalised log-probabilities."""

    totals: tuple[str, ...] = ("right",)

    def __init__(
        self, labels: ClassLabels, loss: str = "categorical_crossentropy", further: Sequence[str] = ()
    ) -> None:
        self._names = list(labels.names)
        self.outputs = len(self._names)
        self._loss, self._further = MULTICLASS[loss], Further(ClassScores(self.outputs), further)

    def loss(self, labels: Tensor, outputs: Tensor) -> Tensor:
        """Return the loss of the spec, by default the categorical cross-entropy."""
        return self._loss(labels, outputs)

    def sums(self, labels: Tensor, outputs: Tensor, weights: Tensor | None = None) -> dict[str, Tensor]:
        """Return the number of rows whose class was right."""
        return {"right": total(tf.argmax(outputs, axis=1, output_type=tf.int32) == labels, weights)}

    def validation_sums(self, labels: Tensor, outputs: Tensor, weights: Tensor | None = None) -> dict[str, Tensor]:
        """Return the same, and what further metrics need."""
        return self.sums(labels, outputs, weights) | self._further.sums(labels, outputs, weights)

    def metrics(self, totals: Totals) -> dict[str, float]:
        """Return loss and accuracy, and for validation the further metrics."""
        return _means(totals, loss=LOSS, accuracy="right") | self._further.values(totals)

    def serve(self, outputs: Tensor) -> dict[str, Tensor]:
        """Return the likeliest class's name and the probabilities of all classes in sorted order."""
        best = tf.argmax(outputs, axis=1, output_type=tf.int32)
        return {"label": tf.gather(tf.constant(self._names), best), "probabilities": tf.nn.softmax(outputs)}


class MulticlassHinge(MulticlassClassification):
    """One of several classes by a support vector machine. The class with the largest output wins."""

    def serve(self, outputs: Tensor) -> dict[str, Tensor]:
        """Return the name of the class with the largest score, and the scores of all classes in sorted order."""
        return {"label": super().serve(outputs)["label"], "scores": outputs}


class Regression:
    """A number. The one output is in standard deviations from the mean of the training labels.

    So a sensible learning rate does not depend on the unit of the label. Losses and errors are reported in that unit.
    """

    outputs = 1
    totals: tuple[str, ...] = ("error",)

    def __init__(
        self,
        labels: NumberLabels,
        loss: str = "mean_squared_error",
        further: Sequence[str] = (),
        share: float | None = None,
    ) -> None:
        self._labels, (_, spread) = labels, labels.learnt
        self._loss = REGRESSION[loss] if share is None else quantile(share)
        self._further = Further(NumberScores(labels.mean, labels.deviation), further)
        self._unit = spread ** {"mean_squared_error": 2, "mean_absolute_error": 1, "quantile": 1}.get(loss, 0)

    def loss(self, labels: Tensor, outputs: Tensor) -> Tensor:
        """Return the loss of the spec, by default the squared error, of what is learnt in standard deviations."""
        mean, deviation = self._labels.learnt
        learnt = tf.math.log1p(labels) if self._labels.logs else labels
        return self._loss((learnt - mean) / deviation, outputs)

    def value(self, outputs: Tensor) -> Tensor:
        """Return the predicted numbers, float32 [rows]."""
        mean, deviation = self._labels.learnt
        learnt = outputs[:, 0] * deviation + mean
        return tf.math.expm1(tf.minimum(learnt, MOST_LOG)) if self._labels.logs else learnt

    def said(self, outputs: Tensor) -> Tensor:
        """Return the predicted numbers in standard deviations of the label from its mean, float32 [rows]."""
        if self._labels.logs is None:
            return outputs[:, 0]
        return (self.value(outputs) - self._labels.mean) / self._labels.deviation

    def sums(self, labels: Tensor, outputs: Tensor, weights: Tensor | None = None) -> dict[str, Tensor]:
        """Return the sum of absolute errors."""
        standard = (labels - self._labels.mean) / self._labels.deviation
        return {"error": total(tf.abs(standard - self.said(outputs)), weights)}

    def validation_sums(self, labels: Tensor, outputs: Tensor, weights: Tensor | None = None) -> dict[str, Tensor]:
        """Return the same, and what further metrics need."""
        return self.sums(labels, outputs, weights) | self._further.sums(labels, self.said(outputs)[:, None], weights)

    def metrics(self, totals: Totals) -> dict[str, float]:
        """Return loss and mean absolute error, in the unit of the label where they have one."""
        found = _means(totals, loss=LOSS, mae="error")
        return {
            "loss": found["loss"] * self._unit,
            "mae": found["mae"] * self._labels.deviation,
        } | self._further.values(totals)

    def serve(self, outputs: Tensor) -> dict[str, Tensor]:
        """Return the predicted number."""
        return {"value": self.value(outputs)}


class PoissonRegression(Regression):
    """A count or a rate. The one output is the logarithm of the rate, in units of the mean of the training labels."""

    def __init__(self, labels: NumberLabels, further: Sequence[str] = ()) -> None:
        super().__init__(labels, further=further)
        self._unit = labels.mean

    def loss(self, labels: Tensor, outputs: Tensor) -> Tensor:
        """Return half the deviance: 0 where the rate is the label."""
        return poisson(labels / self._labels.mean, outputs)

    def value(self, outputs: Tensor) -> Tensor:
        """Return the predicted rates, float32 [rows]."""
        return self._labels.mean * tf.exp(tf.minimum(outputs[:, 0], MOST_LOG))

    def said(self, outputs: Tensor) -> Tensor:
        """Return the predicted rates in standard deviations of the label from its mean, float32 [rows]."""
        return (self.value(outputs) - self._labels.mean) / self._labels.deviation


def task_for(labels: Labels, program: ModelProgram, fit: Fit | None = None) -> Task:
    """Return the program's task for these labels, with the loss and the metrics of the spec."""
    further = fit.metrics if fit else []
    named = {"loss": fit.loss} if fit and fit.loss else {}
    if isinstance(labels, LabelSets):
        return MultilabelClassification(labels)
    if isinstance(labels, NumberLabels):
        if named.get("loss") == "poisson":
            return PoissonRegression(labels, further=further)
        return Regression(labels, further=further, share=fit.quantile if fit else None, **named)
    hinge = program.family == "svm"
    if hinge:
        named.setdefault("loss", "hinge")
    if program.task == "binaryClassification":
        return (BinaryHinge if hinge else BinaryClassification)(labels, further=further, **named)
    return (MulticlassHinge if hinge else MulticlassClassification)(labels, further=further, **named)


def area_under_curve(histogram: Doubles) -> float:
    """Return how often a row of the second class scores higher than one of the first; ties count half."""
    first, second = histogram
    below = np.cumsum(first) - first
    pairs = first.sum() * second.sum()
    return float((second * (below + first / 2)).sum() / pairs) if pairs else math.nan


def _means(totals: Totals, **names: str) -> dict[str, float]:
    count = float(totals[COUNT]) or 1.0  # no row of the first batches may have a weight
    return {name: float(totals[of]) / count for name, of in names.items()}
