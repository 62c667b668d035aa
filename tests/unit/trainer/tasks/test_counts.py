"""Counts and amounts: Poisson regression, and labels that are learnt as logarithms."""

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from support.trainer_fits import Fitted, fitted
from support.trainer_runs import a_spec, a_tree_spec
from trainyard_api.fit import METRICS, Fit
from trainyard_api.program import KerasProgram
from trainyard_trainer.data.labels import NumberLabels
from trainyard_trainer.errors import BadInput
from trainyard_trainer.fitting.steps import LABELS, as_block, sums_of
from trainyard_trainer.tasks.task import task_for

RNG = np.random.default_rng(2)


def write(path: Path, label: Any) -> Path:
    """Write rows of x, of which a label is made."""
    x = RNG.uniform(-1, 1, 600)
    rows = "".join(f"{one:.4f},{other:.6g}\n" for one, other in zip(x, label(x), strict=True))
    path.write_text(f"x,label\n{rows}")
    return path


def answers(done: Fitted) -> tuple[Any, Any]:
    """Return the labels of the validation rows, and what is served for them."""
    held_back = done.prepared.profile.kept.validation
    assert held_back is not None
    block = as_block(held_back, done.trained.encoder.encode)
    labels = block.pop(LABELS).numpy()
    return labels, done.trained.task.serve(done.trained.model(block, training=False))["value"].numpy()


def test_poisson_loss_is_that_of_keras_less_what_a_perfect_rate_has() -> None:
    labels, outputs = RNG.poisson(3.0, 50).astype(np.float32), RNG.normal(size=(50, 1)).astype(np.float32)
    task = task_for(NumberLabels(3, 2), KerasProgram(task="regression"), Fit(loss="poisson"))
    y, z = tf.constant(labels), tf.constant(outputs)

    loss = task.metrics({name: each.numpy() for name, each in sums_of(task.loss(y, z), task.sums(y, z), None).items()})

    rates = task.serve(z)["value"].numpy()
    perfect = np.mean(keras.losses.poisson(labels[:, None], np.maximum(labels, 1e-7)[:, None]))
    expected = np.mean(keras.losses.poisson(labels[:, None], rates[:, None])) - perfect
    assert loss["loss"] == pytest.approx(float(expected), rel=1e-4)
    assert loss["mae"] == pytest.approx(float(np.abs(labels - rates).mean()), rel=1e-4)


@pytest.mark.parametrize("fit", [{"loss": "poisson"}, {"target_transform": "log1p"}])
def test_further_metrics_are_in_the_unit_of_the_label(fit: dict[str, Any]) -> None:
    labels, outputs = RNG.poisson(30.0, 50).astype(np.float32), RNG.normal(0, 0.2, (50, 1)).astype(np.float32)
    kind = NumberLabels(30, 5, logs=(3.4, 0.2) if "target_transform" in fit else None)
    task = task_for(kind, KerasProgram(task="regression"), Fit(metrics=METRICS["regression"], **fit))  # type: ignore[arg-type]
    y, z = tf.constant(labels), tf.constant(outputs)

    totals = sums_of(task.loss(y, z), task.validation_sums(y, z), None)

    found = task.metrics({name: each.numpy() for name, each in totals.items()})
    errors = labels - task.serve(z)["value"].numpy()
    assert found["mae"] == pytest.approx(np.abs(errors).mean(), rel=1e-4)
    assert found["mean_squared_error"] == pytest.approx((errors**2).mean(), rel=1e-4)
    assert found["r2_score"] == pytest.approx(1 - (errors**2).mean() / labels.var(), rel=1e-3)


def test_rates_are_learnt_from_counts(tmp_path: Path) -> None:
    data = write(tmp_path / "t.csv", lambda x: RNG.poisson(np.exp(1 + 1.5 * x)))
    spec = a_spec(data, task="regression").with_keras(family="linear", l2=0)

    done = fitted(spec.with_fit(epochs=8, batchSize=16, loss="poisson"), tmp_path)

    labels, served = answers(done)
    assert (served > 0).all()
    assert np.log(served.max() / served.min()) == pytest.approx(3, abs=0.5)  # 1.5 for each unit of x
    assert served.mean() == pytest.approx(labels.mean(), rel=0.15)
    assert done.trained.end.metrics["val_mae"] == pytest.approx(float(np.abs(labels - served).mean()), rel=1e-4)


@pytest.mark.parametrize("family", ["linear", "gradientBoostedTrees"])
def test_amounts_that_are_learnt_as_logarithms_come_back_in_their_unit(family: str, tmp_path: Path) -> None:
    data = write(tmp_path / "t.csv", lambda x: np.expm1(6 + 4 * x))
    spec = a_spec(data, task="regression").with_keras(family="linear", l2=0).with_fit(epochs=8, batchSize=16)
    if family != "linear":
        spec = a_tree_spec(data, family, task="regression", shrinkage=0.3)

    done = fitted(spec.with_fit(targetTransform="log1p"), tmp_path)

    labels, served = answers(done)
    assert np.median(np.abs(served / labels - 1)) < 0.1
    assert done.trained.end.metrics["val_mae"] == pytest.approx(float(np.abs(labels - served).mean()), rel=1e-3)


@pytest.mark.parametrize(
    ("fit", "why"),
    [
        pytest.param({"loss": "poisson"}, "fit.loss poisson expects labels from 0 up, but 'label' is -", id="poisson"),
        pytest.param({"targetTransform": "log1p"}, "fit.targetTransform log1p expects labels from 0 up", id="log1p"),
        pytest.param({"loss": "poisson", "targetTransform": "log1p"}, "has a logarithm of its own", id="both"),
    ],
)
def test_labels_without_a_logarithm_are_said(fit: dict[str, Any], why: str, tmp_path: Path) -> None:
    data = write(tmp_path / "t.csv", lambda x: x)

    with pytest.raises(BadInput, match=why):
        fitted(a_spec(data, task="regression").with_fit(**fit), tmp_path)


def test_classes_have_no_logarithm(tmp_path: Path) -> None:
    data = write(tmp_path / "t.csv", lambda x: x > 0)

    with pytest.raises(BadInput, match="targetTransform is for task regression"):
        fitted(a_spec(data).with_fit(targetTransform="log1p"), tmp_path)
