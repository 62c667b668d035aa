"""Whole trainings: from a spec to a version that answers, or to a message that says what to change."""

import base64
import contextlib
import csv
import hashlib
import json
import math
import os
import re
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import pytest
import tensorflow as tf
from model_signing import verifying
from tensorflow.core.protobuf import saved_model_pb2

from support.model_server import served
from support.serving_client import METRICS
from support.signing_keys import write_keys
from support.trainer_fits import fitted
from support.trainer_runs import Result, SpecBuilder, a_spec, a_tree_spec, run, shared_verifier, write_table
from trainyard_api import names
from trainyard_api.housekeeping import USE_FILE
from trainyard_trainer.export.model_card import model_card
from trainyard_trainer.export.tf_examples import serialize
from trainyard_trainer.export.verify import Verifier
from trainyard_trainer.reporting.event_log import rfc3339

SIGNING = {"secretKeyRef": {"name": "signing", "key": "private.pem"}}


@dataclass(frozen=True)
class Trained:
    """A finished training that several tests look at."""

    folder: Path
    table: Path
    result: Result


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    folder = tmp_path_factory.mktemp("trained")
    table = write_table(folder / "table.csv")
    spec = a_spec(table).with_fit(epochs=60).with_checkpoint(everySteps=1).with_output(signing=SIGNING)
    private, _public = write_keys(folder)
    return Trained(
        folder, table, run(spec, folder, {names.SIGNING_KEY_ENV: str(private), names.IMAGE_ENV: "me/trainer:1"})
    )


def load(folder: Path, version: int = 1, model: str = "sample") -> Any:
    loaded = tf.saved_model.load(str(folder / "store" / model / str(version)))
    return loaded, loaded.signatures["serving_default"]


def test_a_training_ends_in_a_version_that_answers_raw_rows(trained: Trained) -> None:
    result = trained.result
    assert (result.code, result.report["reason"], result.report["epochs"]) == (0, "MaxEpochs", 60), result.stderr
    assert result.report["model"]["path"] == "sample/1"
    _module, predict = load(trained.folder)
    answer = predict(
        size=tf.constant([2.0, -2.0, float("nan")]),
        weight=tf.constant([float("nan"), 1.0, float("inf")]),
        colour=tf.constant(["red", "blue", "never seen"]),
        count=tf.constant([1.0, 2.0, 3.0]),
    )
    assert sorted(answer) == ["label", "probability"]
    assert answer["label"].numpy().tolist()[:2] == [b"good", b"bad"]
    assert answer["probability"].numpy()[0] > 0.9 > 0.1 > answer["probability"].numpy()[1]
    assert np.isfinite(answer["probability"].numpy()).all()


def test_the_manifest_describes_the_version_and_the_report_names_its_digest(trained: Trained) -> None:
    result = trained.result
    version = trained.folder / "store" / "sample" / "1"
    content = (version / names.MANIFEST_FILE).read_bytes()
    manifest = json.loads(content)
    assert result.report["model"]["digest"] == "sha256:" + hashlib.sha256(content).hexdigest()
    assert (manifest["apiVersion"], manifest["kind"]) == ("trainyard.dev/v1alpha1", "ModelManifest")
    fingerprint = manifest["trainingJob"].pop("fingerprint")
    assert re.fullmatch("sha256:[0-9a-f]{64}", fingerprint)
    assert manifest["trainingJob"] == {"name": "sample", "namespace": "", "uid": "uid-of-sample"}
    assert manifest["metrics"] == result.report["metrics"]
    on_disk = sorted(str(p.relative_to(version)) for p in version.rglob("*") if p.is_file())
    unlisted = (names.MANIFEST_FILE, names.SIGNATURE_FILE)
    assert [each["path"] for each in manifest["files"]] == [p for p in on_disk if p not in unlisted]
    for each in manifest["files"]:
        content = (version / each["path"]).read_bytes()
        assert (each["size"], each["sha256"]) == (len(content), hashlib.sha256(content).hexdigest())
    assert result.report["model"]["sizeBytes"] == sum(each["size"] for each in manifest["files"])
    assert manifest["signatures"]["serving_default"] == {
        "inputs": {
            "size": {"dtype": "float32", "shape": [None]},
            "weight": {"dtype": "float32", "shape": [None]},
            "colour": {"dtype": "string", "shape": [None]},
            "count": {"dtype": "float32", "shape": [None]},
        },
        "outputs": {
            "label": {"dtype": "string", "shape": [None]},
            "probability": {"dtype": "float32", "shape": [None]},
        },
    }
    assert (manifest["data"]["rows"], manifest["data"]["trainingRows"]) == (120, 95)
    assert manifest["code"]["tensorflow"] == tf.__version__


