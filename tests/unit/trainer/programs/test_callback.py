"""`Progress` in a program of one's own: what the operator sees of it, and the version it publishes."""

import json
import random
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from trainyard_operator.api import names
from trainyard_trainer import Progress

X, Y = np.linspace(-1, 1, 60, dtype=np.float32)[:, None], np.linspace(-2, 2, 60, dtype=np.float32)[:, None]


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
    chance, seen = random.Random(3), []
    monkeypatch.setattr(time, "time", lambda: chance.uniform(0, 2e9))
    progress = Progress({})
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    note = keras.callbacks.LambdaCallback(
        on_train_batch_end=lambda batch, logs: seen.append(progress.board.current.last_step_time)
    )

    model.fit(X, Y, epochs=10, batch_size=20, verbose=0, callbacks=[progress, note])

    assert len(seen) == 30
    assert seen == sorted(seen)
    assert seen[-1] - seen[0] < 60


def test_a_published_model_is_a_complete_version_and_is_published_once(env: dict[str, str], tmp_path: Path) -> None:
    progress = Progress(env)
    model = trained(progress)

    version = progress.publish(model)

    folder = tmp_path / "store" / "own" / "1"
    manifest = json.loads((folder / names.MANIFEST_FILE).read_text())
    assert (version.path, manifest["trainingJob"]["uid"]) == ("own/1", "uid-1")
    assert {each["path"] for each in manifest["files"]} >= {"saved_model.pb"}
    assert json.loads((tmp_path / "message").read_text())["model"]["digest"] == version.digest
    answer = tf.saved_model.load(str(folder)).signatures["serving_default"](tf.constant(X[:3]))
    np.testing.assert_allclose(next(iter(answer.values())), model.predict(X[:3], verbose=0), rtol=1e-5)
    assert Progress(env).publish(model) == version
    assert [each.name for each in folder.parent.iterdir()] == ["1"]


def test_a_saved_model_can_be_published_by_its_path(env: dict[str, str], tmp_path: Path) -> None:
    module = tf.Module()
    double = tf.function(lambda x: {"y": 2 * x}, input_signature=[tf.TensorSpec([None], tf.float32)])
    tf.saved_model.save(module, str(tmp_path / "mine"), signatures={"serving_default": double})

    version = Progress(env).publish(tmp_path / "mine")

    assert version.version == 1
    assert (tmp_path / "store" / "own" / "1" / "saved_model.pb").exists()


def test_outside_a_pod_it_does_nothing() -> None:
    progress = Progress({})

    trained(progress)

    assert progress.port is None
    assert progress.board.current.epoch == 4


def test_the_package_is_quick_to_import() -> None:
    code = "import sys, trainyard_trainer; sys.exit(any(name in sys.modules for name in ('tensorflow', 'keras')))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
