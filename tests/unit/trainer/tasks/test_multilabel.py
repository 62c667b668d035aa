"""Several labels a row: what is minimised, measured, served, and learnt."""

import json
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from support.trainer_runs import a_spec, run
from trainyard_api import names
from trainyard_api.program import KerasProgram
from trainyard_trainer.data.label_sets import LabelSets
from trainyard_trainer.tasks.task import COUNT, LOSS, task_for

LABELS = LabelSets(("big", "red", "round"), (1, 1, 1))
PROGRAM = KerasProgram(task="multilabelClassification")


def test_loss_and_metrics_are_those_of_keras() -> None:
    rng = np.random.default_rng(3)
    labels = rng.integers(0, 2, (200, 3)).astype(np.uint8)
    outputs = (rng.normal(size=(200, 3)) + labels).astype(np.float32)
    task = task_for(LABELS, PROGRAM)

    sums = task.validation_sums(tf.constant(labels), tf.constant(outputs))
    losses = task.loss(tf.constant(labels), tf.constant(outputs))
    found = task.metrics({COUNT: 200, LOSS: tf.reduce_sum(losses)} | sums)

    probabilities = 1 / (1 + np.exp(-outputs))
    expected = {}
    for metric in (
        keras.metrics.BinaryCrossentropy(name="loss"),
        keras.metrics.BinaryAccuracy(),
        keras.metrics.Precision(name="precision"),
        keras.metrics.Recall(name="recall"),
        keras.metrics.F1Score(average="micro", threshold=0.5),
    ):
        metric.update_state(labels.astype(np.float32), probabilities)
        expected[metric.name] = float(metric.result())
    assert found == pytest.approx(expected, rel=1e-4)


def test_nothing_guessed_is_no_division_by_zero() -> None:
    task = task_for(LABELS, PROGRAM)

    found = task.metrics(dict.fromkeys(("right", "hits", "guessed", "there"), 0.0) | {COUNT: 1.0, LOSS: 1.0})

    assert (found["precision"], found["recall"], found["f1_score"]) == (0, 0, 0)


def test_answers_are_names_and_probabilities_in_the_order_of_the_names() -> None:
    answers = task_for(LABELS, PROGRAM).serve(tf.constant([[2.0, -1.0, 0.5], [-1.0, -1.0, -1.0]]))

    assert answers["labels"].numpy().tolist() == [[b"big", b"", b"round"], [b"", b"", b""]]
    np.testing.assert_allclose(answers["probabilities"][0], [0.880797, 0.268941, 0.622459], rtol=1e-5)


@pytest.mark.thorough
def test_several_labels_are_learnt_from_rows_that_are_streamed_and_served(tmp_path: Path) -> None:
    rng = np.random.default_rng(8)
    rows = ["size,colour,corners,label"]
    for _ in range(200):
        size, colour, corners = rng.uniform(-1, 1), rng.choice(["red", "blue"]), rng.integers(0, 2)
        labels = [
            name for name, there in (("big", size > 0), ("red", colour == "red"), ("round", not corners)) if there
        ]
        rows.append(f"{size:.3f},{colour},{corners},{';'.join(labels)}")
    (tmp_path / "t.csv").write_text("\n".join(rows) + "\n")
    spec = a_spec(tmp_path / "t.csv", task="multilabelClassification").with_data(labelSeparator=";")

    result = run(
        spec.with_fit(epochs=40, optimizer={"name": "adam", "learningRate": 0.03}),
        tmp_path,
        {"TRAINYARD_CACHE_BYTES": "1"},
    )

    assert result.code == 0, result.stderr
    assert result.report["metrics"]["val_f1_score"] > 0.95
    assert result.report["metrics"]["val_binary_accuracy"] > 0.95
    version = tmp_path / "store" / "sample" / "1"
    assert json.loads((version / names.MANIFEST_FILE).read_text())["data"]["classes"] == ["big", "red", "round"]
    predict = tf.saved_model.load(str(version)).signatures["serving_default"]
    answer = predict(
        size=tf.constant([0.9, -0.9]), colour=tf.constant(["red", "blue"]), corners=tf.constant([1.0, 0.0])
    )
    assert answer["labels"].numpy().tolist() == [[b"big", b"red", b""], [b"", b"", b"round"]]
    assert answer["probabilities"].shape == (2, 3)


def test_class_weights_are_refused(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("a,label\n" + "1,x\n2,y\n" * 20)
    spec = a_spec(tmp_path / "t.csv", task="multilabelClassification").with_fit(classWeights={"balanced": True})

    result = run(spec, tmp_path)

    assert result.code == names.EXIT_BAD_INPUT
    assert "fit.classWeights is for tasks where each row has one class" in result.report["message"]
