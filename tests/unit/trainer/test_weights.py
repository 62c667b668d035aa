"""Weights of rows: read from a column, used in the loss and in every metric, and told."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from support.trainer_fits import fitted
from support.trainer_runs import SpecBuilder, a_spec, a_tree_spec, run
from trainyard_api import names
from trainyard_trainer.data.dataset import open_data_set
from trainyard_trainer.data.profile import profile
from trainyard_trainer.data.reading import Reading
from trainyard_trainer.data.source import find
from trainyard_trainer.errors import BadInput


def write_contradiction(path: Path, *, wrong: float, right: float, rows: int = 240) -> Path:
    """Write rows whose label is that x is above 0, each twice: once as it is, and once turned round."""
    x = np.random.default_rng(3).normal(size=rows)
    columns = {
        "x": np.concatenate([x, x]),
        "y": np.random.default_rng(4).normal(size=2 * rows),
        "exposure": np.concatenate([np.full(rows, right), np.full(rows, wrong)]),
        "part": np.concatenate([np.arange(rows) % 4 == 0] * 2),
        "label": np.where(np.concatenate([x > 0, x <= 0]), "above", "below"),
    }
    pq.write_table(pa.table(columns), path)
    return path


def stepwise(data: Path, family: str) -> SpecBuilder:
    optimizer = {"name": "adam", "learningRate": 0.1}
    return a_spec(data).with_keras(family=family).with_fit(batchSize=16, optimizer=optimizer)


def weighed(spec: SpecBuilder) -> SpecBuilder:
    return spec.with_data(weight="exposure", validation={"column": "part"})


@pytest.mark.parametrize(
    "make",
    [
        pytest.param(lambda data: stepwise(data, "svm"), id="svm"),
        pytest.param(lambda data: a_tree_spec(data, "gradientBoostedTrees", numTrees=5), id="boosted"),
        pytest.param(lambda data: a_tree_spec(data, "randomForest", numTrees=5), id="forest"),
    ],
)
def test_rows_that_count_little_teach_little_and_are_judged_little(
    make: Callable[[Path], SpecBuilder], tmp_path: Path
) -> None:
    data = write_contradiction(tmp_path / "rows.parquet", wrong=10, right=3000)

    done = fitted(weighed(make(data)), tmp_path)

    assert done.progress.metrics["val_accuracy"] > 0.75  # where all rows alike have one of a half
    assert done.progress.metrics["accuracy"] > 0.75
    assert [each.name for each in done.prepared.profile.schema.features] == ["x", "y"]


def test_the_weights_are_told_with_the_model_and_hold_for_all_that_is_said_of_it(tmp_path: Path) -> None:
    data = write_contradiction(tmp_path / "rows.parquet", wrong=0, right=5)
    spec = weighed(stepwise(data, "mlp"))

    result = run(spec.with_data(slices=["y"], columns={"y": "number"}), tmp_path)

    assert result.code == 0, result.stderr
    version = tmp_path / "store" / "sample" / "1"
    manifest = json.loads((version / names.MANIFEST_FILE).read_text())
    assert manifest["data"]["weight"] == "exposure"
    assert "a row counts as much as its `exposure` says" in (version / names.MODEL_CARD_FILE).read_text()
    assert manifest["metrics"]["val_auc"] > 0.99
    evaluation = manifest["evaluation"]
    assert np.trace(evaluation["confusion"]) > 0.95 * np.sum(evaluation["confusion"])
    assert evaluation["prAuc"] > 0.99
    assert [each["rows"] for each in evaluation["classes"]] == [60, 60]
    assert min(each["recall"] for each in evaluation["classes"]) > 0.9
    assert sum(each["rows"] for each in manifest["slices"]["y"]) == 120


def rows(**columns: Any) -> pa.Table:
    return pa.table({"x": np.arange(8.0), "label": ["a", "b"] * 4, **columns})


@pytest.mark.parametrize(
    ("weights", "why"),
    [
        pytest.param([1.0, -2, 1, 1, 1, 1, 1, 1], "the weight 'w' is -2: expected a finite number", id="negative"),
        pytest.param([1.0, float("nan"), 1, 1, 1, 1, 1, 1], "row 2 of .*the weight 'w' is missing", id="not-a-number"),
        pytest.param([1.0, None, 1, 1, 1, 1, 1, 1], "row 2 of .*the weight 'w' is missing", id="missing"),
        pytest.param([1.0, float("inf"), 1, 1, 1, 1, 1, 1], "the weight 'w' is inf", id="infinite"),
        pytest.param([0.0] * 8, "the weight 'w' is 0 in every row to train on", id="nothing"),
        pytest.param(["much"] * 8, "data.weight names 'w', which holds text: expected a column of numbers", id="texts"),
    ],
)
def test_weights_that_are_none_are_said(weights: list[Any], why: str, tmp_path: Path) -> None:
    pq.write_table(rows(w=weights), tmp_path / "t.parquet")

    with pytest.raises(BadInput, match=why):
        fitted(a_spec(tmp_path / "t.parquet").with_data(weight="w"), tmp_path)


@pytest.mark.parametrize(
    ("data", "why"),
    [
        pytest.param({"weight": "weigth"}, "data.weight is 'weigth', which is not a column", id="no-column"),
        pytest.param({"weight": "label"}, "can be neither the label", id="label"),
        pytest.param({"weight": "x", "features": ["x"]}, "nor one of the features", id="feature"),
        pytest.param({"weight": "x", "format": "directory"}, "files in folders have no columns", id="directory"),
    ],
)
def test_columns_that_cannot_be_weights_are_said(data: dict[str, Any], why: str, tmp_path: Path) -> None:
    pq.write_table(rows(), tmp_path / "t.parquet")

    with pytest.raises(BadInput, match=why):
        fitted(a_spec(tmp_path / "t.parquet").with_data(**data), tmp_path)


def test_rows_without_a_weight_are_bad_rows_in_arrays_too(tmp_path: Path) -> None:
    weights = np.where(np.arange(40) == 3, -1.0, 2.0)
    np.savez(tmp_path / "t.npz", x=np.arange(40.0), weight=weights, label=np.arange(40) > 19)
    reading = Reading(weight="weight", max_bad_rows=1)
    table = open_data_set(find(str(tmp_path / "t.npz"), "auto"), label="label", features=None, reading=reading)

    facts = profile(table, task="binaryClassification", fraction=0.2, seed=1, cache_bytes=0, watch=lambda rows: None)

    assert (len(table.bad_rows), facts.rows, facts.mean_weight) == (1, 39, 2)
    assert [each.name for each in facts.schema.features] == ["x"]
    (shard,) = table.shards()
    for read in table.read(shard):
        np.testing.assert_array_equal(facts.encode(read).weights, np.ones(39, np.float32))
