"""Every family's model says the same through a server, over REST and gRPC, as it says to its trainer."""

import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
import tensorflow as tf

from support.model_server import served
from support.pictures import write_folders
from support.reviews import reviews
from support.sounds import glide, wav
from support.trainer_fits import fitted
from support.trainer_runs import SpecBuilder, a_spec, a_tree_spec, write_table
from trainyard_operator.api.program import Family
from trainyard_trainer.export.saved_model import ServingModel, samples, save
from trainyard_trainer.export.verify import difference


def of_a_table(**keras: Any) -> Callable[[Path], SpecBuilder]:
    return lambda folder: a_spec(write_table(folder / "table.csv")).with_keras(**keras)


def of_trees(family: str) -> Callable[[Path], SpecBuilder]:
    return lambda folder: a_tree_spec(write_table(folder / "table.csv"), family)


def of_files(**keras: Any) -> Callable[[Path], SpecBuilder]:
    def spec(folder: Path) -> SpecBuilder:
        {"cnn": write_pictures, "textClassifier": write_texts, "audioClassifier": write_sounds}[keras["family"]](folder)
        return a_spec(folder / "files").with_data(format="directory").with_keras(**keras).with_fit(epochs=2)

    return spec


def write_pictures(folder: Path) -> None:
    write_folders(folder / "files", 40)


def write_texts(folder: Path) -> None:
    for number, (text, class_) in enumerate(zip(*reviews(80), strict=True)):
        write(folder / "files" / class_ / f"{number}.txt", text.encode())


def write_sounds(folder: Path) -> None:
    rng = np.random.default_rng(1)
    for number in range(60):
        class_, direction = [("stays", 0), ("rises", 1), ("falls", -1)][number % 3]
        write(folder / "files" / class_ / f"{number}.wav", wav(glide(direction, rng)))


def write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


CASES = {
    "linear": of_a_table(family="linear"),
    "mlp": of_a_table(),
    "svm": of_a_table(family="svm", kernel="rbf", randomFeatures=32),
    "gradientBoostedTrees": of_trees("gradientBoostedTrees"),
    "randomForest": of_trees("randomForest"),
    "cnn": of_files(family="cnn", image={"height": 24, "width": 24, "filters": [4]}),
    "textClassifier": of_files(family="textClassifier", text={"filters": 8}),
    "audioClassifier": of_files(
        family="audioClassifier", task="multiclassClassification", audio={"filters": [4], "numMelBins": 16}
    ),
}


def test_no_family_is_left_out() -> None:
    assert sorted(CASES) == sorted(get_args(Family))


@pytest.mark.parametrize("family", CASES)
def test_a_model_answers_over_both_protocols_as_it_answered_its_trainer(family: str, tmp_path: Path) -> None:
    done = fitted(CASES[family](tmp_path), tmp_path)
    model = tmp_path / "served"
    save(ServingModel(done.trained.model, done.trained.encoder, done.trained.task), model / "1")
    rows, expected = samples(done.prepared.table, done.trained)

    with served(model, family, tmp_path) as client:
        reply = client.predict(family, **rows)
        instances = [dict(zip(rows, map(as_json, row), strict=True)) for row in zip(*rows.values(), strict=True)]
        status, body, _ = client.rest("POST", f"/v1/models/{family}:predict", {"instances": instances})

    assert status == 200, body
    over_grpc = {name: tf.make_ndarray(tensor).tolist() for name, tensor in reply.outputs.items()}
    over_grpc["label"] = [each.decode() for each in over_grpc["label"]]
    predictions = json.loads(body)["predictions"]
    over_rest = {name: [each[name] for each in predictions] for name in predictions[0]}
    assert difference(over_grpc, expected) is None
    assert difference(over_rest, expected) is None


def as_json(value: Any) -> Any:
    return {"b64": base64.b64encode(value).decode()} if isinstance(value, bytes) else value
