"""Rows as serialized tf.Example messages: how a served model reads them, and how a client writes them."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import tensorflow as tf

from trainyard_trainer.tensors import DType, Tensor, TensorSpec


def parse(examples: Tensor, signature: Mapping[str, TensorSpec]) -> dict[str, Tensor]:
    """Return the columns of a signature from a vector of serialized messages; a feature left out is a missing value."""
    stored = {name: _stored_as(spec.dtype) for name, spec in signature.items()}
    features = {
        name: tf.io.FixedLenFeature(spec.shape[1:], stored[name], _missing(spec, stored[name]))
        for name, spec in signature.items()
    }
    found = tf.io.parse_example(examples, features)
    return {
        name: found[name] if stored[name] == spec.dtype else tf.cast(found[name], spec.dtype)
        for name, spec in signature.items()
    }


def _stored_as(dtype: DType) -> tf.DType:
    if dtype.is_floating:
        return tf.float32
    return tf.int64 if dtype.is_integer else tf.string


def _missing(spec: Any, dtype: DType) -> tf.DType:
    value = {tf.float32: math.nan, tf.int64: 0, tf.string: ""}[dtype]
    return tf.fill(spec.shape[1:], tf.constant(value, dtype))


def serialize(columns: Mapping[str, Sequence[object]]) -> list[bytes]:
    """Return a message a row; missing values, NaN or empty texts, are left out."""
    rows = [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
    return [
        tf.train.Example(
            features=tf.train.Features(
                feature={name: feature for name, value in row.items() if (feature := _feature(value)) is not None}
            )
        ).SerializeToString(deterministic=True)
        for row in rows
    ]


def _feature(value: object) -> tf.train.Feature | None:
    flat = list(tf.nest.flatten(value))
    if isinstance(flat[0], str | bytes):
        texts = [item.encode() if isinstance(item, str) else item for item in flat]
        return tf.train.Feature(bytes_list=tf.train.BytesList(value=texts)) if any(texts) else None
    if all(isinstance(item, int) for item in flat):
        return tf.train.Feature(int64_list=tf.train.Int64List(value=flat))
    return None if all(map(math.isnan, flat)) else tf.train.Feature(float_list=tf.train.FloatList(value=flat))
