"""Hashing texts without TensorFlow, as TensorFlow does it."""

import numpy as np
import pyarrow as pa
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from trainyard_trainer.data.hashing import KEY, Hashed, buckets, slots_of


@settings(max_examples=50, deadline=None)
@given(st.lists(st.text(max_size=40), min_size=1, max_size=20), st.integers(2, 1_000_000))
def test_buckets_are_those_of_the_operation_that_serves(texts: list[str], count: int) -> None:
    expected = tf.strings.to_hash_bucket_strong(texts, count, key=list(KEY))

    np.testing.assert_array_equal(buckets(pa.array(texts), count), expected)


def test_texts_of_every_length_agree_too() -> None:
    texts = ["x" * length for length in range(300)]

    np.testing.assert_array_equal(
        buckets(pa.array(texts), 997), tf.strings.to_hash_bucket_strong(texts, 997, key=list(KEY))
    )


def test_missing_texts_have_a_slot_of_their_own() -> None:
    assert slots_of(pa.array([None, "", "x"]), Hashed(1)).tolist() == [0, 0, 2]
