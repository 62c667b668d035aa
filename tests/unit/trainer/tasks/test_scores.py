"""The losses and metrics that a spec can name are those of Keras."""

from typing import Any, get_args

import keras
import numpy as np
import pytest
import tensorflow as tf

from trainyard_api.fit import LOSSES, METRICS, SVM_LOSSES, Fit, Loss, Metric
from trainyard_api.program import KerasProgram
from trainyard_trainer.data.labels import ClassLabels, NumberLabels
from trainyard_trainer.tasks.losses import BINARY, MULTICLASS, REGRESSION
from trainyard_trainer.tasks.metrics import is_better_higher, metric_names
from trainyard_trainer.tasks.task import COUNT, LOSS, task_for

RNG = np.random.default_rng(5)
ROWS = 400
LABELS: dict[str, Any] = {
    "binaryClassification": ClassLabels(("no", "yes"), ("no", "yes"), (1, 1)),
    "multiclassClassification": ClassLabels(tuple("abcdefg"), tuple("abcdefg"), (1,) * 7),
    "regression": NumberLabels(mean=100, deviation=20),
}


def rows(task: str) -> tuple[np.ndarray, np.ndarray]:
    """Return labels, and outputs that know something of them."""
    if task == "regression":
        outputs = RNG.normal(size=(ROWS, 1)).astype(np.float32)
        return (100 + 20 * (outputs[:, 0] + 0.5 * RNG.normal(size=ROWS))).astype(np.float32), outputs
    classes = len(LABELS[task].names)
    labels = RNG.integers(0, classes, ROWS).astype(np.int32)
    if classes == 2:
        return labels, (RNG.normal(size=(ROWS, 1)) + labels[:, None]).astype(np.float32)
    return labels, (RNG.normal(size=(ROWS, classes)) + 2 * np.eye(classes)[labels]).astype(np.float32)


def measured(task: str, labels: np.ndarray, outputs: np.ndarray, **fit: Any) -> dict[str, float]:
    """Return the metrics of rows that come in two batches."""
    made = task_for(LABELS[task], KerasProgram(task=task), Fit(**fit))  # type: ignore[arg-type]
    found: dict[str, Any] = {}
    for part in (slice(0, 150), slice(150, None)):
        y, z = tf.constant(labels[part]), tf.constant(outputs[part])
        sums = {COUNT: tf.cast(tf.size(y), tf.float32), LOSS: tf.reduce_sum(made.loss(y, z))}
        for name, value in (sums | made.validation_sums(y, z)).items():
            found[name] = found.get(name, 0) + value.numpy().astype(np.float64)
    return made.metrics(found)


def expected_loss(task: str, name: str, labels: np.ndarray, outputs: np.ndarray) -> float:
    loss = keras.losses.get(name)
    if task == "binaryClassification":
        return float(np.mean(loss(labels[:, None].astype(np.float32), outputs, from_logits=True)))
    if task == "multiclassClassification":
        return float(np.mean(loss(np.eye(7, dtype=np.float32)[labels], outputs, from_logits=True)))
    unit = {"mean_squared_error": 400, "mean_absolute_error": 20}.get(name, 1)
    return unit * float(np.mean(loss((labels[:, None] - 100) / 20, outputs)))


# Task multilabelClassification has one loss, and tests of its own.
@pytest.mark.parametrize(
    ("task", "name"), [(task, name) for task in LABELS for name in LOSSES[task] if name not in ("quantile", "poisson")]
)
def test_a_loss_is_that_of_keras_and_of_every_row(task: str, name: str) -> None:
    labels, outputs = rows(task)

    made = task_for(LABELS[task], KerasProgram(task=task), Fit(loss=name))  # type: ignore[arg-type]

    assert made.loss(tf.constant(labels), tf.constant(outputs)).shape == (ROWS,)
    assert measured(task, labels, outputs, loss=name)["loss"] == pytest.approx(
        expected_loss(task, name, labels, outputs), rel=1e-4
    )


def expected_metric(task: str, name: str, labels: np.ndarray, outputs: np.ndarray) -> float:
    if task == "regression":
        metric = {
            "mean_squared_error": keras.metrics.MeanSquaredError,
            "root_mean_squared_error": keras.metrics.RootMeanSquaredError,
            "mean_absolute_percentage_error": keras.metrics.MeanAbsolutePercentageError,
            "r2_score": keras.metrics.R2Score,
        }[name]()
        metric.update_state(labels[:, None], outputs * 20 + 100)
        return float(metric.result())
    if name == "top_k_categorical_accuracy":
        metric = keras.metrics.TopKCategoricalAccuracy(k=5)
        metric.update_state(np.eye(7)[labels], outputs)
        return float(metric.result())
    predicted = (outputs[:, 0] > 0).astype(int) if task == "binaryClassification" else outputs.argmax(1)
    each = []
    for c in [1] if task == "binaryClassification" else range(7):
        if name == "f1_score":
            metric = keras.metrics.F1Score(threshold=0.5)
            metric.update_state((labels == c)[:, None].astype(float), (predicted == c)[:, None].astype(float))
        else:
            metric = {"precision": keras.metrics.Precision, "recall": keras.metrics.Recall}[name]()
            metric.update_state(labels == c, predicted == c)
        each.append(float(np.squeeze(metric.result())))
    return float(np.mean(each))


@pytest.mark.parametrize(("task", "name"), [(task, name) for task, names in METRICS.items() for name in names])
def test_a_metric_is_that_of_keras(task: str, name: str) -> None:
    labels, outputs = rows(task)

    found = measured(task, labels, outputs, metrics=[name])

    assert found[name] == pytest.approx(expected_metric(task, name, labels, outputs), rel=1e-4)
    assert set(found) == {each.removeprefix("val_") for each in metric_names(task, validation=True, further=[name])}  # type: ignore[arg-type]


def test_a_metric_of_nothing_is_zero() -> None:
    labels, outputs = np.zeros(ROWS, np.int32), np.full((ROWS, 1), -1.0, np.float32)

    found = measured("binaryClassification", labels, outputs, metrics=["precision", "recall", "f1_score"])

    assert (found["precision"], found["recall"], found["f1_score"]) == (0, 0, 0)


def test_training_does_not_add_up_what_only_validation_reports() -> None:
    task = task_for(LABELS["regression"], KerasProgram(task="regression"), Fit(metrics=["r2_score"]))

    assert set(task.metrics({COUNT: 1.0, LOSS: 1.0, "error": 1.0})) == {"loss", "mae"}


def test_the_schema_offers_what_there_is() -> None:
    assert {name for names in LOSSES.values() for name in names} | set(SVM_LOSSES) == set(get_args(get_args(Loss)[0]))
    assert {name for names in METRICS.values() for name in names} == set(get_args(get_args(Metric)[0]))
    assert set(BINARY) == {*LOSSES["binaryClassification"], *SVM_LOSSES}
    assert set(MULTICLASS) == {*LOSSES["multiclassClassification"], *SVM_LOSSES}
    assert {*REGRESSION, "quantile", "poisson"} == set(LOSSES["regression"])
    errors = {"mean_squared_error", "root_mean_squared_error", "mean_absolute_percentage_error"}
    assert {name for name in get_args(get_args(Metric)[0]) if not is_better_higher(f"val_{name}")} == errors
