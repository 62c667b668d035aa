"""The frame of TFRecord files, as TensorFlow writes them."""

import io
from pathlib import Path

import pytest
import tensorflow as tf

from trainyard_trainer.data.tfrecord import is_record_file, read_records
from trainyard_trainer.errors import BadInput

CONTENTS = [b"", b"a", b"x" * 5000, bytes(range(256)), b"end"]


@pytest.fixture
def written(tmp_path: Path) -> bytes:
    with tf.io.TFRecordWriter(str(tmp_path / "t.tfrecord")) as writer:
        for each in CONTENTS:
            writer.write(each)
    return (tmp_path / "t.tfrecord").read_bytes()


@pytest.mark.parametrize("read_bytes", [7, 100, 1 << 20])
def test_records_are_those_that_were_written_however_the_file_is_read(read_bytes: int, written: bytes) -> None:
    found: list[bytes] = []
    numbers: list[int] = []
    for each in read_records(io.BytesIO(written), "t.tfrecord", read_bytes=read_bytes):
        found += [each.content[begin:end] for begin, end in zip(each.begin, each.end, strict=True)]
        numbers += range(each.first, each.first + len(each))

    assert found == CONTENTS
    assert numbers == list(range(len(CONTENTS)))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda b: b[:-3], "record 5 of t.tfrecord is cut short"),
        (lambda b: b[:5], "record 1 of t.tfrecord is cut short"),
        (lambda b: b[:3000] + b"?" + b[3001:], "record 3 of t.tfrecord is damaged: the checksum of its content"),
        (lambda b: b[:17] + b"?" + b[18:], "record 2 of t.tfrecord is damaged: the checksum of its length"),
        (lambda b: b"a,b,label\n1,2,3\n" * 9, "t.tfrecord is no TFRecord file"),
    ],
)
def test_a_damaged_file_is_refused_with_the_record(change, message: str, written: bytes) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(BadInput, match=message):
        list(read_records(io.BytesIO(change(written)), "t.tfrecord"))


def test_a_record_file_is_recognised_by_its_first_bytes(written: bytes) -> None:
    assert is_record_file(written[:12])
    assert not is_record_file(b"a,b,label\n1,2")
    assert not is_record_file(b"short")
