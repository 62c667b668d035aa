"""Family auto as a whole: what is tried, what is exported, what is said, and how a killed job goes on."""

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from support.trainer_runs import SpecBuilder, a_spec, run, stop_at_checkpoint
from trainyard_api import names
from trainyard_api.program import CANDIDATES
from trainyard_trainer.spec import read_run


def an_auto_spec(data: Path, task: str = "binaryClassification", **keras: Any) -> SpecBuilder:
    return a_spec(data, task=task).with_program(keras={"task": task, **keras})._with("fit", {"timeLimit": "10m"})


def manifest(folder: Path) -> Any:
    return json.loads((folder / "store" / "sample" / "1" / names.MANIFEST_FILE).read_text())


def write_rows(path: Path, label: Callable[[float, float, str, Any], object], rows: int = 300) -> Path:
    rng = np.random.default_rng(4)
    with path.open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["a", "b", "c", "label"])
        for _ in range(rows):
            a, b, c = rng.uniform(-1, 1), rng.uniform(-1, 1), str(rng.choice(["x", "y", "z"]))
            writer.writerow([f"{a:.4f}", f"{b:.4f}", c, label(a, b, c, rng)])
    return path


def test_the_families_are_tried_and_what_came_of_them_is_told(tmp_path: Path) -> None:
    data = write_rows(tmp_path / "rows.csv", lambda a, b, c, rng: a + 2 * b + 3 * (c == "x") + rng.normal() / 10)

    result = run(an_auto_spec(data, "regression"), tmp_path)

    assert result.code == 0, result.stderr
    assert [each["family"] for each in result.events if each["event"] == "tried"] == list(CANDIDATES)
    auto = manifest(tmp_path)["training"]["auto"]
    assert sorted(auto["tried"]) == sorted(CANDIDATES)
    assert auto["timeLimit"] == 600
    assert sum(auto["weights"].values()) == pytest.approx(1)
    # Chance tells whether the best stands out so far among these few rows that it is exported alone.
    alone = len(auto["weights"]) == 1
    assert manifest(tmp_path)["training"]["family"] == (auto["chosen"] if alone else "auto")
    assert auto["chosen"] in result.report["message"]
    single = min(each["metrics"]["val_loss"] for each in auto["tried"].values())
    # These few validation rows choose the mean of all that may be the best.
    assert result.report["metrics"]["val_loss"] <= single * 1.5
    card = (tmp_path / "store" / "sample" / "1" / names.MODEL_CARD_FILE).read_text()
    steps = manifest(tmp_path)["training"]["steps"]  # those of the members of the mean, and done were those of all
    assert 0 < steps <= result.report["steps"]
    assert result.report["epochs"] == sum(each["epochs"] for each in auto["tried"].values())
    assert f"Family auto tried these, and exported {auto['chosen']}:" in card
    assert not list((tmp_path / "store").rglob("*.ckpt"))


@pytest.mark.parametrize(
    ("task", "label"),
    [
        pytest.param("binaryClassification", lambda a, b, c, rng: int(a * b > 0), id="two"),
        pytest.param("multiclassClassification", lambda a, b, c, rng: "klm"[int(a * b > 0) + (c == "x")], id="several"),
    ],
)
def test_the_numbers_of_the_result_are_those_of_the_exported_graph(tmp_path: Path, task: str, label: Any) -> None:
    data = write_rows(tmp_path / "rows.csv", label)

    result = run(an_auto_spec(data, task), tmp_path)

    assert result.code == 0, result.stderr
    assert result.report["metrics"]["val_accuracy"] > 0.8  # where a linear model is right by chance
    constant = manifest(tmp_path)["evaluation"]["constant"]
    loss = constant["metrics"]["val_loss"] * (1 - constant["betterBy"])
    assert loss == pytest.approx(result.report["metrics"]["val_loss"], rel=1e-3)


def test_a_job_that_was_stopped_goes_on_and_comes_to_the_same(tmp_path: Path) -> None:
    data = write_rows(tmp_path / "rows.csv", lambda a, b, c, rng: a * b + rng.normal() / 10)
    spec = an_auto_spec(data, "regression").with_checkpoint(everySteps=50)
    (tmp_path / "whole").mkdir()
    whole = run(spec, tmp_path / "whole")

    with stop_at_checkpoint(tmp_path):
        first = run(spec, tmp_path)
    second = run(spec, tmp_path)

    assert (first.code, second.code) == (names.EXIT_STOPPED, 0)
    assert any(each["event"] == "resumed" for each in second.events)
    assert second.report["metrics"] == pytest.approx(whole.report["metrics"], rel=1e-4)


def test_several_labels_leave_trees_out(tmp_path: Path) -> None:
    def labels(a: float, b: float, c: str, rng: Any) -> str:
        return "|".join(["up"] * (a > 0) + ["far"] * (b > 0)) or "no"

    data = write_rows(tmp_path / "rows.csv", labels)

    result = run(an_auto_spec(data, "multilabelClassification"), tmp_path)

    assert result.code == 0, result.stderr
    assert sorted(manifest(tmp_path)["training"]["auto"]["tried"]) == ["linear", "mlp"]
    assert "trees give each row one class" in result.the("trying")["message"]


@pytest.mark.parametrize(
    ("spec", "family"),
    [
        pytest.param(lambda spec: spec, "auto", id="nothing-said"),
        pytest.param(lambda spec: spec.with_fit(metrics=["f1_score"], seed=1), "auto", id="what-all-have"),
        pytest.param(lambda spec: spec.with_keras(hidden=[16]), "mlp", id="layers"),
        pytest.param(lambda spec: spec._with("fit", {"epochs": 5}), "mlp", id="epochs"),
        pytest.param(lambda spec: spec._with("fit", {"batchSize": "Auto"}), "mlp", id="batch"),
        pytest.param(lambda spec: spec._with("fit", {"optimizer": {"name": "sgd"}}), "mlp", id="optimizer"),
        pytest.param(lambda spec: spec._with("fit", {"stopWhen": {"steps": 5}}), "mlp", id="steps"),
        pytest.param(lambda spec: spec._with("fit", {}).with_privacy(noiseMultiplier=1.0), "mlp", id="private"),
    ],
)
def test_a_spec_that_speaks_of_a_network_means_one(table: Path, tmp_path: Path, spec: Any, family: str) -> None:
    path = spec(an_auto_spec(table)).write(tmp_path)

    assert read_run(str(path), {}).program.family == family
