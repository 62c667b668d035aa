"""One array of an NPZ file: what it holds, and its rows piece by piece."""

from dataclasses import dataclass
from typing import IO, Any

import numpy as np

from trainyard_trainer.tensors import Array


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

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self.header = read_header(stream)
        self._whole: Array | None = None
        if self.header.by_column:  # its rows lie scattered over the file
            count = int(np.prod(self.header.shape))
            self._whole = np.frombuffer(self._bytes(count), self.header.dtype).reshape(self.header.shape, order="F")

    def take(self, count: int) -> Array:
        """Return the next `count` rows."""
        shape = (count, *self.header.row_shape)
        if self._whole is not None:
            piece, self._whole = self._whole[:count], self._whole[count:]
            return piece.reshape(shape)
        return np.frombuffer(self._bytes(int(np.prod(shape))), self.header.dtype).reshape(shape)

    def _bytes(self, entries: int) -> bytes:
        size = entries * self.header.dtype.itemsize
        content = self._stream.read(size)
        if len(content) < size:
            raise EOFError("an array ends too early")
        return content


def read_header(stream: IO[bytes]) -> Header:
    """Return what an array's file begins with."""
    version = np.lib.format.read_magic(stream)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, by_column, dtype = read(stream)
    return Header(shape, dtype, by_column and len(shape) > 1)
