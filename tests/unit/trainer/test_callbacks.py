"""`Progress` in a program of one's own: what the operator sees of it, and the version it publishes."""

import json
import random
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from support.model_server import served
from support.signing_keys import write_keys
from support.stores import S3, every_third, s3_server
from support.trainer_runs import shared_verifier
from trainyard_api import names
from trainyard_trainer import Progress
from trainyard_trainer.errors import BadInput, ExportFailed
from trainyard_trainer.fetch import main as fetch
from trainyard_trainer.reporting.result import ModelVersion

X, Y = np.linspace(-1, 1, 60, dtype=np.float32)[:, None], np.linspace(-2, 2, 60, dtype=np.float32)[:, None]


@pytest.fixture(scope="module")
def s3() -> Iterator[S3]:
    with s3_server() as server:
        yield server


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    spec = tmp_path / "spec.json"
    spec.write_text(json.dumps({"metadata": {"name": "own", "namespace": "ml", "uid": "uid-1"}}))
    return {
        names.SPEC_ENV: str(spec),
        names.MODEL_DIR_ENV: str(tmp_path / "store" / "own"),
        names.TERMINATION_MESSAGE_ENV: str(tmp_path / "message"),
        names.PORT_ENV: "0",
    }


def trained(progress: Progress) -> keras.Model:
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    model.compile(keras.optimizers.SGD(0.1), "mse")
    model.fit(X, Y, epochs=4, batch_size=20, validation_split=0.5, verbose=0, callbacks=[progress])
    return model


def test_a_fit_shows_its_progress_and_leaves_its_result(env: dict[str, str], tmp_path: Path) -> None:
    progress = Progress(env)

    trained(progress)

    with urllib.request.urlopen(f"http://127.0.0.1:{progress.port}/progress") as answer:
        seen = json.load(answer)
    assert (seen["epoch"], seen["epochs"], seen["step"], seen["steps"], seen["percent"]) == (4, 4, 8, 8, 100)
    assert seen["loss"] == seen["metrics"]["loss"]
    assert seen["metrics"]["val_loss"] > 0
    report = json.loads((tmp_path / "message").read_text())
    assert (report["reason"], report["epochs"], report["model"]) == ("Done", 4, None)


def test_the_time_of_the_last_step_goes_on_while_the_machines_clock_is_set_back_again_and_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    chance = random.Random(3)
    seen: list[float] = []
    monkeypatch.setattr(time, "time", lambda: chance.uniform(0, 2e9))
    progress = Progress({})
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    note = keras.callbacks.LambdaCallback(
        on_train_batch_end=lambda batch, logs: seen.append(progress.tracker.current.last_step_time or 0.0)
    )

    model.fit(X, Y, epochs=10, batch_size=20, verbose=0, callbacks=[progress, note])

    assert len(seen) == 30
    assert seen == sorted(seen)
    assert seen[-1] - seen[0] < 60


def published(env: dict[str, str], model: Any) -> ModelVersion:
    return Progress(env, verifier=shared_verifier).publish(model)


def test_a_published_model_is_a_complete_version_and_is_published_once(env: dict[str, str], tmp_path: Path) -> None:
    progress = Progress(env, verifier=shared_verifier)
    model = trained(progress)

    version = progress.publish(model)

    folder = tmp_path / "store" / "own" / "1"
    manifest = json.loads((folder / names.MANIFEST_FILE).read_text())
    assert (version.path, manifest["trainingJob"]["uid"]) == ("own/1", "uid-1")
    assert {each["path"] for each in manifest["files"]} >= {"saved_model.pb"}
    assert json.loads((tmp_path / "message").read_text())["model"]["digest"] == version.digest
    answer = tf.saved_model.load(str(folder)).signatures["serving_default"](tf.constant(X[:3]))
    np.testing.assert_allclose(next(iter(answer.values())), model.predict(X[:3], verbose=0), rtol=1e-5)
    assert published(env, model) == version
    assert [each.name for each in folder.parent.iterdir()] == ["1"]


