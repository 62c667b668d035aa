"""Family cnn: pictures from folders, Parquet and NPZ, to a model that a server answers raw image files with."""

import base64
import json
import signal
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import tensorflow as tf

from support.model_server import served
from support.pictures import SIDE, encoded, pictures, write_folders
from support.tables import write_records
from support.trained import assert_core_operations
from support.trainer_runs import Result, SpecBuilder, a_spec, kinds_of_operations, run, start
from trainyard_api import names
from trainyard_api.images import Augment, Image
from trainyard_api.program import KerasProgram
from trainyard_trainer.data.images import PIXELS
from trainyard_trainer.encoding.images import ImageInputs
from trainyard_trainer.models.cnn import build_cnn

SMALL = {"height": SIDE, "width": SIDE, "filters": [8, 16]}


def a_cnn(data: Path, *, task: str = "binaryClassification", **image: Any) -> SpecBuilder:
    keras_ = {"family": "cnn", "task": task, "image": SMALL | image, "hidden": [8]}
    return a_spec(data)._with("program", {"keras": keras_}).with_fit(epochs=8)


def weights(folder: Path) -> dict[str, Any]:
    reader = tf.train.load_checkpoint(str(folder / "store" / "sample" / "1" / "variables" / "variables"))
    return {name: reader.get_tensor(name) for name in reader.get_variable_to_shape_map() if "OBJECT" not in name}


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_folders(tmp_path_factory.mktemp("pictures"))


@pytest.fixture(scope="module")
def trained(folders: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Result]:
    folder = tmp_path_factory.mktemp("trained")
    spec = a_cnn(folders, augment={"flip": "horizontal", "translation": 0.1}).with_data(format="directory")
    return folder, run(spec.with_fit(epochs=12), folder)


def test_folders_of_images_become_a_model_that_tells_shapes_apart(trained: tuple[Path, Result], tmp_path: Path) -> None:
    folder, result = trained
    assert result.code == 0, result.stderr
    assert result.the("verified")  # a fresh process has given the trainer's own answers
    assert result.report["metrics"]["val_accuracy"] >= 0.95
    unseen, kinds = pictures(50, seed=9)

    with served(folder / "store" / "sample", "sample", tmp_path) as client:
        instances = [{"image_bytes": {"b64": base64.b64encode(each).decode()}} for each in encoded(unseen)]
        status, answer, _ = client.rest("POST", "/v1/models/sample:predict", {"instances": instances})

    assert status == 200, answer
    found = [each["label"] for each in json.loads(answer)["predictions"]]
    assert np.mean([one == other for one, other in zip(found, kinds, strict=True)]) >= 0.95


def test_the_saved_graph_holds_core_operations_only_and_none_of_the_changes_to_training_images(
    trained: tuple[Path, Result],
) -> None:
    version = trained[0] / "store" / "sample" / "1"

    assert_core_operations(version)
    operations = kinds_of_operations(version)
    assert "DecodeImage" in operations
    assert not any("Random" in each for each in operations)


def in_parquet(path: Path, columns: dict[str, Any]) -> None:
    pq.write_table(pa.table(columns), path, row_group_size=60)


def in_records(path: Path, columns: dict[str, Any]) -> None:
    write_records(path, [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)])


@pytest.mark.thorough
@pytest.mark.parametrize(("name", "write"), [("t.parquet", in_parquet), ("t.tfrecord", in_records)])
def test_images_in_a_parquet_or_tfrecord_file_train_as_well(name: str, write: Any, tmp_path: Path) -> None:
    pixels, kinds = pictures(240, of=("disc", "cross", "bar"))
    write(tmp_path / name, {"id": range(240), "picture": encoded(pixels), "label": kinds})
    spec = a_cnn(tmp_path / name, task="multiclassClassification").with_data(features=["picture"])

    result = run(spec.with_fit(epochs=12), tmp_path)

    assert result.code == 0, result.stderr
    assert result.report["metrics"]["val_accuracy"] >= 0.95
    assert inputs(tmp_path) == {"picture_bytes": {"dtype": "string", "shape": [None]}}


@pytest.mark.thorough
def test_arrays_in_an_npz_file_train_as_well_where_they_do_not_fit_in_memory(tmp_path: Path) -> None:
    light = np.arange(180) % 3
    noise = np.random.default_rng(2).integers(0, 40, (180, 8, 8))
    image = (light[:, None, None] * 100 + noise).astype(np.float32)
    np.savez(tmp_path / "t.npz", image=image, id=np.arange(180), label=100 + 50 * light)
    spec = a_cnn(tmp_path / "t.npz", task="regression", height=8, width=8, filters=[8])
    spec = spec.with_keras(normalization="none").with_data(features=["image"])
    spec = spec.with_fit(epochs=30, optimizer={"name": "adam", "learningRate": 0.02})

    result = run(spec, tmp_path, {"TRAINYARD_CACHE_BYTES": "30000"})

    assert result.code == 0, result.stderr
    assert "streamed" in result.the("data")["message"]
    assert result.report["metrics"]["val_mae"] < 10  # the deviation of the label is 41
    assert inputs(tmp_path) == {"image": {"dtype": "float32", "shape": [None, 8, 8]}}