def test_serialized_examples_get_the_answers_of_the_same_rows(trained: Trained) -> None:
    module, predict = load(trained.folder)
    rows: dict[str, Any] = {
        "size": [2.0, -2.0, math.nan],
        "weight": [math.nan, 1.0, 0.5],
        "colour": ["red", "blue", ""],
        "count": [1.0, 2.0, 3.0],
    }

    answer = module.signatures["serving_examples"](examples=tf.constant(serialize(rows)))

    expected = predict(**{name: tf.constant(each) for name, each in rows.items()})
    assert answer["label"].numpy().tolist() == expected["label"].numpy().tolist()
    np.testing.assert_allclose(answer["probability"], expected["probability"], rtol=1e-6)
    manifest = json.loads((trained.folder / "store/sample/1" / names.MANIFEST_FILE).read_text())
    assert manifest["signatures"]["serving_examples"] == {
        "inputs": {"examples": {"dtype": "string", "shape": [None]}},
        "outputs": manifest["signatures"]["serving_default"]["outputs"],
    }


def test_rows_of_texts_get_the_answers_of_the_same_rows(trained: Trained) -> None:
    module, predict = load(trained.folder)
    rows = {
        "size": ["2", " -2e0 ", ""],
        "weight": ["NA", "1", ""],
        "colour": ["red", "", "NA"],
        "count": ["1", "2", "3"],
    }

    answer = module.signatures["serving_text"](**{name: tf.constant(texts) for name, texts in rows.items()})

    same: dict[str, Any] = {
        "size": [2.0, -2.0, math.nan],
        "weight": [math.nan, 1.0, math.nan],
        "colour": ["red", "", ""],
        "count": [1.0, 2.0, 3.0],
    }
    expected = predict(**{name: tf.constant(each) for name, each in same.items()})
    np.testing.assert_allclose(answer["probability"], expected["probability"], rtol=1e-6)
    with pytest.raises(tf.errors.InvalidArgumentError, match="could not correctly convert string: big"):
        module.signatures["serving_text"](**{name: tf.constant(["big"]) for name in rows})


def test_the_version_is_signed_and_says_what_it_is_and_where_it_comes_from(trained: Trained) -> None:
    version = trained.folder / "store" / "sample" / "1"
    key = verifying.Config().use_elliptic_key_verifier(public_key=trained.folder / "public.pem")
    key.verify(version, version / names.SIGNATURE_FILE)

    manifest = json.loads((version / names.MANIFEST_FILE).read_text())
    training = manifest["training"]
    assert 0 < training["seconds"] < 600
    assert {name: training[name] for name in ("reason", "epochs", "steps", "batchSize", "seed", "gpuSeconds")} == {
        "reason": "MaxEpochs", "epochs": 60, "steps": 720, "batchSize": 8, "seed": 42, "gpuSeconds": 0,
    }  # fmt: skip
    assert training["devices"].endswith("CPU thread(s)")
    assert manifest["code"]["image"] == "me/trainer:1"
    files = {name: each for name, each in manifest.items() if name not in ("files", "version")}
    assert (version / names.MODEL_CARD_FILE).read_text() == model_card(files)


def test_the_private_key_is_nowhere_in_what_a_training_says_or_writes(trained: Trained) -> None:
    secret = (trained.folder / "private.pem").read_text().splitlines()[1]
    written = [path for path in (trained.folder / "store").rglob("*") if path.is_file()]
    assert not any(secret.encode() in path.read_bytes() for path in written)
    assert secret not in trained.result.stderr + json.dumps(trained.result.events) + json.dumps(trained.result.report)