def a_model_of_two_inputs() -> keras.Model:
    inputs = {
        "mean radius": keras.Input((2,), name="mean radius"),
        "kind": keras.Input((1,), dtype="int32", name="kind"),
        "word": keras.Input((1,), dtype="string", name="word"),
    }
    kinds = layers.Flatten()(layers.Embedding(4, 3)(inputs["kind"]))
    words = layers.Flatten()(layers.Embedding(4, 3)(layers.StringLookup(vocabulary=["a", "b"])(inputs["word"])))
    x = layers.BatchNormalization()(layers.Concatenate()([inputs["mean radius"], kinds, words]))
    return keras.Model(inputs, {"size": layers.Dense(1)(x), "shape": layers.Dense(2)(layers.Dropout(0.5)(x))})


def test_inputs_and_outputs_have_their_names_in_the_manifest_and_for_clients(
    env: dict[str, str], tmp_path: Path
) -> None:
    model = a_model_of_two_inputs()

    published(env, model)

    folder = tmp_path / "store" / "own"
    signature = json.loads((folder / "1" / names.MANIFEST_FILE).read_text())["signatures"]["serving_default"]
    assert signature["inputs"] == {
        "kind": {"dtype": "int32", "shape": [None, 1]},
        "mean radius": {"dtype": "float32", "shape": [None, 2]},
        "word": {"dtype": "string", "shape": [None, 1]},
    }
    assert {name: each["shape"] for name, each in signature["outputs"].items()} == {
        "shape": [None, 2],
        "size": [None, 1],
    }
    row = {"mean radius": [0.5, -1.0], "kind": [2], "word": ["b"]}
    with served(folder, "own", tmp_path) as client:
        status, answer, _headers = client.rest("POST", "/v1/models/own:predict", {"instances": [row]})
    own = model({name: tf.constant([each]) for name, each in row.items()}, training=False)
    assert status == 200, answer
    (said,) = json.loads(answer)["predictions"]
    np.testing.assert_allclose(said["shape"], own["shape"][0], rtol=1e-4)
    np.testing.assert_allclose(said["size"], own["size"][0], rtol=1e-4)


def test_weights_are_written_once_and_without_those_of_the_optimizer(env: dict[str, str], tmp_path: Path) -> None:
    model = keras.Sequential([keras.Input((600,)), layers.Dense(600), layers.Dense(1)])
    model.compile("adam", "mse", metrics=["mae"])
    model.fit(np.zeros((4, 600)), np.zeros(4), verbose=0)

    published(env, model)

    (data,) = (tmp_path / "store" / "own" / "1" / "variables").glob("variables.data*")
    assert 4 * 600 * 600 < data.stat().st_size < 1.1 * 4 * 600 * 602


class Own(keras.Model):
    def __init__(self) -> None:
        super().__init__()
        self.last = layers.Dense(2)

    def call(self, x: Any) -> Any:
        return self.last(x)


def test_a_model_of_a_class_of_its_own_takes_what_it_was_called_with(env: dict[str, str], tmp_path: Path) -> None:
    model = Own()
    own = model(X[:5])

    published(env, model)

    answer = tf.saved_model.load(str(tmp_path / "store" / "own" / "1")).signatures["serving_default"]
    np.testing.assert_allclose(answer(inputs=tf.constant(X[:5]))["output_0"], own, rtol=1e-5)


def test_a_model_that_was_never_called_cannot_be_published(env: dict[str, str], tmp_path: Path) -> None:
    with pytest.raises(ExportFailed, match="call it once with all it takes, or save it yourself"):
        published(env, Own())

    assert list((tmp_path / "store").rglob(names.MANIFEST_FILE)) == []


def test_a_model_that_does_not_answer_in_a_fresh_process_as_here_is_not_published(
    env: dict[str, str], tmp_path: Path
) -> None:
    x = keras.Input((1,))

    class Here(layers.Layer):
        def call(self, x: Any) -> Any:
            return x + tf.random.uniform((1, 1))  # another answer each time

    with pytest.raises(ExportFailed):
        published(env, keras.Model(x, Here()(x)))

    assert list((tmp_path / "store").rglob(names.MANIFEST_FILE)) == []


