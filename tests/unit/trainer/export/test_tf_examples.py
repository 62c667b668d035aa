"""Rows as serialized tf.Example messages, there and back."""

import math
from typing import Any

import numpy as np
import tensorflow as tf

from trainyard_trainer.export.tf_examples import parse, serialize

SIGNATURE = {
    "größe (cm)": tf.TensorSpec([None], tf.float32),
    "colour": tf.TensorSpec([None], tf.string),
    "count": tf.TensorSpec([None], tf.int32),
    "pixels": tf.TensorSpec([None, 2], tf.float32),
}
ROWS: dict[str, Any] = {
    "größe (cm)": [1.5, math.nan],
    "colour": ["rot", ""],
    "count": [7, 0],
    "pixels": [[0.5, math.nan], [math.nan, math.nan]],
}


def test_a_row_comes_back_as_it_was_sent() -> None:
    found = parse(tf.constant(serialize(ROWS)), SIGNATURE)

    assert {name: spec.dtype for name, spec in SIGNATURE.items()} == {name: each.dtype for name, each in found.items()}
    assert found["colour"].numpy().tolist() == [b"rot", b""]
    for name in ("größe (cm)", "count", "pixels"):
        np.testing.assert_array_equal(found[name], np.array(ROWS[name]))


def test_what_a_client_leaves_out_is_missing() -> None:
    found = parse(tf.constant([tf.train.Example().SerializeToString()]), SIGNATURE)

    assert math.isnan(found["größe (cm)"].numpy()[0])
    assert (found["colour"].numpy()[0], found["count"].numpy()[0]) == (b"", 0)
    assert np.isnan(found["pixels"]).all()


def test_missing_values_are_left_out_and_bytes_are_sent_as_they_are() -> None:
    message = tf.train.Example.FromString(serialize({"size": [math.nan], "image_bytes": [b"\xff\x00"]})[0])

    assert list(message.features.feature) == ["image_bytes"]
    assert message.features.feature["image_bytes"].bytes_list.value == [b"\xff\x00"]