def test_a_training_whose_version_cannot_be_signed_leaves_none(table: Path, tmp_path: Path) -> None:
    private, _public = write_keys(tmp_path)
    spec = a_spec(table).with_output(signing=SIGNING).with_fit(epochs=1)

    assert (without := run(spec, tmp_path)).code == names.EXIT_BAD_INPUT
    assert "set $TRAINYARD_SIGNING_KEY to the file of the private key" in without.report["message"]
    private.write_text("not a key")
    wrong = run(spec, tmp_path, {names.SIGNING_KEY_ENV: str(private)})
    assert (wrong.code, wrong.the("failed")["reason"]) == (names.EXIT_BAD_INPUT, "BadInput")
    assert "cannot sign models" in wrong.report["message"]
    assert list((tmp_path / "store").rglob(names.MANIFEST_FILE)) == []


def test_the_request_in_the_model_card_works(trained: Trained, tmp_path: Path) -> None:
    card = (trained.folder / "store" / "sample" / "1" / names.MODEL_CARD_FILE).read_text()
    (url, body) = re.findall(r"curl http://HOST:8501(\S+) -d @- <<'EOF'\n(.*?)\nEOF", card, re.DOTALL)[0]
    (missing,) = re.findall(r"has none in `weight`:\n\n```json\n(.*?)\n```", card, re.DOTALL)

    with served(trained.folder / "store" / "sample", "sample", tmp_path) as client:
        answers = [client.rest("POST", url, each.encode())[:2] for each in (body, missing)]

    assert json.loads(missing)["instances"][0]["weight"] == ""
    for status, answer in answers:
        assert (status, len(json.loads(answer)["predictions"])) == (200, 1), answer


def test_the_model_server_warms_up_and_answers_rows_and_examples_alike(trained: Trained, tmp_path: Path) -> None:
    row = {"size": 2.0, "weight": 0.5, "colour": "red", "count": 1.0}
    example = base64.b64encode(serialize({name: [each] for name, each in row.items()})[0]).decode()

    with served(trained.folder / "store" / "sample", "sample", tmp_path) as client:
        path = trained.folder / "store" / "sample" / "1"
        warm = f':tensorflow:serving:model_warmup_records_read{{model_path="{path}",status="OK"}} 4'
        assert warm in client.rest("GET", METRICS)[1].splitlines()
        plain = client.rest("POST", "/v1/models/sample:predict", {"instances": [row]})
        request = {"signature_name": "serving_examples", "instances": [{"b64": example}]}
        serialized = client.rest("POST", "/v1/models/sample:predict", request)

    assert (plain[0], serialized[0]) == (200, 200), serialized[1]
    assert json.loads(plain[1]) == json.loads(serialized[1])
    assert json.loads(plain[1])["predictions"][0]["label"] == "good"


@contextlib.contextmanager
def telling_verifier() -> Iterator[Verifier]:
    print(json.dumps({"event": "verifier started"}), flush=True)
    with shared_verifier() as verifier:
        yield verifier


