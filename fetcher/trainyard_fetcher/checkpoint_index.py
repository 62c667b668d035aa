"""The index of a SavedModel's variables, read without TensorFlow: which shards there are, and how large they must be.

`variables.index` is a table of sorted keys, in LevelDB's format without compression
(https://github.com/google/leveldb/blob/main/doc/table_format.md). The empty key has the number of shards, and every
other one a tensor: its shard, and where it is in there.
"""

import struct
from collections.abc import Iterator

from google.protobuf.message import DecodeError

from trainyard_fetcher.saved_model_pb2 import BundleEntry, BundleHeader

_FOOTER = 48
_MAGIC = 0xDB4775248B80FB57
_MOST_SHARDS = 10_000
_TRAILER = 5
"""Bytes behind a block: its compression, and a checksum."""


def shard_sizes(index: bytes) -> dict[int, int]:
    """Return the bytes that each shard must at least have, by its number.

    Raises:
        ValueError: it is no such index, or a part of one.
    """
    try:
        entries = list(_entries(index))
        if not entries or entries[0][0] != b"":
            raise ValueError("it has no header")
        count = BundleHeader.FromString(entries[0][1]).num_shards
        if not 1 <= count <= _MOST_SHARDS:
            raise ValueError(f"it has {count} shards")
        sizes = dict.fromkeys(range(count), 0)
        for _, value in entries[1:]:
            tensor = BundleEntry.FromString(value)
            # A tensor in slices has its bytes in entries of their own.
            if tensor.size:
                sizes[tensor.shard_id] = max(sizes[tensor.shard_id], tensor.offset + tensor.size)
    except (IndexError, KeyError, struct.error, DecodeError) as error:
        raise ValueError(f"it is cut off or damaged ({type(error).__name__})") from error
    return sizes


def shard_name(number: int, count: int) -> str:
    """Return the name of a shard's file."""
    return f"variables.data-{number:05}-of-{count:05}"


def _entries(table: bytes) -> Iterator[tuple[bytes, bytes]]:
    if len(table) < _FOOTER or struct.unpack("<Q", table[-8:])[0] != _MAGIC:
        raise ValueError("it does not end as an index does")
    _, position = _handle(table, len(table) - _FOOTER)
    blocks, _ = _handle(table, position)
    for _, handle in _block(table, *blocks):
        block, _ = _handle(handle, 0)
        yield from _block(table, *block)


def _block(table: bytes, offset: int, size: int) -> Iterator[tuple[bytes, bytes]]:
    block = table[offset : offset + size]
    if len(block) != size or offset + size + _TRAILER > len(table):
        raise ValueError("it is cut off")
    if table[offset + size] != 0:
        raise ValueError("it is compressed")
    (restarts,) = struct.unpack("<I", block[-4:])
    end, position, key = size - 4 * (restarts + 1), 0, b""
    while position < end:
        shared, position = _varint(block, position)
        unshared, position = _varint(block, position)
        length, position = _varint(block, position)
        key = key[:shared] + block[position : position + unshared]
        position += unshared
        yield key, block[position : position + length]
        position += length


def _handle(table: bytes, position: int) -> tuple[tuple[int, int], int]:
    offset, position = _varint(table, position)
    size, position = _varint(table, position)
    return (offset, size), position


def _varint(table: bytes, position: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = table[position]
        value |= (byte & 0x7F) << shift
        position, shift = position + 1, shift + 7
        if byte < 0x80:
            return value, position
        if shift > 63:
            raise ValueError("it has a number that is too large")
