"""Parsing tf.train.Examples without TensorFlow, next to what TensorFlow makes of them."""

import contextlib
import io
import random
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from trainyard_trainer.data.examples import Malformed, Values, parse
from trainyard_trainer.data.tfrecord import Records

Record = dict[str, list[Any]]
FLOATS = st.lists(st.floats(width=32), max_size=3)
INTEGERS = st.lists(st.integers(-(2**63), 2**63 - 1), max_size=40)
TEXTS = st.lists(st.binary(max_size=200), max_size=3)


def example(record: Record) -> bytes:
    """Serialize a record as TensorFlow's own classes do; an empty list is a feature without a value."""
    features = {}
    for name, values in record.items():
        kind = {"f": "float_list", "i": "int64_list", "b": "bytes_list"}[name[0]]
        features[name] = tf.train.Feature(**{kind: {"value": values}})
    return tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString()


def records_of(contents: list[bytes]) -> Records:
    buffer = io.BytesIO()
    spans = []
    for each in contents:
        buffer.write(b"frame")
        spans.append((buffer.tell(), buffer.tell() + len(each)))
        buffer.write(each)
    begin, end = np.array(spans, np.int64).reshape(-1, 2).T
    return Records(buffer.getvalue(), begin, end, 0)


def by_record(values: Values | None, count: int) -> list[list[Any]]:
    found: list[list[Any]] = [[] for _ in range(count)]
    at = 0
    if values is not None:
        flat = list(values.flat)
        for row, number in zip(values.rows.tolist(), values.counts.tolist(), strict=True):
            found[row] = flat[at : at + number]
            at += number
        assert at == len(flat)
    return found


@settings(max_examples=60, deadline=None)
@given(st.lists(st.fixed_dictionaries({}, optional={"f": FLOATS, "i": INTEGERS, "b": TEXTS, "f2": FLOATS}), max_size=8))
def test_values_are_those_that_were_written(written: list[Record]) -> None:
    found = parse(records_of([example(each) for each in written]))

    for name in ("f", "i", "b", "f2"):
        expected = [each.get(name, []) for each in written]
        np.testing.assert_equal(by_record(found.get(name), len(written)), expected)


def test_features_in_another_order_in_every_record_are_told_apart() -> None:
    rng = random.Random(4)
    contents = []
    for row in range(50):
        parts = [
            tf.train.Features(feature={f"f{i}": tf.train.Feature(float_list={"value": [row + i / 100]})})
            for i in range(20)
        ]
        rng.shuffle(parts)
        entries = b"".join(each.SerializeToString() for each in parts)
        contents.append(b"\x0a" + bytes([len(entries) & 127 | 128, len(entries) >> 7]) + entries)
    assert tf.train.Example.FromString(contents[7]).features.feature["f3"].float_list.value[0] == np.float32(7.03)

    found = parse(records_of(contents))

    for i in range(20):
        np.testing.assert_array_equal(found[f"f{i}"].rows, range(50))
        np.testing.assert_array_equal(found[f"f{i}"].flat, (np.arange(50) + i / 100).astype(np.float32))


def test_only_wanted_features_are_looked_at() -> None:
    assert parse(records_of([example({"f": [1.0], "i": [2]})]), {"i"}).keys() == {"i"}


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=40))
def test_any_bytes_are_an_example_or_refused(content: bytes) -> None:
    records = records_of([example({"f": [1.0]}), b"\x0a" + bytes([len(content)]) + content])

    with contextlib.suppress(Malformed):
        assert all(len(each.flat) == each.counts.sum() for each in parse(records).values())


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"not an example", "it is not a tf.train.Example"),
        (example({"f": [1.0]})[:-1], "it is not a tf.train.Example"),
        (b"\x0a\xff\xff\xff\xff\xff\xff\xff", "it is not a tf.train.Example"),
        (tf.train.Example(features={"feature": {"f": {"int64_list": {"value": [1]}}}}).SerializeToString(), "one type"),
    ],
    ids=["a text", "cut short", "a length without an end", "another type"],
)
def test_a_record_that_is_something_else_is_named(content: bytes, why: str) -> None:
    good = example({"f": [1.0]})

    with pytest.raises(Malformed, match=why) as raised:
        parse(records_of([good, good, content, good]))

    assert raised.value.which.tolist() == [2]


def test_an_empty_example_has_no_values() -> None:
    found = parse(records_of([b"", example({"i": [7]}), b""]))

    assert by_record(found["i"], 3) == [[], [7], []]