@pytest.mark.parametrize(("cpus", "before"), [(2, "model"), (1, "evaluated")])
def test_the_process_that_checks_the_export_is_started_before_the_training_where_a_cpu_is_free_for_it(
    cpus: int, before: str, table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("trainyard_trainer.train.usable_cpus", lambda: cpus)

    result = run(a_spec(table), tmp_path, verifier=telling_verifier)

    told = [event["event"] for event in result.events]
    assert result.code == 0
    assert told.count("verifier started") == 1
    assert told.index("verifier started") == told.index(before) - 1


def test_bad_data_starts_no_process_to_check_an_export(table: Path, tmp_path: Path) -> None:
    result = run(a_spec(table, label="none"), tmp_path, verifier=telling_verifier)

    assert result.code == names.EXIT_BAD_INPUT
    assert [event["event"] for event in result.events] == ["starting", "failed"]


def test_a_process_that_has_ended_while_the_training_ran_is_started_again(table: Path, tmp_path: Path) -> None:
    started = []

    @contextlib.contextmanager
    def short_lived() -> Iterator[Verifier]:
        with Verifier() as verifier:
            started.append(verifier)
            if len(started) == 1:
                verifier._process.kill()
                verifier._process.wait()
            yield verifier

    result = run(a_spec(table), tmp_path, verifier=short_lived)

    assert result.code == 0, result.stderr
    assert len(started) == 2


def test_weights_are_written_once(tmp_path: Path, table: Path) -> None:
    run(a_spec(table).with_keras(hidden=[600, 600]).with_fit(epochs=1), tmp_path)

    (data,) = (tmp_path / "store" / "sample" / "1" / "variables").glob("variables.data*")
    assert 4 * 600 * 600 < data.stat().st_size < 1.1 * 4 * 600 * 606


def test_the_log_tells_the_story_and_the_history_has_every_epoch(trained: Trained) -> None:
    result = trained.result
    assert [each["event"] for each in result.events if each["event"] != "epoch"] == [
        "starting", "data", "columns", "model", "settings", "exporting", "evaluated", "verified", "done",
    ]  # fmt: skip
    assert all(each["message"] and each["time"].endswith("Z") for each in result.events)
    history = next((trained.folder / "store" / "sample" / ".training" / "uid-of-sample" / "logs").glob("*.csv"))
    with history.open() as stream:
        rows = list(csv.DictReader(stream))
    assert [row["epoch"] for row in rows] == [str(i + 1) for i in range(60)]
    assert {"loss", "accuracy", "val_loss", "val_accuracy", "val_auc"} <= rows[0].keys()


def test_a_version_that_is_there_already_is_reported_again(trained: Trained) -> None:
    second = run(a_spec(trained.table).with_fit(epochs=60), trained.folder)

    assert second.code == 0
    assert "trained before" in second.report["message"]
    for name in ("reason", "epochs", "steps", "loss", "metrics", "model"):
        assert second.report[name] == trained.result.report[name]
    assert not (trained.folder / "store" / "sample" / "2").exists()


def restored(spec: SpecBuilder) -> SpecBuilder:
    """Return the job as a backup brings it back: the same name and spec, another uid."""
    return SpecBuilder(spec.manifest | {"metadata": spec.manifest["metadata"] | {"uid": "uid-after-the-restore"}})


def test_a_restored_job_that_asks_for_reuse_reports_what_its_spec_trained_before(trained: Trained) -> None:
    spec = restored(a_spec(trained.table).with_fit(epochs=60)).with_output(reuse=True)

    second = run(spec, trained.folder)

    assert (second.code, second.report["reason"]) == (0, "AlreadyTrained"), second.stderr
    manifest = json.loads((trained.folder / "store/sample/1" / names.MANIFEST_FILE).read_text())
    assert second.report["model"] == trained.result.report["model"] | {"created": manifest["created"]}
    assert second.report["metrics"] == trained.result.report["metrics"]
    assert "set spec.output.reuse to false" in second.report["message"]
    assert not (trained.folder / "store" / "sample" / "2").exists()


@pytest.mark.parametrize(
    "spec",
    [
        pytest.param(lambda s: restored(s), id="not asked for"),
        pytest.param(lambda s: restored(s).with_output(reuse=True).with_fit(epochs=2), id="another spec"),
    ],
)
def test_a_restored_job_trains_again_otherwise(
    spec: Callable[[SpecBuilder], SpecBuilder], table: Path, tmp_path: Path
) -> None:
    first = a_spec(table).with_fit(epochs=1)
    run(first, tmp_path)

    assert run(spec(first), tmp_path).report["model"]["path"] == "sample/2"


def test_checkpoints_are_gone_after_a_complete_export(trained: Trained) -> None:
    assert trained.result.report["lastCheckpoint"] is None
    assert list((trained.folder / "store").rglob("*.ckpt")) == []


def test_checkpoints_and_versions_stay_as_the_spec_says(table: Path, tmp_path: Path) -> None:
    model, made_before = tmp_path / "store" / "sample", datetime.now(UTC) - timedelta(hours=1)
    for number in (1, 2):
        manifest = model / str(number) / names.MANIFEST_FILE
        manifest.parent.mkdir(parents=True)
        document: dict[str, Any] = {
            "name": "sample",
            "version": number,
            "files": [],
            "trainingJob": {"uid": f"uid-{number}"},
        }
        manifest.write_text(json.dumps(document))
        os.utime(manifest, (made_before.timestamp(),) * 2)
    use = {"asOf": rfc3339(), "running": ["uid-of-sample"], "jobs": ["uid-of-sample"]}
    (tmp_path / USE_FILE).write_text(json.dumps(use))

    run(a_spec(table).with_fit(epochs=1).with_output(keep={"versions": 2, "checkpoints": "OnSuccess"}), tmp_path)

    assert sorted(path.parent.name for path in model.rglob(names.MANIFEST_FILE)) == ["2", "3"]
    assert list((model / ".training" / "uid-of-sample" / "checkpoints").glob("*.ckpt")) != []


def test_another_training_of_the_model_makes_the_next_version(table: Path, tmp_path: Path) -> None:
    first, second = (
        SpecBuilder(spec.manifest | {"spec": spec.manifest["spec"] | {"modelName": "shared"}})
        for spec in (a_spec(table), a_spec(table).named("other").with_fit(seed=7))
    )

    assert run(first, tmp_path).report["model"]["path"] == "shared/1"
    assert run(second, tmp_path).report["model"]["path"] == "shared/2"


def test_a_loss_below_the_threshold_ends_the_training(table: Path, tmp_path: Path) -> None:
    result = run(a_spec(table).with_fit(epochs=500, stopWhen={"lossBelow": 0.3}), tmp_path)

    assert result.report["reason"] == "LossThreshold"
    assert result.report["loss"] < 0.3
    assert result.report["epochs"] < 500


def test_the_exported_weights_are_those_of_the_best_epoch_and_the_metrics_are_theirs(
    table: Path, tmp_path: Path
) -> None:
    spec = a_spec(table).with_fit(
        epochs=300,
        optimizer={"name": "adam", "learningRate": 0.05},
        stopWhen={"noImprovement": {"metric": "val_loss", "epochs": 5}},
    )

    result = run(spec, tmp_path)

    assert result.report["reason"] == "EarlyStopping"
    history = next((tmp_path / "store").rglob("history.csv"))
    with history.open() as stream:
        best = min(csv.DictReader(stream), key=lambda row: float(row["val_loss"]))
    assert result.report["epochs"] - int(best["epoch"]) == 5
    assert result.report["metrics"] == pytest.approx({k: float(best[k]) for k in result.report["metrics"]})


@pytest.mark.parametrize(
    ("task", "label", "outputs"),
    [
        ("multiclassClassification", lambda i: ["low", "middle", "high"][i % 3], ["label", "probabilities"]),
        ("regression", lambda i: 1000 + 50 * (i % 3), ["value"]),
        ("binaryClassification", lambda i: int(i % 3 == 0), ["label", "probability"]),
    ],
)
def test_every_task_learns_an_easy_rule(
    task: str, label: Callable[[int], Any], outputs: list[str], tmp_path: Path
) -> None:
    columns = {"kind": [f"k{i % 3}" for i in range(90)], "b": [i % 2 == 0 for i in range(90)]}
    pq.write_table(pa.table(columns | {"label": [label(i) for i in range(90)]}), tmp_path / "t.parquet")

    result = run(a_spec(tmp_path / "t.parquet", task=task).with_fit(epochs=150), tmp_path)

    assert result.code == 0, result.stderr
    _module, predict = load(tmp_path)
    answer = predict(kind=tf.constant(["k0", "k1", "k2"]), b=tf.constant([1.0, 0.0, 1.0]))
    assert sorted(answer) == outputs
    if task == "regression":
        np.testing.assert_allclose(answer["value"], [1000, 1050, 1100], atol=15)
        assert result.report["metrics"]["val_mae"] < 15
    else:
        assert [each.decode() for each in answer["label"].numpy()] == [str(label(i)) for i in range(3)]


def test_streamed_rows_train_as_well_as_rows_in_memory(table: Path, tmp_path: Path) -> None:
    spec = a_spec(table).with_fit(epochs=40)

    result = run(spec, tmp_path, {"TRAINYARD_CACHE_BYTES": "1"})

    assert "streamed" in result.the("data")["message"]
    assert result.report["metrics"]["val_accuracy"] > 0.9


@pytest.mark.parametrize(
    ("name", "is_sorted", "cache", "told"),
    [
        pytest.param("t.csv", True, 20_000, True, id="a sorted file"),
        pytest.param("t.csv", False, 20_000, False, id="a shuffled file"),
        pytest.param("t.csv", True, 1 << 30, False, id="a sorted file that fits the memory"),
        pytest.param("t.parquet", True, 20_000, False, id="sorted row groups"),
    ],
)
def test_a_file_sorted_by_the_label_that_is_streamed_is_told_of_with_what_to_do(
    name: str, is_sorted: bool, cache: int, told: bool, tmp_path: Path
) -> None:
    rng = np.random.default_rng(3)
    x = rng.normal(size=4000)
    x = np.sort(x) if is_sorted else x
    rows = pa.table({"x": x, "label": np.where(x > 0, "yes", "no")})
    if name == "t.csv":
        pa_csv.write_csv(rows, tmp_path / name)
    else:
        pq.write_table(rows, tmp_path / name, row_group_size=100)

    done = fitted(a_spec(tmp_path / name).with_fit(epochs=1), tmp_path, extra={"TRAINYARD_CACHE_BYTES": str(cache)})

    events = [each for each in done.events if each["event"] == "sorted-rows"]
    assert len(events) == told
    assert all(
        "shuffle the rows once, write them as several files or Parquet row groups" in e["message"] for e in events
    )


def test_how_many_pieces_are_read_at_a_time_is_said(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    columns: dict[str, Any] = {f"x{i}": rng.normal(size=10_000).astype(np.float32) for i in range(20)}
    pq.write_table(pa.table(columns | {"label": columns["x0"] > 0}), tmp_path / "t.parquet", row_group_size=250)

    done = fitted(
        a_spec(tmp_path / "t.parquet").with_fit(epochs=8, batchSize=256),
        tmp_path,
        extra={"TRAINYARD_CACHE_BYTES": "400000"},
    )

    assert done.the("reading")["shards"] in (1, 2, 4, 5)
    assert done.the("reading")["message"].startswith("shards of the data read at a time: ")


def test_a_parquet_folder_trains_like_the_csv_it_was_made_from(table: Path, tmp_path: Path) -> None:
    folder = tmp_path / "parts"
    folder.mkdir()
    pq.write_table(pa_csv.read_csv(table), folder / "part-0.parquet")
    (folder / "_SUCCESS").touch()

    one = run(a_spec(table), tmp_path).report
    other = run(a_spec(folder).named("other"), tmp_path).report

    assert one["metrics"] == other["metrics"]


def test_columns_may_have_any_name(tmp_path: Path) -> None:
    odd = ["mean radius", "größe (cm)", "a/b", "a_b", "2nd", "label 1", "class"]
    rows = [",".join([*odd, "self", "label"]), *(",".join([str(i % 2)] * 9) for i in range(40))]
    (tmp_path / "t.csv").write_text("\n".join(rows) + "\n")

    result = run(a_spec(tmp_path / "t.csv"), tmp_path)

    assert result.code == 0, result.stderr
    graph = saved_model_pb2.SavedModel.FromString((tmp_path / "store/sample/1/saved_model.pb").read_bytes())
    assert sorted(graph.meta_graphs[0].signature_def["serving_default"].inputs) == sorted([*odd, "self"])


def test_progress_is_served_from_the_start_to_the_end(table: Path, tmp_path: Path, free_port: int) -> None:
    run(a_spec(table), tmp_path, {names.PORT_ENV: str(free_port)})

    with urllib.request.urlopen(f"http://127.0.0.1:{free_port}/progress", timeout=10) as answer:
        progress = json.load(answer)
    assert (progress["phase"], progress["percent"], progress["epoch"], progress["step"]) == ("done", 100, 3, 36)
    assert progress["samplesPerSecond"] > 0


def bad(spec: Callable[[SpecBuilder], SpecBuilder], message: str) -> Any:
    return pytest.param(spec, message, id=message[:40])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        bad(lambda s: s.with_fit(epoch=3), "unknown field spec.fit.epoch; did you mean 'epochs'?"),
        bad(lambda s: s.with_data(label="lable"), "not a column of table.csv; did you mean 'label'?"),
        bad(lambda s: s.with_data(source={"uri": "/no/such/file.csv"}), "the data /no/such/file.csv does not exist"),
        bad(lambda s: s.with_keras(task="regression"), "expects a label that holds numbers"),
        bad(
            lambda s: s.with_fit(optimizer={"name": "adam", "momentum": 0.9}),
            "spec.fit.optimizer.momentum: only the optimizers sgd and rmsprop have a momentum",
        ),
        bad(lambda s: s.with_fit(classWeights={}), "spec.fit.classWeights: set exactly one of balanced and weights"),
        bad(
            lambda s: s.with_fit(classWeights={"weights": {"god": 2}}),
            "names 'god', which is not a class; did you mean 'good'? (the classes are bad, good)",
        ),
        bad(lambda s: s.with_fit(batchSize=4096), "fit.batchSize is 4096, but there are only 95 training rows"),
        bad(
            lambda s: s.with_fit(stopWhen={"noImprovement": {"metric": "val_acc"}}),
            "fit.stopWhen.noImprovement.metric is 'val_acc', which this training does not have",
        ),
    ],
)
def test_bad_input_ends_with_one_clear_line_everywhere(
    change: Callable[[SpecBuilder], SpecBuilder], message: str, table: Path, tmp_path: Path
) -> None:
    result = run(change(a_spec(table)), tmp_path)

    assert (result.code, result.report["reason"]) == (names.EXIT_BAD_INPUT, "BadInput")
    assert message in result.report["message"]
    assert result.stderr == f"BadInput: {result.report['message']}\n"
    assert result.the("failed")["message"] == result.report["message"]


