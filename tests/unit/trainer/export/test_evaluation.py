"""What a training says of how good its model is: in the log, the result, the manifest and the card."""

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from support.trainer_runs import SpecBuilder, a_spec, a_tree_spec, run
from trainyard_api import names


def version(folder: Path) -> Path:
    return folder / "store" / "sample" / "1"


def evaluation(folder: Path) -> Any:
    return json.loads((version(folder) / names.MANIFEST_FILE).read_text())["evaluation"]


def card(folder: Path) -> str:
    return (version(folder) / names.MODEL_CARD_FILE).read_text()


def write_noise(path: Path) -> Path:
    """Write rows whose label follows from nothing."""
    rng = np.random.default_rng(5)
    with path.open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["a", "b", "label"])
        writer.writerows([f"{a:.4f}", f"{b:.4f}", f"{c:.4f}"] for a, b, c in rng.normal(size=(100, 3)))
    return path


def a_linear_spec(data: Path) -> SpecBuilder:
    return a_spec(data).with_keras(family="linear")._with("fit", {})


@pytest.mark.parametrize(
    "spec",
    [
        pytest.param(a_linear_spec, id="linear"),
        pytest.param(lambda data: a_tree_spec(data, "randomForest"), id="trees"),
    ],
)
def test_a_good_model_says_by_how_much_it_is_better_than_a_constant(table: Path, tmp_path: Path, spec: Any) -> None:
    result = run(spec(table), tmp_path)

    assert result.code == 0, result.stderr
    found = evaluation(tmp_path)
    share = found["constant"]["betterBy"]
    assert share > 0.3
    assert found["constant"]["metrics"]["val_loss"] == pytest.approx(0.69, abs=0.02)
    assert f"{100 * share:.3g} % below" in result.the("evaluated")["message"]
    assert result.the("evaluated")["message"] in result.report["message"]
    assert f"{100 * share:.3g} % below" in card(tmp_path)
    assert np.sum(found["confusion"]) == found["rows"] == 25
    assert [each["class"] for each in found["classes"]] == ["bad", "good"]
    assert found["prAuc"] > 0.8
    importances = found["permutationImportance"]
    assert set(sorted(importances, key=importances.get)[-2:]) == {"size", "colour"}
    assert "What rows of each class were taken for:" in card(tmp_path)


def test_a_model_that_has_learnt_nothing_is_told_as_such(tmp_path: Path) -> None:
    spec = a_tree_spec(write_noise(tmp_path / "rows.csv"), "gradientBoostedTrees", task="regression", numTrees=100)

    result = run(spec, tmp_path)

    assert result.code == 0, result.stderr
    assert "has learnt nothing of use" in result.the("no-better-than-constant")["message"]
    assert "has learnt nothing of use" in result.report["message"]
    assert "**Warning: this model is no better than always answering the mean" in card(tmp_path)
    assert evaluation(tmp_path)["constant"]["betterBy"] < 0
    assert list(evaluation(tmp_path)["residuals"]) == ["0.01", "0.05", "0.25", "0.5", "0.75", "0.95", "0.99"]


def test_without_validation_rows_the_training_rows_are_compared(table: Path, tmp_path: Path) -> None:
    result = run(a_linear_spec(table).with_data(validation={"fraction": 0}), tmp_path)

    assert result.code == 0, result.stderr
    assert result.the("evaluated")["message"].startswith("loss ")
    assert evaluation(tmp_path)["rows"] == 0
    assert evaluation(tmp_path)["constant"]["betterBy"] > 0.3


def test_a_private_model_tells_no_more_of_its_rows_than_its_metrics(table: Path, tmp_path: Path) -> None:
    result = run(a_linear_spec(table).with_privacy(noiseMultiplier=1.0), tmp_path)

    assert result.code == 0, result.stderr
    assert sorted(evaluation(tmp_path)) == ["constant", "rows"]