def inputs(folder: Path) -> Any:
    manifest = json.loads((folder / "store/sample/1" / names.MANIFEST_FILE).read_text())
    return manifest["signatures"]["serving_default"]["inputs"]


@pytest.mark.thorough
def test_killed_while_it_trains_it_ends_with_the_weights_of_an_undisturbed_run(tmp_path: Path) -> None:
    augment = {"flip": "horizontal", "rotation": 0.1}
    spec = (
        a_cnn(write_folders(tmp_path / "data", 60), augment=augment, filters=[8])
        .with_keras(normalization="batchNormalization")
        .with_data(format="directory")
        .with_fit(epochs=4)
        .with_checkpoint(everySteps=2)
    )
    (tmp_path / "undisturbed").mkdir()
    undisturbed = run(spec, tmp_path / "undisturbed")

    with start(spec, tmp_path) as process:
        assert process.stdout is not None
        next(line for line in process.stdout if json.loads(line)["event"] == "epoch")
        process.kill()
        process.communicate()
    assert process.returncode == -signal.SIGKILL
    again = run(spec, tmp_path)

    assert again.the("resumed")["step"] < again.report["steps"]
    assert again.report["metrics"] == undisturbed.report["metrics"]
    expected = weights(tmp_path / "undisturbed")
    for name, value in weights(tmp_path).items():
        np.testing.assert_array_equal(value, expected[name], err_msg=name)
    # The moving averages are among them: the filters' scales, shifts, means and variances are not as they began.
    vectors = [value for value in expected.values() if value.shape == (8,)]
    assert sum(not (each == each[0]).all() for each in vectors) >= 4


def test_changes_to_images_are_for_training_only() -> None:
    augment = Augment(flip="horizontal_and_vertical", translation=0.2, rotation=0.2, zoom=0.2, contrast=0.5)
    program = KerasProgram(
        family="cnn", task="binaryClassification", dropout=0.0, image=Image(filters=[4], augment=augment)
    )
    keras.utils.set_random_seed(1)
    model = build_cnn(program, ImageInputs((8, 8, 1), "uint8"), 1)
    pixels = {PIXELS: np.random.default_rng(1).integers(0, 255, (4, 8, 8, 1)).astype(np.uint8)}

    served_, again, changed = (np.asarray(model(pixels, training=each)) for each in (False, False, True))

    np.testing.assert_array_equal(served_, again)
    assert not np.allclose(served_, changed)


def a_table(folder: Path) -> SpecBuilder:
    (folder / "t.csv").write_text("a,label\n" + "1,x\n2,y\n" * 20)
    return a_cnn(folder / "t.csv")


def images_for_mlp(folder: Path) -> SpecBuilder:
    return a_spec(write_folders(folder / "data", 20)).with_data(format="directory")


def a_corrupt_file(folder: Path) -> SpecBuilder:
    data = write_folders(folder / "data", 20)
    (data / "disc" / "broken.png").write_bytes((data / "disc" / "0000.png").read_bytes()[:200])
    return a_cnn(data).with_data(format="directory")


def one_class(folder: Path) -> SpecBuilder:
    write_folders(folder / "data", 20)
    (folder / "data" / "disc").rename(folder / "data" / "_disc")
    return a_cnn(folder / "data").with_data(format="directory")


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (a_table, "family cnn expects one column of images, but the features are a (number)"),
        (images_for_mlp, "column 'image' holds bytes or arrays, and a table has numbers and texts only: use "),
        (a_corrupt_file, "disc/broken.png: cannot be read as an image, expected a PNG, JPEG, BMP or GIF"),
        (one_class, "has one class only ('cross' in every row)"),
        (lambda folder: a_cnn(folder / "none").with_keras(family="mlp"), "image is for family cnn only"),
        (lambda folder: a_cnn(folder)._with("data", {"source": {"uri": "x"}}), "label is missing: name the column"),
    ],
)
def test_what_a_cnn_cannot_learn_from_is_bad_input(spec: Any, message: str, tmp_path: Path) -> None:
    result = run(spec(tmp_path), tmp_path)

    assert (result.code, result.report["reason"]) == (names.EXIT_BAD_INPUT, "BadInput"), result.stderr
    assert message in result.report["message"]