def test_a_store_that_cannot_be_written_is_bad_input(table: Path, tmp_path: Path) -> None:
    (tmp_path / "store").write_text("a file where the folder should be")

    result = run(a_spec(table), tmp_path)

    assert (result.code, result.report["reason"]) == (names.EXIT_BAD_INPUT, "BadInput")
    assert "cannot write to the store at" in result.report["message"]


@pytest.mark.parametrize(("activation", "keep"), [("relu", "Never"), ("linear", "Always")])
def test_a_training_that_diverges_leaves_what_it_says_and_names_the_cause(
    activation: str, keep: str, table: Path, tmp_path: Path
) -> None:
    spec = a_spec(table).with_keras(activation=activation, hidden=[64, 64, 64]).with_checkpoint(everySteps=1)
    spec = spec.with_output(keep={"checkpoints": keep})

    result = run(spec.with_fit(optimizer={"name": "sgd", "learningRate": 100.0}, epochs=50), tmp_path)

    assert (result.code, result.report["reason"]) == (names.EXIT_DIVERGED, "Diverged"), result.report
    assert "step" in result.report["message"]
    assert "learning rate of 100" in result.report["message"]
    assert list((tmp_path / "store").rglob(names.MANIFEST_FILE)) == []
    assert bool(list((tmp_path / "store").rglob("*.ckpt"))) == (keep == "Always")


