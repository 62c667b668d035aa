"""What is in the files of an exported model."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from support.reviews import write_reviews
from support.trainer_runs import SpecBuilder, a_spec, run, weights, write_table
from support.user_programs import a_program, code

WIDE = """
import keras

def build(data):
    inputs = data.keras_inputs()
    vectors = keras.layers.Flatten()(keras.layers.Embedding(data.inputs["slots"].slots, 4000)(inputs["slots"]))
    x = keras.layers.Concatenate()([inputs["dense_features"], keras.layers.BatchNormalization()(vectors)])
    x = keras.layers.Dropout(0.1)(x)
    model = keras.Model(inputs, keras.layers.Dense(data.outputs, activation="sigmoid")(x))
    model.compile(loss="binary_crossentropy", metrics=["accuracy"])
    return model
"""


def of_texts(folder: Path) -> SpecBuilder:
    text = {"embeddingDim": 256, "layer": "multiHeadAttention"}
    return a_spec(write_reviews(folder / "reviews.csv", 60)).with_keras(family="textClassifier", text=text)


def of_a_program(folder: Path) -> SpecBuilder:
    return a_program(write_table(folder / "table.csv"), "wide:build")


@pytest.mark.thorough
@pytest.mark.parametrize("spec", [of_texts, of_a_program])
def test_embeddings_are_written_once(spec: Callable[[Path], SpecBuilder], tmp_path: Path) -> None:
    result = run(spec(tmp_path).with_fit(epochs=1), tmp_path, code(tmp_path, "wide.py", WIDE))

    assert result.code == 0, result.stderr
    written = [value for value in weights(tmp_path).values() if value.dtype == np.float32]
    assert sum(value.size for value in written) == result.the("model")["parameters"]
    (data,) = (tmp_path / "store" / "sample" / "1" / "variables").glob("variables.data*")
    assert data.stat().st_size < 1.1 * 4 * result.the("model")["parameters"]
