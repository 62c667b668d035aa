"""Numbers as texts, for clients that send rows as they are in a file: an empty text is a missing value.

TensorFlow Serving's REST interface takes neither null nor a row without a column, and JSON has no NaN.
"""

import math
import re
from collections.abc import Collection, Mapping, Sequence

import tensorflow as tf

from trainyard_trainer.tensors import Tensor, Tensors, TensorSpec

_LONGEST = 200
"""Of a text in an example."""


def takes_numbers(specs: Mapping[str, TensorSpec]) -> bool:
    """Return whether a signature has inputs that texts can stand for."""
    return any(map(_is_number, specs.values()))


def text_specs(specs: Mapping[str, TensorSpec]) -> dict[str, TensorSpec]:
    """Return what the signature takes where numbers are texts."""
    return {name: tf.TensorSpec(spec.shape, tf.string) if _is_number(spec) else spec for name, spec in specs.items()}


def parse(columns: Tensors, specs: Mapping[str, TensorSpec], missing: Collection[str]) -> dict[str, Tensor]:
    """Return the columns of a signature from texts: a number, or one of the texts that stand for a missing value."""
    numbers = {name: math.prod(spec.shape[1:]) for name, spec in specs.items() if _is_number(spec)}
    texts = tf.concat([tf.reshape(columns[name], [-1, width]) for name, width in numbers.items()], axis=1)
    texts = tf.strings.strip(texts)
    gone = tf.strings.regex_full_match(texts, "|".join(map(re.escape, sorted({"", *missing}))))
    values = tf.strings.to_number(tf.where(gone, "nan", texts), tf.float32)
    parts = tf.split(values, list(numbers.values()), axis=1)
    parsed = {name: tf.reshape(part, [-1, *specs[name].shape[1:]]) for name, part in zip(numbers, parts, strict=True)}
    return {**columns, **parsed}


def as_texts(columns: Mapping[str, Sequence[object]]) -> dict[str, list[object]]:
    """Return rows as a client sends them to this signature."""
    return {name: [_text(value) for value in values] for name, values in columns.items()}


def example_row(columns: Mapping[str, Sequence[object]]) -> dict[str, object]:
    """Return the first row that has a missing value, or else the first one, as a client sends it to this signature."""
    rows = [dict(zip(columns, values, strict=True)) for values in zip(*as_texts(columns).values(), strict=True)]
    # The last two of the samples are made up.
    row = next((each for each in rows[:-2] if "" in each.values()), rows[0])
    return {name: value[:_LONGEST] if isinstance(value, str) else value for name, value in row.items()}


def _text(value: object) -> object:
    if isinstance(value, list):
        return [_text(each) for each in value]
    if isinstance(value, float):
        return "" if math.isnan(value) else repr(value)
    return value


def _is_number(spec: TensorSpec) -> bool:
    return bool(spec.dtype == tf.float32)
