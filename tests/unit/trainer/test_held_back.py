"""Validation by fraction, by other files and by column, for folders of files and NPZ files."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from support.pictures import SIDE, write_folders
from support.trainer_fits import Fitted, checkpoint_folder, fitted
from support.trainer_runs import SpecBuilder, a_spec
from trainyard_trainer.data.labels import ClassLabels
from trainyard_trainer.errors import BadInput

CLASSES = {"disc": 160, "cross": 40}


def write_texts(folder: Path, counts: dict[str, int]) -> Path:
    """Write texts of two words each into a folder for each class, whose name is one of the words."""
    for name, count in counts.items():
        (folder / name).mkdir(parents=True)
        for number in range(count):
            (folder / name / f"{number}.txt").write_text(f"{name} {number % 7}")
    return folder


def texts(folder: Path) -> SpecBuilder:
    spec = a_spec(folder)._with("program", {"keras": {"family": "textClassifier", "task": "binaryClassification"}})
    return spec.with_data(format="directory").with_fit(epochs=3, batchSize=16)


def write_points(path: Path, count: int, **arrays: Any) -> Path:
    """Write points that are good where their first number is the larger one."""
    points = np.random.default_rng(count).normal(size=(count, 2))
    np.savez(path, points=points, label=np.where(points[:, 0] > points[:, 1], "good", "bad"), **arrays)
    return path


def points(path: Path) -> SpecBuilder:
    return a_spec(path).with_fit(epochs=6, optimizer={"name": "adam", "learningRate": 0.05})


def rows(done: Fitted) -> tuple[int, int]:
    return done.prepared.profile.training_rows, done.prepared.profile.validation_rows


def test_a_model_of_images_is_validated_with_those_of_another_folder(tmp_path: Path) -> None:
    write_folders(tmp_path / "train", 160)
    write_folders(tmp_path / "test", 40, seed=9)
    image = {"height": SIDE, "width": SIDE, "filters": [8, 16]}
    keras = {"family": "cnn", "task": "binaryClassification", "image": image, "hidden": [8]}
    spec = a_spec(tmp_path / "train")._with("program", {"keras": keras}).with_fit(epochs=12)

    done = fitted(spec.with_data(format="directory", validation={"uri": "test"}), tmp_path)

    assert rows(done) == (160, 40)
    assert done.progress.metrics["val_accuracy"] > 0.9
    assert done.the("data")["validation"]["location"] == str(tmp_path / "test")


def test_a_model_is_validated_with_the_rows_of_another_npz_file(tmp_path: Path) -> None:
    data = write_points(tmp_path / "train.npz", 200)
    write_points(tmp_path / "test.npz", 60)

    done = fitted(points(data).with_data(validation={"uri": "test.npz"}), tmp_path)

    assert rows(done) == (200, 60)
    assert done.progress.metrics["val_accuracy"] > 0.9


def test_a_model_is_validated_with_the_rows_that_an_array_chooses(tmp_path: Path) -> None:
    data = write_points(tmp_path / "t.npz", 240, split=np.where(np.arange(240) < 200, "train", "val"))

    done = fitted(points(data).with_data(validation={"column": "split"}), tmp_path)

    assert rows(done) == (200, 40)
    assert done.progress.metrics["val_accuracy"] > 0.9
    assert [each.name for each in done.prepared.profile.schema.features] == ["points_0", "points_1"]


def test_a_class_that_only_the_other_folder_has_is_named(tmp_path: Path) -> None:
    write_texts(tmp_path / "train", {"disc": 5, "cross": 5})
    write_texts(tmp_path / "test", {"disc": 5, "bar": 5})
    spec = texts(tmp_path / "train").with_data(validation={"uri": "test"})

    with pytest.raises(BadInput, match="the class 'bar' of the label 'label' is in validation or test rows only"):
        fitted(spec.with_program(keras={"family": "textClassifier", "task": "multiclassClassification"}), tmp_path)


def test_a_class_that_only_the_other_npz_file_has_is_named(tmp_path: Path) -> None:
    np.savez(tmp_path / "train.npz", a=np.arange(4.0), label=np.array([0, 1, 0, 1]))
    np.savez(tmp_path / "test.npz", a=np.arange(4.0), label=np.array([0, 1, 2, 1]))
    spec = a_spec(tmp_path / "train.npz", task="multiclassClassification").with_data(validation={"uri": "test.npz"})

    with pytest.raises(BadInput, match="the class '2' of the label 'label' is in validation or test rows only"):
        fitted(spec, tmp_path)


def test_a_folder_has_no_column_to_choose_the_validation_rows_by(tmp_path: Path) -> None:
    write_texts(tmp_path / "data", CLASSES)

    with pytest.raises(BadInput, match=r"files in folders have no columns: .* name it in validation.uri"):
        fitted(texts(tmp_path / "data").with_data(validation={"column": "split"}), tmp_path)


def _npz(folder: Path) -> SpecBuilder:
    labels = np.repeat(list(CLASSES), list(CLASSES.values()))
    np.savez(folder / "t.npz", a=np.arange(200.0), label=labels)
    return points(folder / "t.npz")


@pytest.mark.parametrize(
    "make", [lambda folder: texts(write_texts(folder / "data", CLASSES)), _npz], ids=["directory", "npz"]
)
def test_a_fraction_is_taken_of_every_class_alike_and_the_same_again_after_a_resume(make: Any, tmp_path: Path) -> None:
    spec = make(tmp_path).with_data(validation={"fraction": 0.2}).with_checkpoint(everySteps=5)
    first = fitted(spec.with_fit(epochs=2), tmp_path)

    max(checkpoint_folder(tmp_path).glob("step-*.ckpt")).unlink()
    resumed = fitted(spec.with_fit(epochs=2), tmp_path)

    assert isinstance(first.prepared.profile.labels, ClassLabels)
    assert first.prepared.profile.labels.counts == tuple(CLASSES[name] * 4 // 5 for name in sorted(CLASSES))
    assert rows(first) == (160, 40)
    for one, other in zip(first.prepared.profile.masks, resumed.prepared.profile.masks, strict=True):
        np.testing.assert_array_equal(one, other)
    assert resumed.the("resumed")["step"] < resumed.progress.step
    assert first.digest == resumed.digest
