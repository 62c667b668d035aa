"""A row with weight 3 counts as three rows: in losses, metrics, and what else is said of a model."""

from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from trainyard_api.fit import METRICS, Fit
from trainyard_api.program import KerasProgram
from trainyard_trainer.data.label_sets import LabelSets
from trainyard_trainer.data.labels import ClassLabels, NumberLabels, Tally
from trainyard_trainer.fitting.steps import sums_of
from trainyard_trainer.selection.weighting import kind_of, mean_weights
from trainyard_trainer.tasks.evaluation import of_classes, of_numbers
from trainyard_trainer.tasks.task import task_for

RNG = np.random.default_rng(8)
COUNTS = RNG.integers(0, 4, 90)
LABELS: dict[str, Any] = {
    "binaryClassification": ClassLabels(("no", "yes"), ("no", "yes"), (1, 1)),
    "multiclassClassification": ClassLabels(tuple("abcdefg"), tuple("abcdefg"), (1,) * 7),
    "multilabelClassification": LabelSets(("a", "b"), (1, 1)),
    "regression": NumberLabels(mean=10, deviation=2),
}


def drawn(task: str) -> tuple[Any, Any]:
    """Return labels and outputs of as many rows as there are counts."""
    outputs = {"multiclassClassification": 7, "multilabelClassification": 2}.get(task, 1)
    said = RNG.normal(size=(len(COUNTS), outputs)).astype(np.float32)
    if task == "regression":
        return (10 + 2 * said[:, 0] + RNG.normal(size=len(said))).astype(np.float32), said
    if task == "multilabelClassification":
        return RNG.integers(0, 2, said.shape).astype(np.uint8), said
    return RNG.integers(0, max(outputs, 2), len(said)).astype(np.int32), said


@pytest.mark.parametrize("task", LABELS)
def test_metrics_with_weights_are_those_of_repeated_rows(task: Any) -> None:
    labels, outputs = drawn(task)
    made = task_for(LABELS[task], KerasProgram(task=task), Fit(metrics=METRICS[task]))  # type: ignore[arg-type]

    def measured(which: Any, weights: Any) -> dict[str, float]:
        right, said = tf.constant(labels[which]), tf.constant(outputs[which])
        totals = sums_of(made.loss(right, said), made.validation_sums(right, said, weights), weights)
        return made.metrics({name: each.numpy().astype(np.float64) for name, each in totals.items()})

    every = np.arange(len(COUNTS))
    weighed = measured(every, tf.constant(COUNTS, tf.float32))

    assert weighed == pytest.approx(measured(np.repeat(every, COUNTS), None), rel=1e-5)
    assert weighed != pytest.approx(measured(every, None), rel=1e-3)


@pytest.mark.parametrize("task", LABELS)
def test_rows_without_weight_are_no_division_by_zero(task: Any) -> None:
    labels, outputs = map(tf.constant, drawn(task))
    made, nothing = task_for(LABELS[task], KerasProgram(task=task)), tf.zeros(len(COUNTS))

    totals = sums_of(made.loss(labels, outputs), made.sums(labels, outputs, nothing), nothing)

    assert made.metrics({name: each.numpy() for name, each in totals.items()})["loss"] == 0


@pytest.mark.parametrize("classes", [2, 4])
def test_what_is_said_of_classes_is_that_of_repeated_rows(classes: int) -> None:
    labels = RNG.integers(0, classes, len(COUNTS))
    scores = RNG.dirichlet(np.ones(classes), len(COUNTS))
    names, again = tuple("abcd"[:classes]), np.repeat(np.arange(len(COUNTS)), COUNTS)

    weighed = of_classes(labels, scores, names, probabilities=True, weights=COUNTS.astype(np.float32))
    repeated = of_classes(labels[again], scores[again], names, probabilities=True)

    for name in ("precision", "recall", "f1"):
        assert [each[name] for each in weighed["classes"]] == pytest.approx([e[name] for e in repeated["classes"]])
    assert weighed["confusion"] == repeated["confusion"]
    assert weighed["prAuc"] == pytest.approx(repeated["prAuc"])
    assert weighed["calibration"]["error"] == pytest.approx(repeated["calibration"]["error"])


def test_quantiles_of_residuals_are_those_of_repeated_rows() -> None:
    residuals = np.repeat(np.arange(10.0), 10)
    weights = np.repeat([0.0, 3.0], 50)

    found = of_numbers(residuals, np.zeros(100), weights)["residuals"]

    assert (found["0.01"], found["0.5"], found["0.99"]) == (5, 7, 9)


def test_mean_and_spread_are_those_of_repeated_rows() -> None:
    values = RNG.normal(3, 2, (len(COUNTS), 1))
    weighed, repeated = Tally(1), Tally(1)
    for part in np.array_split(np.arange(len(COUNTS)), 3):
        weighed.add(values[part], COUNTS[part])
        repeated.add(np.repeat(values[part], COUNTS[part], axis=0))

    assert weighed.mean == pytest.approx(repeated.mean)
    assert weighed.deviation == pytest.approx(repeated.deviation)


def test_a_mean_of_models_goes_by_the_rows_that_count() -> None:
    labels = RNG.integers(0, 2, 100)
    sure = np.where(labels > 0, 3.0, -3.0)[:, None]
    counts = np.repeat([1.0, 0.0], 50)
    right_then_wrong, wrong_then_right = (np.where(counts[:, None] == which, sure, -sure) for which in (1, 0))

    models = [wrong_then_right, right_then_wrong]

    assert mean_weights(kind_of("binaryClassification"), models, labels, counts) == (0, 1)
