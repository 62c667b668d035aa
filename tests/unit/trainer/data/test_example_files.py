"""TFRecord files of tf.train.Examples as tables."""

import gzip
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from support.tables import everything, example, open_table, write_records
from trainyard_trainer.data.reading import Reading
from trainyard_trainer.data.source import find
from trainyard_trainer.errors import BadInput

RECORDS = [
    {"size": 1.5, "count": 300, "kind": "red", "pixels": [1, 2, 3], "label": "yes"},
    {"size": -2.0, "kind": "blue", "pixels": [4, 5, 6], "label": "no"},
    {"size": 0.0, "count": -1, "pixels": [7, 8, -9], "label": "yes"},
]


@pytest.mark.parametrize("compression", ["", "GZIP"])
def test_features_are_columns_of_numbers_texts_and_vectors(compression: str, tmp_path: Path) -> None:
    table = open_table(write_records(tmp_path / "t.tfrecord", RECORDS, compression))

    numbers, texts, labels = everything(table)

    assert table.schema.numbers == ("count", "pixels[0]", "pixels[1]", "pixels[2]", "size")
    nan = np.nan
    np.testing.assert_array_equal(numbers, [[300, 1, 2, 3, 1.5], [nan, 4, 5, 6, -2], [-1, 7, 8, -9, 0]])
    assert texts == [["red", "blue", None]]
    assert labels == ["yes", "no", "yes"]


def test_the_format_is_recognised_without_a_name_that_tells(tmp_path: Path) -> None:
    write_records(tmp_path / "part-r-00000", RECORDS)
    write_records(tmp_path / "part-r-00001", RECORDS)

    source = find(str(tmp_path), "auto")

    assert (source.format, len(source.files)) == ("tfrecord", 2)


def test_many_records_are_read_in_batches_of_the_wanted_size(tmp_path: Path) -> None:
    write_records(tmp_path / "t.tfrecord", ({"a": float(i), "label": i % 2} for i in range(1000)))

    table = open_table(tmp_path / "t.tfrecord")
    (shard,) = table.shards()
    batches = list(table.read(shard, batch_rows=300))

    assert [len(each) for each in batches] == [300, 300, 300, 100]
    np.testing.assert_array_equal(np.concatenate([each.numbers[:, 0] for each in batches]), range(1000))


BAD = [
    (b"not an example", "it is not a tf.train.Example"),
    (example({"a": "text", "label": 1}), "the feature 'a' is not of one type in all records"),
    (example({"a": [1.0, 2.0], "v": [1.0, 2.0], "label": 1}), "feature 'a' holds 2 values, expected one"),
    (example({"a": 1.0, "v": [1.0], "label": 1}), "column 'v' holds 1 numbers, expected 2"),
    (example({"a": 1.0, "t": b"\xff\xfe", "label": 1}), "feature 't': '\ufffd\ufffd' is not UTF-8"),
    (example({"a": 1.0}), "the label 'label' is missing"),
]


@pytest.mark.parametrize(("record", "why"), BAD, ids=[why for _, why in BAD])
def test_a_bad_record_is_named_or_left_out(record: bytes, why: str, tmp_path: Path) -> None:
    good = [{"a": float(i), "v": [1.0, 2.0], "t": "x", "label": i % 2} for i in range(500_000 // 50)]
    path = write_records(tmp_path / "t.tfrecord", [*good, record, *good])

    with pytest.raises(BadInput) as raised:
        everything(open_table(path))
    table = open_table(path, reading=Reading(max_bad_rows=1))
    numbers, _, _ = everything(table)

    assert str(raised.value).startswith(f"row {len(good) + 1} of t.tfrecord: {why}")
    np.testing.assert_array_equal(numbers[:, 0], [*range(len(good)), *range(len(good))])
    assert len(table.bad_rows) == 1


def test_a_damaged_file_cannot_be_left_out(tmp_path: Path) -> None:
    path = write_records(tmp_path / "t.tfrecord", RECORDS)
    path.write_bytes(path.read_bytes()[:-7])

    with pytest.raises(BadInput, match=r"record 3 of t.tfrecord is cut short"):
        everything(open_table(path, reading=Reading(max_bad_rows=99)))


def test_a_damaged_compressed_file_is_named(tmp_path: Path) -> None:
    whole = gzip.compress(write_records(tmp_path / "t.tfrecord", RECORDS).read_bytes())
    (tmp_path / "t.tfrecord").write_bytes(whole[:-20])

    with pytest.raises(BadInput, match=r"t.tfrecord"):
        everything(open_table(tmp_path / "t.tfrecord"))


@pytest.mark.parametrize("context", [True, False], ids=["with a context", "without one"])
def test_a_sequence_example_is_refused_by_name(context: bool, tmp_path: Path) -> None:
    steps = tf.train.FeatureList(feature=[tf.train.Feature(float_list=tf.train.FloatList(value=[1.0]))])
    record = tf.train.SequenceExample(feature_lists=tf.train.FeatureLists(feature_list={"steps": steps}))
    if context:
        record.context.feature["label"].int64_list.value.append(1)
    path = write_records(tmp_path / "t.tfrecord", [record.SerializeToString()] * 3)

    with pytest.raises(BadInput, match=r"row 1 of t.tfrecord: it is a tf.train.SequenceExample, and only"):
        open_table(path)