def test_an_unforeseen_failure_is_reported_as_one(table: Path, tmp_path: Path) -> None:
    (tmp_path / "store" / "sample").mkdir(parents=True)
    (tmp_path / "store" / "sample" / ".staging-uid-of-sample").write_text("a file where the folder should be")

    result = run(a_spec(table), tmp_path)

    assert (result.code, result.report["reason"]) == (1, "Failed")
    assert "FileExistsError" in result.report["message"]
    assert "Traceback" in result.stderr


@pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy keyword")  # Keras, with TensorFlow
@pytest.mark.parametrize("family", ["linear", "mlp"])
def test_a_version_has_the_network_for_keras_on_request(family: str, table: Path, tmp_path: Path) -> None:
    spec = a_spec(table).with_keras(family=family).with_fit(epochs=1).with_output(formats=["keras"])

    result = run(spec, tmp_path)

    assert result.code == 0, result.stderr
    version = tmp_path / "store" / "sample" / "1"
    network = keras.models.load_model(version / "model.keras")
    assert network.count_params() == result.the("model")["parameters"]
    manifest = json.loads((version / names.MANIFEST_FILE).read_text())
    assert "model.keras" in [each["path"] for each in manifest["files"]]


def test_trees_have_no_file_for_keras(table: Path, tmp_path: Path) -> None:
    result = run(a_tree_spec(table, "randomForest").with_output(formats=["keras"]), tmp_path)

    assert (result.code, result.report["reason"]) == (2, "BadInput")
    assert "only networks have a .keras file" in result.report["message"]
