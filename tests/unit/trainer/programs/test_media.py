"""Programs of a user's own that learn from images, texts and sounds, the examples of the documentation among them."""

from pathlib import Path
from typing import Any, cast

import keras
import numpy as np
import pytest
import tensorflow as tf

from support.documentation import code_in, spec_in
from support.pictures import SIDE, encoded, pictures
from support.pictures import write_folders as write_pictures
from support.reviews import reviews, write_reviews
from support.sounds import glides
from support.sounds import write_folders as write_sounds
from support.trained import served_accuracy, trained_well
from support.trainer_fits import fitted
from support.trainer_runs import SpecBuilder, a_spec, run
from trainyard_api import names
from trainyard_trainer.export.saved_model import ServingModel, save
from trainyard_trainer.fitting.steps import LABELS, as_block

SHAPES = """
import keras

def build(data, *, filters=(8, 16), frozen=False):
    inputs = data.keras_inputs()
    x = keras.layers.Rescaling(1 / 127.5, offset=-1)(inputs["pixels"])
    for each in filters:
        x = keras.layers.Conv2D(each, 3, padding="same", use_bias=False)(x)
        x = keras.layers.ReLU()(keras.layers.BatchNormalization(momentum=0.8)(x))
        x = keras.layers.MaxPooling2D()(x)
    encoder = keras.Model(inputs["pixels"], keras.layers.GlobalAveragePooling2D()(x), name="encoder")
    encoder.trainable = not frozen
    return keras.Sequential([encoder, keras.layers.Dense(data.outputs)])
"""


def a_program(entry_point: str, data: Path, task: str, **fields: Any) -> SpecBuilder:
    program = {"entryPoint": entry_point, "task": task, "source": {"configMap": {"name": "code"}}}
    return a_spec(data).with_program(python=program | fields)


def in_folders(spec: SpecBuilder) -> SpecBuilder:
    source = spec.manifest["spec"]["data"]["source"]
    return spec._with("data", {"source": source, "format": "directory", "validation": {"fraction": 0.2}})


def code(folder: Path, file: str, content: str) -> dict[str, str]:
    (folder / "code").mkdir()
    (folder / "code" / file).write_text(content)
    return {names.CODE_DIR_ENV: str(folder / "code")}


def shapes(folder: Path, **hyperparameters: Any) -> SpecBuilder:
    data = write_pictures(folder / "data", 200)
    image = {"height": SIDE, "width": SIDE}
    spec = a_program("shapes:build", data, "binaryClassification", image=image, hyperparameters=hyperparameters)
    return in_folders(spec)


def test_an_encoder_of_ones_own_learns_from_images_and_is_served_with_their_bytes(tmp_path: Path) -> None:
    spec = shapes(tmp_path).with_fit(epochs=12)

    trained_well(spec, tmp_path, accuracy=0.9, extra=code(tmp_path, "shapes.py", SHAPES))

    unseen, kinds = pictures(60, seed=9)
    assert served_accuracy(tmp_path, {"image_bytes": encoded(unseen)}, kinds) > 0.9


@pytest.mark.thorough
def test_the_example_for_texts_learns_what_stands_together_and_is_served_with_texts(tmp_path: Path) -> None:
    data = write_reviews(tmp_path / "reviews.csv", 900)
    spec = a_program("tone:build", data, "binaryClassification", text={"maxTokens": 5000})
    spec = spec.with_fit(epochs=6, batchSize=32)

    trained_well(
        spec, tmp_path, accuracy=0.95, extra=code(tmp_path, "tone.py", code_in("how-to/programs.md", "tone.py"))
    )

    texts, classes = reviews(200, seed=9)
    assert served_accuracy(tmp_path, {"review": texts}, classes) > 0.95


@pytest.mark.thorough
def test_the_example_for_sounds_learns_what_becomes_of_their_pitch_and_is_served_with_wav_files(tmp_path: Path) -> None:
    data = write_sounds(tmp_path / "data", *glides(360))
    spec = in_folders(a_program("birds:build", data, "multiclassClassification", audio={"numMelBins": 40}))
    spec = spec.with_fit(epochs=20, batchSize=16)

    trained_well(
        spec, tmp_path, accuracy=0.9, extra=code(tmp_path, "birds.py", code_in("how-to/programs.md", "birds.py"))
    )

    sounds, classes = glides(150, seed=9)
    assert served_accuracy(tmp_path, {"audio_bytes": sounds}, classes) > 0.9


