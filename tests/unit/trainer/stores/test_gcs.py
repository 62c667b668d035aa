"""Google Cloud Storage, from an emulator: data is read from it, and a model is published to it and fetched again."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support import lessons
from support.gcs import Gcs, gcs_server
from support.learners import learning_quickly
from support.model_server import over_rest, served
from support.trained import Witness
from support.trainer_runs import a_spec, run
from trainyard_api import names
from trainyard_trainer.data.source import find
from trainyard_trainer.errors import BadInput
from trainyard_trainer.export.verify import difference
from trainyard_trainer.fetch import main
from trainyard_trainer.stores.access import Access
from trainyard_trainer.stores.objects import ObjectStore


@pytest.fixture(scope="module")
def gcs() -> Iterator[Gcs]:
    with gcs_server("lake", "models") as server:
        yield server


@pytest.fixture
def data(gcs: Gcs, tmp_path: Path) -> str:
    rows = lessons.shapes("binaryClassification")(240, 1)
    gcs.put("lake", "shapes/rows.parquet", lessons.as_parquet(tmp_path, rows).read_bytes())
    return "gs://lake/shapes/"


def test_a_model_goes_from_gcs_through_training_to_gcs_and_to_a_server(
    gcs: Gcs, data: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = learning_quickly(a_spec(Path("x"))).with_data(source={"uri": data}).with_store("gs://models/prod")
    witness = Witness()

    result = run(spec.with_checkpoint(everySteps=40), tmp_path, gcs.env, verifier=witness.verifier)

    assert result.code == 0, result.stderr
    assert result.report["metrics"]["val_accuracy"] >= 0.95
    assert result.report["model"]["path"] == "sample/1"
    left = ObjectStore("gs://models/prod/sample", Access(gcs.env)).names(recursive=True)
    assert "1/trainyard.json" in left
    assert not any("checkpoints" in each or ".claim" in each for each in left)
    monkeypatch.setenv(names.TERMINATION_MESSAGE_ENV, str(tmp_path / "last-word"))
    target = tmp_path / "fetched" / "sample" / "1"
    options = ["--digest", result.report["model"]["digest"], "--wait", "0"]
    assert main(["--source", "gs://models/prod/sample/1", "--target", str(target), *options], gcs.env) == 0
    with served(target.parent, "sample", tmp_path) as client:
        assert difference(over_rest(client, "sample", witness.rows), witness.answers) is None


@pytest.mark.parametrize(
    ("location", "message"),
    [
        ("gs://lake/shapes/row.parquet", "does not exist; did you mean 'rows.parquet'?"),
        ("gs://lake/shapse/2026/rows.csv", "shapse/2026/rows.csv does not exist: check the path, or that it has been"),
        ("gs://leak/shapes", "cannot use gs://leak/shapes: there is no such bucket or container: check its name"),
    ],
)
def test_a_mistake_in_the_uri_of_data_is_told(location: str, message: str, gcs: Gcs, data: Any) -> None:
    with pytest.raises(BadInput) as raised:
        find(location, "auto", Access(gcs.env))

    assert message in str(raised.value)


def test_a_missing_bucket_for_models_is_told_before_the_training(gcs: Gcs, data: str, tmp_path: Path) -> None:
    result = run(a_spec(Path("x")).with_data(source={"uri": data}).with_store("gs://nowhere/m"), tmp_path, gcs.env)

    assert result.code == names.EXIT_BAD_INPUT
    assert "cannot use gs://nowhere/m/sample" in result.report["message"]
    assert "there is no such bucket" in result.report["message"]
    assert not any(each["event"] == "data" for each in result.events)
