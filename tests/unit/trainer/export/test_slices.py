"""The metrics of the validation rows by the values of a column."""

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from support.trainer_fits import fitted
from support.trainer_runs import SpecBuilder, a_spec, a_tree_spec, run
from trainyard_api import names
from trainyard_trainer.errors import BadInput
from trainyard_trainer.export.slices import MOST_VALUES, metrics_by_slice

ROWS = 400


@pytest.fixture
def sites(tmp_path: Path) -> Path:
    """Two clinics: what one of them measures says nothing. Some rows do not tell where they are from."""
    rng = np.random.default_rng(3)
    path = tmp_path / "sites.csv"
    with path.open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["size", "site", "ward", "label"])
        for row in range(ROWS):
            size, site = rng.normal(), ["north", "north", "south", ""][row % 4]
            good = rng.random() < 0.5 if site == "south" else size > 0
            writer.writerow([f"{size:.4f}", site, row % 80, "good" if good else "bad"])
    return path


def learnt(data: Path) -> SpecBuilder:
    return a_spec(data).with_fit(epochs=15, batchSize=8, optimizer={"name": "adam", "learningRate": 0.05})


def grown(data: Path) -> SpecBuilder:
    return a_tree_spec(data, "gradientBoostedTrees")


@pytest.mark.parametrize("program", [learnt, grown])
def test_a_model_that_fails_one_group_is_seen_to_and_the_groups_together_are_the_whole(
    sites: Path, tmp_path: Path, program: Callable[[Path], SpecBuilder]
) -> None:
    spec = program(sites).with_data(features=["size"], slices=["site"], validation={"fraction": 0.4})

    found = fitted(spec, tmp_path)
    (groups,) = metrics_by_slice(found.prepared, found.trained).values()

    by_value = {each["value"]: each for each in groups}
    assert groups[0]["value"] == "north"
    assert by_value.keys() == {"north", "south", None}
    assert by_value["north"]["metrics"]["val_accuracy"] > 0.9 > 0.7 > by_value["south"]["metrics"]["val_accuracy"]
    assert sum(each["rows"] for each in groups) == found.prepared.profile.validation_rows
    for metric in ("val_loss", "val_accuracy"):
        whole = np.average([each["metrics"][metric] for each in groups], weights=[each["rows"] for each in groups])
        assert whole == pytest.approx(found.trained.end.metrics[metric], rel=1e-4)


def test_rare_values_are_told_together_and_a_column_of_numbers_has_groups_too(sites: Path, tmp_path: Path) -> None:
    spec = a_spec(sites).with_fit(epochs=1).with_data(slices=["ward"], validation={"fraction": 0.5})

    found = fitted(spec, tmp_path)
    groups = metrics_by_slice(found.prepared, found.trained)["ward"]

    wards = {str(row % 80) for row in range(ROWS)}
    assert len(groups) == MOST_VALUES + 1
    assert {each["value"] for each in groups[:-1]} < wards
    assert 0 < groups[-1]["others"] <= len(wards) - MOST_VALUES
    assert sum(each["rows"] for each in groups) == found.prepared.profile.validation_rows
    assert [each["rows"] for each in groups[:-1]] == sorted((each["rows"] for each in groups[:-1]), reverse=True)


def test_the_manifest_and_the_card_tell_them(sites: Path, tmp_path: Path) -> None:
    assert run(learnt(sites).with_data(slices=["site", "label"]), tmp_path).code == 0

    version = tmp_path / "store" / "sample" / "1"
    slices = json.loads((version / names.MANIFEST_FILE).read_text())["slices"]
    assert {each["value"] for each in slices["label"]} == {"good", "bad"}
    card = (version / names.MODEL_CARD_FILE).read_text().splitlines()
    assert "By `site`, of the same rows:" in card
    assert any(line.startswith("| (missing) | ") for line in card)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"slices": ["sit"]}, "data.slices is 'sit', which is not a column of sites.csv; did you mean 'site'?"),
        ({"slices": ["site"], "validation": {"fraction": 0}}, "slices are measured on validation rows"),
        ({"slices": ["site"], "format": "npz"}, "slices are by the columns of a table"),
    ],
)
def test_what_cannot_be_told_apart_is_refused_before_training(
    sites: Path, tmp_path: Path, data: dict[str, Any], message: str
) -> None:
    with pytest.raises(BadInput) as error:
        fitted(a_spec(sites).with_data(**data), tmp_path)

    assert message in str(error.value)
