"""What the trainer is measured on: for each case the data, the spec, and `model.fit` as a user would write it."""

import importlib.util
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

EXAMPLE = Path(__file__).parents[1] / "examples" / "dense-100"
Keras = tuple[Any, dict[str, Any]]
"""A compiled model, and what its `fit` is given beside epochs and callbacks."""


@dataclass(frozen=True)
class Case:
    """One model and its data; `program` is that of the spec.

    Where there is a `keras` to compare with, `at_least` is the ratio to it that is wanted on a CPU. With
    `may_learn_faster` the trainer's loss may be lower than that of Keras.
    """

    rows: int
    suffix: str
    write: Callable[[Path, int], None]
    program: Mapping[str, Mapping[str, Any]]
    label: str = "label"
    keras: Callable[[Path, int], Keras] | None = None
    at_least: float = 1.0
    may_learn_faster: bool = False


def _write_dense(path: Path, rows: int) -> None:
    spec = importlib.util.spec_from_file_location("generate", EXAMPLE / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.write(module.generate(rows, 42), path)


def _keras_dense(path: Path, batch_size: int) -> Keras:
    import keras

    table = pq.read_table(path)
    x = np.stack([column.to_numpy() for column in table.drop_columns(["label"]).columns], axis=1)
    y = table["label"].to_numpy().astype(np.float32)
    model = keras.Sequential(
        [
            keras.layers.Dense(128, activation="relu"),
            keras.layers.Dense(64, activation="relu"),
            keras.layers.Dense(1, activation="sigmoid"),
        ]
    )
    model.compile(optimizer="adam", loss="binary_crossentropy", metrics=["accuracy"])
    return model, {"x": x, "y": y, "batch_size": batch_size}


SIDE, CLASSES = 32, 4


def _write_images(path: Path, rows: int) -> None:
    """Write noisy images with a brighter square, whose quarter is the class."""
    rng = np.random.default_rng(7)
    labels = rng.integers(0, CLASSES, rows)
    images = rng.integers(0, 160, (rows, SIDE, SIDE, 3)).astype(np.uint8)
    for image, label in zip(images, labels, strict=True):
        top, left = rng.integers(0, SIDE // 2 - 6, 2) + SIDE // 2 * np.array([label // 2, label % 2])
        image[top : top + 6, left : left + 6] += 90
    np.savez(path, image=images, label=labels)


def _keras_images(path: Path, batch_size: int) -> Keras:
    import keras

    arrays = np.load(path)
    model = keras.Sequential([keras.layers.Rescaling(1 / 127.5, offset=-1)])
    for filters in (16, 32):
        model.add(keras.layers.Conv2D(filters, 3, padding="same"))
        model.add(keras.layers.GroupNormalization(8))
        model.add(keras.layers.Activation("relu"))
        model.add(keras.layers.MaxPooling2D())
    model.add(keras.layers.GlobalAveragePooling2D())
    model.add(keras.layers.Dense(CLASSES, activation="softmax"))
    model.compile(optimizer="adam", loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    return model, {"x": arrays["image"], "y": arrays["label"], "batch_size": batch_size}


WORDS, LENGTH = 5_000, 60


def write_texts(path: Path, rows: int, length: int = LENGTH) -> None:
    """Write texts of made-up words, some of which speak for one class or the other."""
    rng = np.random.default_rng(9)
    ids = np.minimum(rng.zipf(1.3, (rows, length)), WORDS) - 1
    telling = np.where(rng.random(WORDS) < 0.1, rng.normal(size=WORDS), 0)
    labels = (telling[ids].sum(axis=1) > 0).astype(np.int8)
    texts = [" ".join(f"word{each}" for each in row) for row in ids]
    pq.write_table(pa.table({"text": texts, "label": labels}), path)


def _keras_texts(path: Path, batch_size: int) -> Keras:
    import keras
    import tensorflow as tf

    table = pq.read_table(path)
    texts, labels = np.array(table["text"].to_pylist()), table["label"].to_numpy()
    vectorize = keras.layers.TextVectorization(max_tokens=20_000, output_sequence_length=LENGTH)
    vectorize.adapt(texts)
    data = tf.data.Dataset.from_tensor_slices((texts, labels)).batch(1024)
    data = data.map(lambda text, label: (vectorize(text), label), num_parallel_calls=tf.data.AUTOTUNE)
    data = data.unbatch().cache().shuffle(10_000).batch(batch_size).prefetch(tf.data.AUTOTUNE)
    model = keras.Sequential(
        [
            keras.layers.Embedding(20_000, 64, mask_zero=True),
            keras.layers.GlobalAveragePooling1D(),
            keras.layers.Dense(16, activation="relu"),
            keras.layers.Dense(1, activation="sigmoid"),
        ]
    )
    model.compile(optimizer="adam", loss="binary_crossentropy", metrics=["accuracy"])
    return model, {"x": data}


CASES: Mapping[str, Case] = {
    "dense-100": Case(
        rows=32_768,
        at_least=4.0,
        suffix=".parquet",
        write=_write_dense,
        program={"keras": {"family": "mlp", "task": "binaryClassification", "hidden": [128, 64], "activation": "relu"}},
        keras=_keras_dense,
    ),
    "cnn": Case(
        rows=4_096,
        at_least=1.1,
        suffix=".npz",
        write=_write_images,
        program={
            "keras": {"family": "cnn", "task": "multiclassClassification", "image": {"filters": [16, 32]}, "hidden": []}
        },
        keras=_keras_images,
    ),
    "text": Case(
        rows=8_192,
        at_least=1.1,
        suffix=".parquet",
        write=write_texts,
        program={
            "keras": {
                "family": "textClassifier",
                "task": "binaryClassification",
                "hidden": [16],
                "text": {"layer": "globalAveragePooling1D", "embeddingDim": 64, "outputSequenceLength": LENGTH},
            }
        },
        keras=_keras_texts,
        # Keras squares the gradient of an embedding one use of a word at a time, the trainer the sum of all uses in a
        # batch, which is what adam is defined on.
        may_learn_faster=True,
    ),
}