def test_a_version_is_uploaded_to_a_store_that_fails_every_third_request(
    env: dict[str, str], s3: S3, tmp_path: Path
) -> None:
    s3.bucket("programs")
    job = {"metadata": {"name": "own", "uid": "uid-1"}, "spec": {"output": {"store": {"uri": "s3://programs/models"}}}}
    Path(env[names.SPEC_ENV]).write_text(json.dumps(job))
    model = trained(Progress({}))

    with s3.failing(every_third):
        version = published(env | s3.env, model)

    manifest = json.loads(s3.get("programs", "models/own/1/trainyard.json"))
    assert sorted(s3.keys("programs")) == sorted(
        [*(f"models/own/1/{each['path']}" for each in manifest["files"]), "models/own/1/trainyard.json"]
    )
    assert json.loads((tmp_path / "message").read_text())["model"] == version.to_wire()
    elsewhere = {names.MODEL_DIR_ENV: str(tmp_path / "other" / "own")}
    assert published(env | s3.env | elsewhere, model) == version
    fetched = tmp_path / "served" / "own" / "1"
    assert fetch(["--source", "s3://programs/models/own/1", "--target", str(fetched), "--wait", "0"], s3.env) == 0
    with served(fetched.parent, "own", tmp_path) as client:
        status, answer, _headers = client.rest("POST", "/v1/models/own:predict", {"instances": X[:2].tolist()})
    assert status == 200, answer
    np.testing.assert_allclose(json.loads(answer)["predictions"], model(X[:2]), rtol=1e-4)


def test_a_store_that_refuses_says_so_to_the_program(env: dict[str, str], s3: S3) -> None:
    job = {"metadata": {"name": "own", "uid": "uid-1"}, "spec": {"output": {"store": {"uri": "s3://nowhere/models"}}}}
    Path(env[names.SPEC_ENV]).write_text(json.dumps(job))

    with pytest.raises(BadInput, match="there is no such bucket"):
        published(env | s3.env, trained(Progress({})))


def test_a_saved_model_can_be_published_by_its_path(env: dict[str, str], tmp_path: Path) -> None:
    module = tf.Module()
    double = tf.function(lambda x: {"y": 2 * x}, input_signature=[tf.TensorSpec([None], tf.float32)])
    tf.saved_model.save(module, str(tmp_path / "mine"), signatures={"serving_default": double})

    version = published(env, tmp_path / "mine")

    assert version.version == 1
    assert (tmp_path / "store" / "own" / "1" / "saved_model.pb").exists()
    manifest = json.loads((tmp_path / "store" / "own" / "1" / names.MANIFEST_FILE).read_text())
    vector = {"dtype": "float32", "shape": [None]}
    assert manifest["signatures"] == {"serving_default": {"inputs": {"x": vector}, "outputs": {"y": vector}}}


def test_a_version_is_signed_where_the_job_has_a_key(env: dict[str, str], tmp_path: Path) -> None:
    private, _public = write_keys(tmp_path)

    published(env | {names.SIGNING_KEY_ENV: str(private)}, trained(Progress({})))

    assert (tmp_path / "store" / "own" / "1" / names.SIGNATURE_FILE).exists()


def test_outside_a_pod_it_does_nothing() -> None:
    progress = Progress({})

    trained(progress)

    assert progress.port is None
    assert progress.tracker.current.epoch == 4


def test_the_package_is_quick_to_import() -> None:
    code = "import sys, trainyard_trainer; sys.exit(any(name in sys.modules for name in ('tensorflow', 'keras')))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


class _ReadsFiles(tf.Module):
    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="path")])
    def serve(self, path: Any) -> dict[str, Any]:
        return {"content": tf.map_fn(tf.io.read_file, path)}


def test_a_model_that_servers_refuse_is_not_published_unless_it_is_meant(env: dict[str, str], tmp_path: Path) -> None:
    module = _ReadsFiles()
    # Another signature, so that nobody asks it for files that are not there.
    tf.saved_model.save(module, str(tmp_path / "saved"), signatures={"read": module.serve})

    with pytest.raises(BadInput, match="the model to publish uses ReadFile: a served model may compute from its"):
        Progress(env, verifier=shared_verifier).publish(tmp_path / "saved")
    version = Progress(env, verifier=shared_verifier).publish(tmp_path / "saved", any_operation=True)

    assert (version.version, list((tmp_path / "store" / "own").glob("[0-9]*"))) == (1, [tmp_path / "store/own/1"])
