"""What each task minimises, measures and answers."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from trainyard_api.fit import Fit
from trainyard_api.program import KerasProgram
from trainyard_trainer.data.labels import ClassLabels, NumberLabels
from trainyard_trainer.tasks.task import COUNT, LOSS, Task, task_for

RNG = np.random.default_rng(11)
ROWS = 300
BINARY = ClassLabels(("benign", "malignant"), ("benign", "malignant"), (1, 1))
THREE = ClassLabels(("a", "b", "c"), ("a", "b", "c"), (1, 1, 1))


def totals(task: Task, labels: np.ndarray, outputs: np.ndarray) -> dict[str, np.ndarray]:
    """Return what validation adds up for these rows, in two batches."""
    found: dict[str, np.ndarray] = {}
    for part in (slice(0, 100), slice(100, None)):
        y, z = tf.constant(labels[part]), tf.constant(outputs[part])
        sums = {COUNT: tf.cast(tf.size(y), tf.float32), LOSS: tf.reduce_sum(task.loss(y, z))}
        for name, value in (sums | task.validation_sums(y, z)).items():
            found[name] = found.get(name, 0) + value.numpy().astype(np.float64)
    return found


def test_binary_metrics_are_those_of_keras() -> None:
    labels = RNG.integers(0, 2, ROWS).astype(np.int32)
    outputs = (RNG.normal(size=(ROWS, 1)) + labels[:, None]).astype(np.float32)
    task = task_for(BINARY, KerasProgram(task="binaryClassification"))

    found = task.metrics(totals(task, labels, outputs))

    probability = 1 / (1 + np.exp(-outputs[:, 0]))
    area = np.mean([s > f for s in outputs[labels == 1, 0] for f in outputs[labels == 0, 0]])
    assert found["loss"] == pytest.approx(
        float(np.mean(keras.losses.binary_crossentropy(labels, probability))), rel=1e-4
    )
    assert found["accuracy"] == pytest.approx(np.mean((probability > 0.5) == labels))
    assert found["auc"] == pytest.approx(area, abs=1e-3)


def test_the_area_under_the_curve_does_not_depend_on_the_scale_of_the_outputs() -> None:
    labels = RNG.integers(0, 2, ROWS).astype(np.int32)
    outputs = (RNG.normal(size=(ROWS, 1)) + labels[:, None]).astype(np.float32)
    task = task_for(BINARY, KerasProgram(task="binaryClassification"))

    areas = [task.metrics(totals(task, labels, outputs * scale))["auc"] for scale in (0.01, 1, 10)]

    np.testing.assert_allclose(areas, areas[1], atol=2e-3)


def test_equal_outputs_have_an_area_of_one_half_and_one_class_has_none() -> None:
    task = task_for(BINARY, KerasProgram(task="binaryClassification"))
    equal, labels = np.zeros((ROWS, 1), np.float32), RNG.integers(0, 2, ROWS).astype(np.int32)

    assert task.metrics(totals(task, labels, equal))["auc"] == 0.5
    assert "auc" not in task.metrics(totals(task, labels * 0, equal))


def test_multiclass_metrics_are_those_of_keras() -> None:
    labels = RNG.integers(0, 3, ROWS).astype(np.int32)
    outputs = RNG.normal(size=(ROWS, 3)).astype(np.float32)
    task = task_for(THREE, KerasProgram(task="multiclassClassification"))

    found = task.metrics(totals(task, labels, outputs))

    expected = np.mean(keras.losses.sparse_categorical_crossentropy(labels, outputs, from_logits=True))
    assert found["loss"] == pytest.approx(float(expected), rel=1e-4)
    assert found["accuracy"] == pytest.approx(np.mean(outputs.argmax(1) == labels))


def test_regression_is_reported_in_the_unit_of_the_label() -> None:
    labels = RNG.normal(1000, 50, ROWS).astype(np.float32)
    outputs = RNG.normal(size=(ROWS, 1)).astype(np.float32)
    task = task_for(NumberLabels(mean=1000, deviation=50), KerasProgram(task="regression"))

    found = task.metrics(totals(task, labels, outputs))

    predicted = outputs[:, 0] * 50 + 1000
    assert found["loss"] == pytest.approx(float(np.mean((labels - predicted) ** 2)), rel=1e-4)
    assert found["mae"] == pytest.approx(float(np.mean(np.abs(labels - predicted))), rel=1e-4)
    np.testing.assert_allclose(task.serve(tf.constant(outputs))["value"], predicted, rtol=1e-5)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_the_least_quantile_loss_has_that_share_of_the_labels_below_the_answer(share: float) -> None:
    labels = (RNG.exponential(50, 20_000) + 1000).astype(np.float32)
    fit = Fit(loss="quantile", quantile=share)
    task = task_for(NumberLabels(mean=1050, deviation=50), KerasProgram(task="regression"), fit)

    def loss(answer: float) -> float:
        outputs = np.full((len(labels), 1), (answer - 1050) / 50, np.float32)
        return task.metrics(totals(task, labels, outputs))["loss"]

    best = float(np.quantile(labels, share))
    above = labels - best
    assert loss(best) == pytest.approx(float(np.mean(np.maximum(share * above, (share - 1) * above))), rel=1e-3)
    assert loss(best) < min(loss(best - 5), loss(best + 5))


def test_binary_answers_are_the_class_and_the_probability_of_the_second_one() -> None:
    answers = task_for(BINARY, KerasProgram(task="binaryClassification")).serve(tf.constant([[-2.0], [3.0]]))

    assert answers["label"].numpy().tolist() == [b"benign", b"malignant"]
    np.testing.assert_allclose(answers["probability"], [0.1192029, 0.9525741], rtol=1e-5)


def test_multiclass_answers_are_the_class_and_all_probabilities() -> None:
    answers = task_for(THREE, KerasProgram(task="multiclassClassification")).serve(tf.constant([[0.0, 1.0, 0.5]]))

    assert answers["label"].numpy().tolist() == [b"b"]
    assert answers["probabilities"].shape == (1, 3)
    assert float(tf.reduce_sum(answers["probabilities"])) == pytest.approx(1)


def test_the_binary_hinge_loss_is_that_of_keras_and_answers_have_a_score() -> None:
    labels = RNG.integers(0, 2, ROWS).astype(np.int32)
    outputs = (RNG.normal(size=(ROWS, 1)) + labels[:, None]).astype(np.float32)
    task = task_for(BINARY, KerasProgram(task="binaryClassification", family="svm"))

    found, answers = task.metrics(totals(task, labels, outputs)), task.serve(tf.constant([[-2.0], [3.0]]))

    # Shapes (rows, 1) on both sides: otherwise every label meets every output.
    expected = np.mean(keras.losses.hinge(2.0 * labels[:, None] - 1, outputs))
    assert found["loss"] == pytest.approx(float(expected), rel=1e-4)
    assert found["accuracy"] == pytest.approx(np.mean((outputs[:, 0] > 0) == labels))
    assert found["auc"] > 0.6
    assert answers["label"].numpy().tolist() == [b"benign", b"malignant"]
    assert answers["score"].numpy().tolist() == [-2.0, 3.0]
    assert "probability" not in answers


def test_the_multiclass_hinge_loss_compares_with_the_best_wrong_class() -> None:
    task = task_for(THREE, KerasProgram(task="multiclassClassification", family="svm"))
    outputs = tf.constant([[-1.0, -3.0, -2.5], [-1.0, -3.0, -2.5], [0.0, 0.25, -1.0]])

    losses, answers = task.loss(tf.constant([0, 2, 1]), outputs), task.serve(outputs)

    np.testing.assert_allclose(losses, [0, 2.5, 0.75])
    assert answers["label"].numpy().tolist() == [b"a", b"a", b"b"]
    np.testing.assert_array_equal(answers["scores"], outputs)
