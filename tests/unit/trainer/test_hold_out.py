"""Rows that have no say in the training: which they are, and what is measured on them."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import tensorflow as tf

from support.prepared import look
from support.trainer_runs import a_tree_spec, run
from trainyard_api import names
from trainyard_trainer.data.parts import Part
from trainyard_trainer.data.profile import Profile
from trainyard_trainer.errors import BadInput

ROWS = 200


def write(path: Path, *, rows: int = ROWS, seed: int = 5, wrong: int = 0) -> Path:
    """Write rows whose label is that x is above 0, but for some that say the opposite."""
    random = np.random.default_rng(seed)
    x = random.normal(size=rows)
    label = (x > 0) ^ (np.arange(rows) < wrong)
    columns = {"x": x, "y": random.normal(size=rows), "label": np.where(label, "above", "below"), "count": label * 3.0}
    pq.write_table(pa.table(columns), path, row_group_size=64)
    return path


def rows_for(profile: Profile, part: Part) -> set[int]:
    masks = [profile.mask(number, part) for number in range(len(profile.masks))]
    return set(np.flatnonzero(np.concatenate(masks)).tolist())


def test_the_model_is_measured_on_the_rows_of_other_files(tmp_path: Path) -> None:
    data, beside = write(tmp_path / "rows.parquet"), write(tmp_path / "beside.parquet", rows=50, seed=6, wrong=10)
    spec = a_tree_spec(data, "gradientBoostedTrees", numTrees=5, shrinkage=0.5)
    spec = spec.with_data(test={"uri": beside.name}, features=["x", "y"])

    result = run(spec, tmp_path)

    assert result.code == 0, result.stderr
    version = tmp_path / "store" / "sample" / "1"
    rows = pq.read_table(beside)
    serve = tf.saved_model.load(str(version)).signatures["serving_default"]
    answers = serve(**{name: tf.constant(rows[name].to_numpy(), tf.float32) for name in ("x", "y")})
    right = np.mean(answers["label"].numpy().astype(str) == rows["label"].to_numpy())
    assert result.report["metrics"]["test_accuracy"] == pytest.approx(right)
    assert 0.7 < right < 0.85  # ten of the fifty are wrong
    assert result.the("tested")["rows"] == 50
    manifest = json.loads((version / names.MANIFEST_FILE).read_text())
    assert (manifest["data"]["rows"], manifest["data"]["testRows"]) == (ROWS + 50, 50)
    assert manifest["data"]["test"]["location"] == str(beside)
    assert manifest["metrics"]["test_auc"] == result.report["metrics"]["test_auc"]
    card = (version / names.MODEL_CARD_FILE).read_text()
    assert "Those that start with `test_` are of rows that had no say" in card
    assert "| test_accuracy |" in card


@pytest.mark.parametrize("task", ["binaryClassification", "regression"])
def test_a_share_of_the_rows_is_the_same_whatever_is_validated_with(task: str, tmp_path: Path) -> None:
    data, label = write(tmp_path / "t.parquet"), "label" if task == "binaryClassification" else "count"

    found = [
        look(data, task=task, label=label, test={"fraction": 0.2}, validation={"fraction": each}).prepared.profile
        for each in (0.0, 0.1, 0.3)
    ]

    assert len({tuple(sorted(rows_for(each, "test"))) for each in found}) == 1
    for profile, share in zip(found, (0.0, 0.1, 0.3), strict=True):
        parts: list[Part] = ["training", "validation", "test"]
        which = [rows_for(profile, part) for part in parts]
        assert sum(map(len, which)) == len(set.union(*which)) == ROWS
        assert [len(each) for each in which] == pytest.approx([ROWS * (0.8 - share), ROWS * share, ROWS * 0.2], abs=3)
        assert profile.kept.training is not None
        assert len(profile.kept.training) == profile.training_rows == len(which[0])


def test_other_files_are_no_part_of_what_is_learnt(tmp_path: Path) -> None:
    data, beside = write(tmp_path / "t.parquet"), write(tmp_path / "beside.parquet", rows=50, seed=9)

    alone, tested = look(data), look(data, test={"uri": str(beside)})

    assert alone.prepared.profile.features.digest == tested.prepared.profile.features.digest
    assert alone.prepared.profile.labels == tested.prepared.profile.labels
    assert rows_for(alone.prepared.profile, "validation") == rows_for(tested.prepared.profile, "validation")
    assert (tested.prepared.profile.training_rows, tested.prepared.profile.test_rows) == (160, 50)


def test_files_of_another_folder_are_tested_with(tmp_path: Path) -> None:
    for folder, count in (("train", 20), ("later", 4)):
        for row in range(count):
            path = tmp_path / folder / "ab"[row % 2] / f"{row}.txt"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("ab"[row % 2])

    profile = look(tmp_path / "train", format="directory", test={"uri": "later"}).prepared.profile

    assert (profile.training_rows + profile.validation_rows, profile.test_rows) == (20, 4)


@pytest.mark.parametrize(
    ("data", "why"),
    [
        pytest.param({"test": {"fraction": 0.001}}, "data.test.fraction 0.001 of 200 rows is less than", id="no-row"),
        pytest.param({"test": {}}, "set exactly one of fraction and uri", id="nothing"),
        pytest.param({"test": {"uri": "t.parquet"}}, "t.parquet, which is trained on too", id="trained-on"),
        pytest.param({"test": {"uri": "gone.parquet"}}, "gone.parquet does not exist", id="gone"),
        pytest.param(
            {"test": {"fraction": 0.5}, "validation": {"fraction": 0.5}}, "leave no row to train on", id="no-rows-left"
        ),
        pytest.param(
            {"test": {"fraction": 0.1}, "validation": {"groupBy": "y"}}, "would part groups and mix", id="groups"
        ),
        pytest.param(
            {"test": {"uri": "v.parquet"}, "validation": {"uri": "v.parquet"}}, "validated with too", id="validated"
        ),
    ],
)
def test_rows_that_cannot_be_tested_with_are_said(data: dict[str, Any], why: str, tmp_path: Path) -> None:
    write(tmp_path / "t.parquet")
    write(tmp_path / "v.parquet", seed=8)

    with pytest.raises(BadInput, match=why):
        look(tmp_path / "t.parquet", **data)
