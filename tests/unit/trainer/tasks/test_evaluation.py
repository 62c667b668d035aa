"""How good a model is, beside its metrics: worked out by hand, and against what scikit-learn says."""

from typing import Any

import numpy as np
import pytest

from trainyard_trainer.data.label_sets import LabelSets
from trainyard_trainer.data.labels import ClassLabels, NumberLabels
from trainyard_trainer.tasks.evaluation import (
    average_precision,
    better_by,
    calibration,
    compared,
    constant_answer,
    of_classes,
    of_numbers,
)


def classes(*counts: int) -> ClassLabels:
    names = tuple("abc"[: len(counts)])
    return ClassLabels(names, names, counts)


def test_classes_are_told_one_by_one() -> None:
    labels, guessed = np.array([0, 0, 0, 1, 1, 2]), np.array([0, 0, 1, 1, 2, 2])

    found = of_classes(labels, np.eye(3)[guessed], "abc", probabilities=True)

    assert found["confusion"] == [[2, 1, 0], [0, 1, 1], [0, 0, 1]]
    assert found["classes"] == [
        {"class": "a", "rows": 3, "precision": 1.0, "recall": pytest.approx(2 / 3), "f1": pytest.approx(0.8)},
        {"class": "b", "rows": 2, "precision": 0.5, "recall": 0.5, "f1": 0.5},
        {"class": "c", "rows": 1, "precision": 0.5, "recall": 1.0, "f1": pytest.approx(2 / 3)},
    ]


def test_of_very_many_classes_the_most_frequent_are_told() -> None:
    labels = np.repeat(np.arange(10_000), 2)
    labels[:50] = 7

    found = of_classes(
        labels, np.eye(10_000, dtype=np.float32)[labels], [str(i) for i in range(10_000)], probabilities=False
    )

    assert "confusion" not in found
    assert len(found["classes"]) == 50
    assert {"class": "7", "rows": 50, "precision": 1.0, "recall": 1.0, "f1": 1.0} in found["classes"]


@pytest.mark.parametrize(
    ("there", "scores", "area"),
    [
        pytest.param([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8], 0.8333, id="as-in-the-docs-of-scikit-learn"),
        pytest.param([0, 1, 1], [0.1, 0.5, 0.9], 1.0, id="perfect"),
        pytest.param([1, 0, 0, 0], [0.5, 0.5, 0.5, 0.5], 0.25, id="one-step-for-equal-scores"),
    ],
)
def test_area_under_the_precision_recall_curve(there: list[int], scores: list[float], area: float) -> None:
    assert average_precision(np.array(there), np.array(scores)) == pytest.approx(area, abs=1e-4)


def test_calibration_compares_what_was_said_with_what_was() -> None:
    second = np.array([0.05, 0.05, 0.75, 0.75, 0.75, 0.75])
    labels = np.array([0, 0, 1, 1, 1, 0])

    found = calibration(labels, np.stack([1 - second, second], axis=1))

    assert found["bins"] == [
        {"from": 0.0, "rows": 2, "said": pytest.approx(0.05), "was": 0.0},
        {"from": 0.7, "rows": 4, "said": pytest.approx(0.75), "was": 0.75},
    ]
    assert found["error"] == pytest.approx(0.1 / 6)


def test_residuals_are_labels_less_predictions() -> None:
    found = of_numbers(np.arange(101, dtype=np.float32), np.zeros(101))

    assert (found["residuals"]["0.05"], found["residuals"]["0.5"], found["residuals"]["0.99"]) == (5.0, 50.0, 99.0)


@pytest.mark.parametrize(
    ("labels", "hinge", "outputs", "words"),
    [
        pytest.param(NumberLabels(23.5, 4.0), False, [0.0], "the mean 23.5", id="number"),
        pytest.param(classes(30, 10), False, [np.log(1 / 3)], "the shares of the classes", id="two"),
        pytest.param(classes(5, 2, 3), False, np.log([0.5, 0.2, 0.3]), "the shares of the classes", id="three"),
        pytest.param(classes(30, 10), True, [-1.0], "the most frequent class", id="two-by-margin"),
        pytest.param(classes(2, 5, 3), True, [0.0, 1.0, 0.0], "the most frequent class", id="three-by-margin"),
        pytest.param(LabelSets(("x", "y"), (5, 10)), False, [-np.log(3), 0.0], "the shares of the labels", id="sets"),
    ],
)
def test_the_constant_answer_is_the_best_one_that_knows_no_row(
    labels: Any, hinge: bool, outputs: Any, words: str
) -> None:
    found, said = constant_answer(labels, rows=20, hinge=hinge)

    np.testing.assert_allclose(found, outputs, rtol=1e-5, atol=1e-6)
    assert said == words


def test_the_verdict_says_by_how_much_and_warns() -> None:
    better = compared("val_loss", 0.25, constant=1.0, answer="the mean 5")
    worse = compared("val_loss", 1.2, constant=1.0, answer="the mean 5")

    assert better == "val_loss 0.25 is 75 % below 1, which always answering the mean 5 has"
    assert worse.startswith("val_loss 1.2 is no better than 1, which always answering the mean 5 has")
    assert (better_by(0.25, 1.0), better_by(1.2, 1.0), better_by(0.1, 0.0)) == (0.75, pytest.approx(-0.2), None)