# Of Keras, as it writes and reads weights.
@pytest.mark.thorough
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
def test_the_example_for_images_trains_the_last_layer_on_a_network_with_weights_from_a_file(tmp_path: Path) -> None:
    shape = (32, 32, 3)
    known = keras.applications.MobileNetV2(shape, alpha=0.35, include_top=False, weights=None, pooling="avg")
    known.save_weights(tmp_path / "known.weights.h5")
    example = spec_in("how-to/programs.md", "leaves-transfer").named("sample")
    program = example.manifest["spec"]["program"]["python"] | {
        "hyperparameters": {"weights": str(tmp_path / "known.weights.h5"), "alpha": 0.35},
        "image": {"height": 32, "width": 32},
        "source": {"configMap": {"name": "code"}},
    }
    data = {"source": {"uri": str(write_pictures(tmp_path / "data", 40))}, "format": "directory"}
    spec = example.with_program(python=program | {"task": "binaryClassification"})._with("data", data)

    extra = code(tmp_path, "leaves.py", code_in("how-to/programs.md", "leaves.py"))
    done = fitted(spec._with("fit", {"epochs": 1, "batchSize": 8}), tmp_path, extra=extra)

    backbone = cast(Any, done.trained.model).get_layer(known.name)
    for one, other in zip(backbone.weights, known.weights, strict=True):
        np.testing.assert_array_equal(one, other, err_msg=one.path)
    assert len(done.trained.model.trainable_variables) == 2


def test_the_exported_model_has_the_moving_averages_of_the_best_weights(tmp_path: Path) -> None:
    best = {"noImprovement": {"metric": "val_loss", "epochs": 9}}
    spec = shapes(tmp_path).with_fit(epochs=4, stopWhen=best)
    files = tf.constant(encoded(pictures(20, seed=3)[0]))

    done = fitted(spec, tmp_path, extra=code(tmp_path, "shapes.py", SHAPES))
    model, encoder, task = done.trained.model, done.trained.encoder, done.trained.task
    save(ServingModel(model, encoder, task), tmp_path / "model")

    rows = done.prepared.profile.kept.validation
    assert rows is not None
    block = as_block(rows, encoder.encode)
    losses = task.loss(block.pop(LABELS), model(block, training=False))
    assert np.mean(losses) == pytest.approx(done.trained.end.metrics["val_loss"], rel=1e-4)
    served = tf.saved_model.load(str(tmp_path / "model")).signatures["serving_default"](image_bytes=files)
    in_inference, in_training = (
        task.serve(model(encoder.from_client({"image_bytes": files}), training=each)) for each in (False, True)
    )
    np.testing.assert_allclose(served["probability"], in_inference["probability"], rtol=1e-4)
    assert not np.allclose(served["probability"], in_training["probability"], rtol=1e-2)


def test_layers_that_are_frozen_keep_weights_and_moving_averages(tmp_path: Path) -> None:
    extra = code(tmp_path, "shapes.py", SHAPES)
    spec = shapes(tmp_path, frozen=True)

    once, again = (
        fitted(spec.with_fit(epochs=each), tmp_path / str(each), extra=extra).trained.model for each in (1, 2)
    )

    for one, other in zip(once.layers[0].weights, again.layers[0].weights, strict=True):
        np.testing.assert_array_equal(one, other, err_msg=one.path)
    averages = [each.numpy() for each in again.layers[0].weights if "moving_mean" in each.path]
    assert [each.any() for each in averages] == [False, False]
    assert not np.allclose(once.layers[1].weights[0], again.layers[1].weights[0])


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (
            {},
            "a table has numbers and texts only: set program.python.image: {} for images, set program.python.audio: {}",
        ),
        ({"text": {}}, "program.python.text learns from one column of texts, but the features are image (bytes)"),
        ({"image": {}, "text": {}}, "set one of image, text and audio, or none for a table"),
        ({"image": {"colours": 3}}, "unknown field spec.program.python.image.colours"),
    ],
)
def test_a_program_that_reads_the_wrong_kind_of_data_is_told_which_field_says_so(
    fields: dict[str, Any], message: str, tmp_path: Path
) -> None:
    spec = in_folders(
        a_program("shapes:build", write_pictures(tmp_path / "data", 10), "binaryClassification", **fields)
    )

    result = run(spec, tmp_path, code(tmp_path, "shapes.py", SHAPES))

    assert (result.code, result.report["reason"]) == (names.EXIT_BAD_INPUT, "BadInput"), result.stderr
    assert message in result.report["message"]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"image": {}}, "program.python.image expects one column of images, but the features are review (text): name "),
        ({"image": {}}, "or set program.python.text: {}, which fits these columns"),
        (
            {"audio": {}},
            "program.python.audio learns from one column with the bytes of WAV files, but the features are",
        ),
    ],
)
def test_a_program_for_files_that_gets_a_table_is_told_what_to_change(
    fields: dict[str, Any], message: str, tmp_path: Path
) -> None:
    spec = a_program("shapes:build", write_reviews(tmp_path / "t.csv", 20), "binaryClassification", **fields)

    assert message in run(spec, tmp_path, code(tmp_path, "shapes.py", SHAPES)).report["message"]
