"""One array of an NPZ file: what it holds, and its rows piece by piece."""

import math
from dataclasses import dataclass
from typing import IO, Any

import numpy as np

from trainyard_trainer.devices import usable_memory
from trainyard_trainer.errors import one_line
from trainyard_trainer.tensors import Array

_MOST_COLUMNS = 1_000_000


@dataclass(frozen=True, slots=True)
class Header:
    """What an array's file says of it before its numbers."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    by_column: bool

    @property
    def row_shape(self) -> tuple[int, ...]:
        """Shape of a row; that of a column vector is the one of its numbers."""
        return () if self.shape[1:] == (1,) else self.shape[1:]

    @property
    def row_bytes(self) -> int:
        """What a row takes."""
        return math.prod(self.row_shape) * self.dtype.itemsize

    @property
    def is_bytes(self) -> bool:
        """Whether its numbers are bytes."""
        return bool(self.dtype == np.uint8)

    @property
    def kind(self) -> str:
        """What a column of it holds."""
        if len(self.row_shape) > 1:
            return "array" if self.dtype.kind in "uif" else f"arrays of {self.dtype}"
        return {"b": "boolean", "u": "number", "i": "number", "f": "number", "U": "text", "S": "text"}.get(
            self.dtype.kind, "Python objects" if self.dtype.hasobject else str(self.dtype)
        )


class ArrayReader:
    """Takes rows off an array's file, one piece after another."""

    def __init__(self, stream: IO[bytes], size: int) -> None:
        self._stream = stream
        self.header = read_header(stream, size)
        self._whole: Array | None = None
        if self.header.by_column:  # its rows lie scattered over the file
            count = math.prod(self.header.shape)
            if (needed := count * self.header.dtype.itemsize) > (room := usable_memory() // 2):
                raise ValueError(
                    f"an array lies column by column, so its {needed:,} bytes are needed at once, and {room:,} may be: "
                    "make it numpy.ascontiguousarray"
                )
            self._whole = np.frombuffer(self._bytes(count), self.header.dtype).reshape(self.header.shape, order="F")

    def take(self, count: int) -> Array:
        """Return the next `count` rows."""
        shape = (count, *self.header.row_shape)
        if self._whole is not None:
            piece, self._whole = self._whole[:count], self._whole[count:]
            return piece.reshape(shape)
        return np.frombuffer(self._bytes(math.prod(shape)), self.header.dtype).reshape(shape)

    def _bytes(self, entries: int) -> bytes:
        size = entries * self.header.dtype.itemsize
        content = self._stream.read(size)
        if len(content) < size:
            raise EOFError("an array ends too early")
        return content


def read_header(stream: IO[bytes], size: int) -> Header:
    """Return what an array's file of some bytes begins with.

    Raises:
        ValueError: it is no array, or its header says something else than its size.
    """
    version = np.lib.format.read_magic(stream)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, by_column, dtype = read(stream)
    announced, there = math.prod(shape) * dtype.itemsize, size - stream.tell()
    if announced != there and not dtype.hasobject:
        raise ValueError(
            f"the header of an array says {one_line(str(shape), 60)} of {one_line(str(dtype), 60)}, which is "
            f"{announced:,} bytes, but there are {there:,}"
        )
    if dtype.itemsize == 0 or 0 in shape[1:]:  # however many rows those are
        raise ValueError(f"the rows of an array hold nothing: its shape is {one_line(str(shape), 60)}")
    if len(shape) == 2 and shape[1] > _MOST_COLUMNS:
        raise ValueError(f"an array has {shape[1]:,} columns, expected at most {_MOST_COLUMNS:,}")
    return Header(shape, dtype, by_column and len(shape) > 1)
