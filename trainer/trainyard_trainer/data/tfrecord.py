"""The frame of a TFRecord file: records one after the other, each with its length and two checksums.

A record is its length (8 bytes), the masked CRC-32C of the length (4), the bytes, and the masked CRC-32C of the bytes
(4), all little endian: https://www.tensorflow.org/tutorials/load_data/tfrecord#tfrecords_format_details
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO, cast

import google_crc32c
import numpy as np
import pyarrow.fs as pa_fs

from trainyard_trainer.errors import BadInput
from trainyard_trainer.tensors import Integers

READ_BYTES = 4 << 20
_GZIP_MAGIC = b"\x1f\x8b"
_LENGTH = struct.Struct("<QI")
_CHECKSUM = struct.Struct("<I")


@dataclass(frozen=True, slots=True)
class Records:
    """Some whole records: bytes, where in them each begins and ends, and the number of the first one, from 0."""

    content: bytes
    begin: Integers
    end: Integers
    first: int

    def __len__(self) -> int:
        return len(self.begin)


def read_records(stream: BinaryIO, name: str, *, read_bytes: int = READ_BYTES) -> Iterator[Records]:
    """Yield the records of a file, as many at a time as there are in what one read returns.

    Raises:
        BadInput: the file is cut short, or a checksum is wrong; the message names the file and the record.
    """
    rest, number = b"", 0
    while chunk := stream.read(read_bytes):
        content = rest + chunk
        records = _whole(content, number, name)
        rest = content[records.end[-1] + _CHECKSUM.size :] if len(records) else content
        number += len(records)
        if len(records):
            yield records
    if rest:
        raise BadInput(f"record {number + 1} of {name} is cut short: write the file again, or leave it out")


def open_records(filesystem: pa_fs.FileSystem, path: str) -> BinaryIO:
    """Open a file of an Arrow file system, unzipped; TensorFlow does not give zipped files a name that would tell."""
    with filesystem.open_input_stream(path, compression=None) as stream:
        zipped = stream.read(len(_GZIP_MAGIC)) == _GZIP_MAGIC
    return cast(BinaryIO, filesystem.open_input_stream(path, compression="gzip" if zipped else None))


def is_record_file(start: bytes) -> bool:
    """Return whether these first bytes of a file are those of a TFRecord file."""
    return len(start) >= _LENGTH.size and _masked(start[:8]) == _LENGTH.unpack_from(start)[1]


def _whole(content: bytes, first: int, name: str) -> Records:
    spans: list[tuple[int, int]] = []
    at = 0
    while at + _LENGTH.size <= len(content):
        length, checksum = _LENGTH.unpack_from(content, at)
        if _masked(content[at : at + 8]) != checksum:
            raise _damaged(name, first + len(spans), "length")
        begin = at + _LENGTH.size
        at = begin + length + _CHECKSUM.size
        if at > len(content):
            break
        if _masked(content[begin : begin + length]) != _CHECKSUM.unpack_from(content, begin + length)[0]:
            raise _damaged(name, first + len(spans), "content")
        spans.append((begin, begin + length))
    begin_end = np.array(spans, np.int64).reshape(-1, 2)
    return Records(content, begin_end[:, 0], begin_end[:, 1], first)


def _damaged(name: str, record: int, part: str) -> BadInput:
    if record == 0 and part == "length":
        return BadInput(f"{name} is no TFRecord file, or its first record is damaged: check data.format and the file")
    return BadInput(
        f"record {record + 1} of {name} is damaged: the checksum of its {part} is wrong; "
        "write the file again, or leave it out"
    )


def _masked(content: bytes) -> int:
    checksum = google_crc32c.value(content)
    return ((checksum >> 15 | checksum << 17) + 0xA282EAD8) & 0xFFFFFFFF
