"""What each family of models can and cannot learn."""

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from support.trainer_models import TWO
from support.trainer_runs import a_spec, run
from trainyard_api import names
from trainyard_api.fit import Optimizer
from trainyard_api.program import KerasProgram
from trainyard_trainer.encoding.columns import DENSE, SLOTS, TableInputs
from trainyard_trainer.fitting.optimizers import make_optimizer
from trainyard_trainer.fitting.steps import LABELS, StepRunner
from trainyard_trainer.models import FAMILIES
from trainyard_trainer.models.svm import RandomFourierFeatures
from trainyard_trainer.tasks.task import task_for


def ring(rows: int, seed: int = 1) -> tuple[Any, Any]:
    """Return points of a square, half of them inside a circle: no straight line tells the halves apart."""
    points = np.random.default_rng(seed).uniform(-1.7, 1.7, (rows, 2)).astype(np.float32)
    radius = np.hypot(*points.T)
    return points, (radius > np.median(radius)).astype(np.int32)


def accuracy_on_ring(rows: int = 1500, **program: Any) -> float:
    """Train on one ring, without files; returns the accuracy on another."""
    keras.utils.set_random_seed(1)
    wanted = KerasProgram(task="binaryClassification", **program)
    model = FAMILIES[wanted.family](wanted, TableInputs(2, ()), 1)
    task = task_for(TWO, wanted)
    optimizer = make_optimizer(Optimizer(learning_rate=0.03), model)
    runner = StepRunner(model, optimizer, task, batch_size=32)
    steps, order = rows // 32, np.random.default_rng(5)
    for _ in range(40):
        block = as_block(*ring(rows))
        which = order.permutation(rows).astype(np.int32)
        runner.train(block, which, first=0, steps=steps, totals=runner.zero_totals())
    return task.metrics(runner.validate(as_block(*ring(rows, seed=2))))["accuracy"]


def as_block(points: Any, labels: Any) -> dict[str, Any]:
    return {DENSE: points, SLOTS: np.zeros((len(points), 0), np.int32), LABELS: labels}


@pytest.mark.parametrize("family", ["linear", "svm"])
def test_a_linear_model_cannot_tell_a_circle_from_what_is_around_it(family: str) -> None:
    assert 0.4 < accuracy_on_ring(family=family) < 0.65


def test_an_svm_with_a_gaussian_kernel_can() -> None:
    assert accuracy_on_ring(family="svm", kernel="rbf") >= 0.97


def test_random_features_come_near_to_the_kernel_they_stand_for() -> None:
    keras.utils.set_random_seed(3)
    rng = np.random.default_rng(4)
    dense = rng.normal(size=(30, 3)).astype(np.float32)
    slots = np.stack([rng.integers(0, 3, 30), rng.integers(3, 7, 30)], 1).astype(np.int32)
    layer = RandomFourierFeatures(TableInputs(3, (3, 4)), count=20_000, gamma=0.2)

    features = np.asarray(layer((dense, slots)))

    columns = np.concatenate([dense, *(np.eye(7)[slots[:, i]] for i in range(2))], axis=1)
    distances = ((columns[:, None] - columns[None]) ** 2).sum(-1)
    np.testing.assert_allclose(features @ features.T, np.exp(-0.2 * distances), atol=0.04)
    assert layer.trainable_variables == []


def test_a_penalty_makes_weights_smaller_and_an_svm_has_one_by_default() -> None:
    inputs = TableInputs(4, (3, 5))

    def penalties(**program: Any) -> int:
        wanted = KerasProgram(task="binaryClassification", hidden=[8], **program)
        return len(FAMILIES[wanted.family](wanted, inputs, 1).losses)

    assert [penalties(family=each) for each in ("linear", "mlp", "svm")] == [0, 0, 2]
    assert [penalties(family=each, l2=0.1) for each in ("linear", "mlp", "svm")] == [2, 2, 2]
    assert penalties(family="svm", l2=0.0) == 0
    assert penalties(family="svm", kernel="rbf") == 1


@pytest.mark.parametrize(
    ("knobs", "message"),
    [
        ({"family": "svm", "task": "regression"}, "family svm predicts classes only; use linear or mlp"),
        ({"family": "mlp", "kernel": "rbf"}, "only family svm has a kernel"),
        ({"family": "linear", "normalization": "batchNormalization"}, "only the layers of an mlp or a cnn have"),
        (
            {"family": "linear", "hidden": [8]},
            "families linear and svm have no hidden layers: leave hidden, activation",
        ),
        ({"family": "linear", "dropout": 0.1}, "families linear and svm have no hidden layers"),
        ({"family": "svm", "activation": "tanh"}, "families linear and svm have no hidden layers"),
        ({"family": "svm", "gamma": 0.5}, "spec.program.keras.gamma: only kernel rbf has a gamma"),
    ],
)
def test_settings_that_contradict_each_other_are_bad_input(
    knobs: dict[str, Any], message: str, table: Path, tmp_path: Path
) -> None:
    result = run(a_spec(table).with_keras(**knobs), tmp_path)

    assert (result.code, result.report["reason"]) == (names.EXIT_BAD_INPUT, "BadInput")
    assert message in result.report["message"]


@pytest.mark.parametrize("normalization", ["batchNormalization", "layerNormalization"])
def test_normalised_layers_a_loss_and_metrics_of_the_spec_go_all_the_way(
    normalization: str, table: Path, tmp_path: Path
) -> None:
    watched = {"metric": "val_f1_score", "epochs": 10}
    spec = a_spec(table).with_keras(normalization=normalization)
    spec = spec.with_fit(
        epochs=30, loss="binary_focal_crossentropy", metrics=["f1_score"], stopWhen={"noImprovement": watched}
    )

    result = run(spec, tmp_path)

    assert result.code == 0, result.stderr  # a fresh process has seen the same numbers
    assert result.report["metrics"]["val_f1_score"] > 0.8
