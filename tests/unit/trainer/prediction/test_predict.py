"""Batch scoring: every row of a data set with its prediction, in files that outlive a kill."""

import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import tensorflow as tf

from support.documentation import DOCS, spec_in
from support.trainer_runs import Result, SpecBuilder, a_spec, environment, run, write_table
from trainyard_api import names
from trainyard_trainer.errors import Stopped
from trainyard_trainer.files import list_files
from trainyard_trainer.prediction.predict import predict
from trainyard_trainer.prediction.request import request_of
from trainyard_trainer.reporting.event_log import EventLog
from trainyard_trainer.reporting.progress_server import ProgressTracker
from trainyard_trainer.signals import StopSignal
from trainyard_trainer.spec import read_job


def a_scoring(data: Path, model: str = "sample", *, name: str = "scoring", **fields: Any) -> SpecBuilder:
    """Start from predictions of the data at a path by a model in the same store."""
    spec = a_spec(data).named(name)
    program = {"predict": {"model": {"name": model}} | fields}
    return SpecBuilder(
        spec.manifest
        | {
            "spec": {
                "program": program,
                "data": {"source": {"uri": str(data)}},
                "output": spec.manifest["spec"]["output"],
            }
        }
    )


def write_model(folder: Path, serve: Any, **inputs: tf.TensorSpec) -> Path:
    """Write a SavedModel of somebody's own as version 1 of the model in a folder."""
    version = folder / "1"
    module = tf.Module()
    module.serve = tf.function(
        serve, input_signature=[tf.TensorSpec(each.shape, each.dtype, name=name) for name, each in inputs.items()]
    )
    tf.saved_model.save(module, str(version), signatures={names.SIGNATURE: module.serve})
    (version / names.MANIFEST_FILE).write_text(json.dumps({"files": list_files(version)}))
    return version


