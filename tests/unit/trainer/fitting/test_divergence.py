"""Why a training diverged: what can be told from its rows and its settings."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from support.trainer_fits import checkpoint_folder, fitted, newest_snapshot
from support.trainer_runs import a_spec
from trainyard_trainer.encoding.columns import DENSE, SLOTS
from trainyard_trainer.errors import Diverged
from trainyard_trainer.fitting.divergence import DivergenceDiagnosis
from trainyard_trainer.fitting.steps import LABELS

WHICH = np.arange(4)


def a_block(**changes: Any) -> dict[str, Any]:
    calm = {DENSE: np.ones((4, 3), np.float32), SLOTS: np.full((4, 1), 10**6, np.int32), LABELS: np.ones(4, np.int32)}
    return calm | changes


def tensors(block: dict[str, Any] | None) -> Any:
    return block and {name: tf.constant(value) for name, value in block.items()}


def numbers(row: int, column: int, value: float) -> dict[str, Any]:
    changed = np.ones((4, 3), np.float32)
    changed[row, column] = value
    return a_block(**{DENSE: changed})


@pytest.mark.parametrize(
    ("block", "precision", "words"),
    [
        (a_block(), "float32", "a learning rate of 0.5 that is too high; try 0.05"),
        (a_block(), "mixed_bfloat16", "fit.precision float32 instead of mixed_bfloat16"),
        (a_block(), "mixed_float16", "fit.precision mixed_bfloat16 or float32 instead"),
        (numbers(1, 2, np.nan), "float32", "column 'area' holds a value that is not a finite number"),
        (numbers(3, 0, -np.inf), "mixed_float16", "column 'age' holds a value that is not a finite number"),
        (numbers(3, 1, -3e7), "float32", "column 'rent' reaches 3e+07"),
        (a_block(pixels=np.full((4, 2, 2), 1e9, np.float32)), "float32", "input pixels reaches 1e+09"),
        (a_block(**{LABELS: np.array([0, 1, np.nan, 0], np.float32)}), "float32", "the label holds a value"),
        (None, "float32", "a learning rate of 0.5"),
    ],
)
def test_the_likeliest_cause_is_told_from_the_rows_then_the_settings(block: Any, precision: str, words: str) -> None:
    assert words in DivergenceDiagnosis(0.5, precision, ("age", "rent", "area")).likeliest(tensors(block), WHICH)


def test_rows_that_were_not_trained_on_are_not_suspected() -> None:
    assert "learning rate" in DivergenceDiagnosis(0.5, "float32", ("age",)).likeliest(
        tensors(numbers(3, 0, np.nan)), WHICH[:3]
    )


def test_numbers_that_overflow_while_they_are_prepared_are_named_and_leave_nothing_behind(tmp_path: Path) -> None:
    rows = ["size,huge,label", *(f"{i % 7},{'3e38' if i == 60 else '-3e38'},{i % 2}" for i in range(100))]
    (tmp_path / "rows.csv").write_text("\n".join(rows) + "\n")
    spec = a_spec(tmp_path / "rows.csv").with_data(validation={"fraction": 0}).with_checkpoint(everySteps=1, keep=2)

    with pytest.raises(Diverged, match=r"step \d+: the likeliest cause: column 'huge'"):
        fitted(spec, tmp_path)

    if list(checkpoint_folder(tmp_path).glob("step-*")):
        assert all(np.isfinite(each).all() for each in newest_snapshot(tmp_path).arrays.values())


def test_weights_that_are_not_finite_behind_a_finite_loss_are_not_saved(table: Path, tmp_path: Path) -> None:
    # relu lets a NaN pass as 0 on a CPU, so that the loss looks well while the weights in front of it are lost.
    spec = a_spec(table).with_keras(hidden=[64, 64, 64]).with_checkpoint(everySteps=1, keep=100)

    with pytest.raises(Diverged, match="learning rate of 100") as raised:
        fitted(spec.with_fit(optimizer={"name": "sgd", "learningRate": 100.0}, epochs=50), tmp_path)

    assert json.dumps(str(raised.value)).isascii()
    assert all(np.isfinite(each).all() for each in newest_snapshot(tmp_path).arrays.values())