def predictions(folder: Path, name: str = "scoring") -> pa.Table:
    """Read the predictions as anybody would."""
    return pq.read_table(folder / "store" / name / "predictions" / f"uid-of-{name}")


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder whose store has a small model of the table."""
    folder = tmp_path_factory.mktemp("trained")
    table = write_table(folder / "table.csv")
    assert run(a_spec(table).with_keras(family="linear").with_fit(epochs=1), folder).code == 0
    return folder


def test_each_row_gets_the_answer_of_the_model_beside_its_columns(store: Path) -> None:
    result = run(a_scoring(store / "table.csv"), store)

    found = predictions(store)
    asked = tf.saved_model.load(str(store / "store/sample/1")).signatures[names.SIGNATURE]
    rows = found.to_pydict()
    answers = asked(
        size=tf.constant(rows["size"], tf.float32),
        weight=tf.constant([np.nan if each is None else each for each in rows["weight"]], tf.float32),
        colour=tf.constant(rows["colour"]),
        count=tf.constant(rows["count"], tf.float32),
    )
    assert result.code == 0
    assert (found.num_rows, found.column_names) == (
        120,
        ["size", "weight", "colour", "count", "label", "predicted_label", "predicted_probability"],
    )
    assert rows["predicted_label"] == [each.decode() for each in answers["label"].numpy()]
    np.testing.assert_allclose(rows["predicted_probability"], answers["probability"].numpy(), rtol=1e-5)
    assert result.report["predictions"] == {
        "rows": 120,
        "badRows": 0,
        "files": 1,
        "path": "scoring/predictions/uid-of-scoring",
        "model": "sample/1",
    }
    assert result.report["metrics"] == {"rows": 120.0, "badRows": 0.0}
    assert "predicted 120 rows with sample/1" in result.report["message"]


def test_what_is_complete_is_not_done_again(store: Path) -> None:
    first = run(a_scoring(store / "table.csv", name="twice"), store)
    second = run(a_scoring(store / "table.csv", name="twice"), store)

    assert first.code == second.code == 0
    assert second.report["predictions"] == first.report["predictions"]
    assert [each["event"] for each in second.events] == ["starting", "done"]


class _StopsLater(StopSignal):
    """Is asked to stop once it has been looked at some times."""

    def __init__(self, looks: int) -> None:
        super().__init__(leave=lambda: None)
        self._looks = looks

    @property
    def requested(self) -> bool:
        self._looks -= 1
        return self._looks < 0

    @requested.setter
    def requested(self, value: bool) -> None: ...


def test_finished_files_are_kept_when_it_is_stopped(store: Path, tmp_path: Path) -> None:
    for number in range(3):
        lines = (store / "table.csv").read_text().splitlines()
        (tmp_path / f"{number}.csv").write_text("\n".join(lines[: 60 + number]) + "\n")
    spec = a_scoring(tmp_path, name="stopped", rowsPerFile=25)
    job = read_job(str(spec.write(store)), {})
    assert job.spec.program.predict
    request = request_of(job, job.spec.program.predict, environment(store, "stopped"))
    log, folder = EventLog(io.StringIO()), Path(request.folder)

    with pytest.raises(Stopped, match="stopped on request with 59 rows predicted"):
        predict(request, tracker=ProgressTracker(), event_log=log, stop=_StopsLater(1))
    before = {path.name: path.stat().st_mtime_ns for path in folder.glob("part-*")}
    (folder / ".part-00001-00000.parquet.tmp").write_bytes(b"what a kill leaves")
    done = predict(request, tracker=ProgressTracker(), event_log=log, stop=_StopsLater(1000))

    assert sorted(before) == [f"part-00000-0000{number}.parquet" for number in range(3)]
    assert {path.name: path.stat().st_mtime_ns for path in folder.glob("part-*") if path.name in before} == before
    assert (done.rows, done.files) == (59 + 60 + 61, 9)
    assert sorted(path.name for path in folder.iterdir() if path.name[0] in "._") == ["_SUCCESS", "_predictions.json"]
    assert pq.read_table(folder).num_rows == 180


def test_other_data_begin_anew(store: Path, tmp_path: Path) -> None:
    data = tmp_path / "rows.csv"
    data.write_text((store / "table.csv").read_text())
    spec = a_scoring(data, name="changed")
    job = read_job(str(spec.write(store)), {})
    assert job.spec.program.predict
    request = request_of(job, job.spec.program.predict, environment(store, "changed"))
    log = EventLog(io.StringIO())
    with pytest.raises(Stopped):
        predict(request, tracker=ProgressTracker(), event_log=log, stop=_StopsLater(0))
    data.write_text("\n".join((store / "table.csv").read_text().splitlines()[:11]) + "\n")

    assert predict(request, tracker=ProgressTracker(), event_log=log, stop=_StopsLater(99)).rows == 10


def test_chosen_columns_are_as_they_are_in_the_file(store: Path, tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text("id,size,weight,colour,count\n007,1,2,red,3\n12345678901234567890,1,,blue,3\n")
    result = run(a_scoring(tmp_path / "rows.csv", name="ids", columns=["id"]), store)

    assert result.code == 0, result.stderr
    assert predictions(store, "ids").column_names == ["id", "predicted_label", "predicted_probability"]
    assert predictions(store, "ids").column("id").to_pylist() == ["007", "12345678901234567890"]


def test_bad_rows_are_left_out_and_counted(store: Path, tmp_path: Path) -> None:
    rows = [f"{number},1,red,3" for number in range(8)]
    (tmp_path / "rows.csv").write_text("\n".join(["size,weight,colour,count", *rows, "big,1,red,3", "1,1"]) + "\n")
    spec = a_scoring(tmp_path / "rows.csv", name="bad")

    refused = run(spec, store)
    allowed = run(spec.named("allowed").with_data(maxBadRows=2), store)

    assert (refused.code, refused.report["reason"]) == (2, "BadInput")
    assert allowed.code == 0, allowed.stderr
    assert (allowed.report["predictions"]["rows"], allowed.report["predictions"]["badRows"]) == (8, 2)
    assert "2 bad rows were left out" in allowed.report["message"]


def test_a_model_of_ones_own_gets_numbers_lists_and_files(tmp_path: Path) -> None:
    def serve(key: tf.Tensor, vector: tf.Tensor, photo_bytes: tf.Tensor) -> Mapping[str, tf.Tensor]:
        sizes = tf.map_fn(lambda each: tf.shape(tf.io.decode_png(each))[0], photo_bytes, tf.int32)
        return {"key": key + 1, "doubled": 2 * vector, "height": sizes}

    write_model(
        tmp_path / "store" / "own",
        serve,
        key=tf.TensorSpec([None], tf.int64),
        vector=tf.TensorSpec([None, 2], tf.float32),
        photo_bytes=tf.TensorSpec([None], tf.string),
    )
    pictures = [tf.io.encode_png(np.zeros((size, 3, 1), np.uint8)).numpy() for size in (4, 5, 6)]
    pictures[1] = b"no picture"
    table = pa.table(
        {
            "key": pa.array([2**53 + 1, 2, 3], pa.int64()),
            "vector": pa.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]),
            # as Hugging Face datasets writes images
            "photo": pa.array([{"bytes": each, "path": "p"} for each in pictures]),
        }
    )
    pq.write_table(table, tmp_path / "rows.parquet")

    result = run(a_scoring(tmp_path / "rows.parquet", "own").with_data(maxBadRows=1), tmp_path)

    assert result.code == 0, result.stderr
    found = predictions(tmp_path).to_pydict()
    assert found["predicted_key"] == [2**53 + 2, 4]
    assert found["predicted_doubled"] == [[2.0, 4.0], [10.0, 12.0]]
    assert found["predicted_height"] == [4, 6]
    assert "row 2 of rows.parquet: the model cannot answer it" in result.the("bad-rows")["message"]


def refused(result: Result) -> str:
    assert (result.code, result.report["reason"]) == (2, "BadInput"), result.report
    return str(result.report["message"])


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        pytest.param(
            lambda data: a_scoring(data, "nobody"), "there is no complete version of model 'nobody'", id="no model"
        ),
        pytest.param(
            lambda data: a_scoring(data, columns=["sise"]), "names 'sise', which is no column of the data", id="column"
        ),
        pytest.param(lambda data: a_scoring(data).with_data(label="label"), "trains nothing", id="a label"),
        pytest.param(lambda data: a_scoring(data)._with("fit", {"epochs": 3}), "remove fit", id="epochs"),
        pytest.param(
            lambda data: a_scoring(data)._with("program", {"predict": {"model": {"uri": "pvc://models/sample/1"}}}),
            "on a volume that only a cluster mounts: use model.name",
            id="a claim",
        ),
        pytest.param(
            lambda data: a_scoring(data)._with("tuning", {"parameters": [{"name": "fit.epochs", "values": ["1"]}]}),
            "program.predict does not train",
            id="a search",
        ),
        pytest.param(
            lambda data: a_scoring(data)._with("program", {"predict": {"model": {}}}),
            "set exactly one of name and uri",
            id="which model",
        ),
    ],
)
def test_what_cannot_be_done_is_said(store: Path, spec: Any, message: str) -> None:
    assert message in refused(run(spec(store / "table.csv").named("wrong"), store))


def test_a_missing_column_is_named(store: Path, tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text("size,weight,color,count\n1,2,red,3\n")

    message = refused(run(a_scoring(tmp_path / "rows.csv", name="other"), store))

    assert "the model takes 'colour', which is no column of the data; did you mean 'color'?" in message


def test_a_model_that_reads_files_is_refused(tmp_path: Path) -> None:
    write_model(
        tmp_path / "store" / "own",
        lambda path: {"content": tf.map_fn(tf.io.read_file, path)},
        path=tf.TensorSpec([None], tf.string),
    )
    (tmp_path / "rows.csv").write_text("path\n/etc/passwd\n")

    assert "uses ReadFile" in refused(run(a_scoring(tmp_path / "rows.csv", "own"), tmp_path))


def test_a_version_that_was_changed_is_refused(tmp_path: Path) -> None:
    version = write_model(tmp_path / "store" / "own", lambda x: {"y": x}, x=tf.TensorSpec([None], tf.float32))
    with (version / "saved_model.pb").open("ab") as stream:
        stream.write(b"\0")
    (tmp_path / "rows.csv").write_text("x\n1\n")

    assert "is not the file that was exported" in refused(run(a_scoring(tmp_path / "rows.csv", "own"), tmp_path))


def test_the_spec_of_the_guide_predicts_the_rows_of_the_example(tmp_path: Path) -> None:
    data = DOCS.parent / "examples/quickstart/breast-cancer.csv"
    model = a_spec(data, label="diagnosis").named("breast-cancer").with_keras(family="linear").with_fit(epochs=1)
    assert run(model, tmp_path).code == 0

    result = run(spec_in("how-to/batch-scoring.md", "breast-cancer-scoring"), tmp_path, {names.DATA_DIR_ENV: str(data)})

    assert result.code == 0, result.stderr
    found = predictions(tmp_path, "breast-cancer-scoring")
    columns = ["radius_mean", "diagnosis", "predicted_label", "predicted_probability"]
    assert (found.num_rows, found.column_names) == (569, columns)
    agree = np.mean(np.equal(found.column("diagnosis").to_pylist(), found.column("predicted_label").to_pylist()))
    assert agree > 0.8
