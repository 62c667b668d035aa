"""A digest of what is in the rows, taken while they are read anyway."""

import hashlib
from collections import defaultdict

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from trainyard_trainer.data.table import RawBatch
from trainyard_trainer.tensors import Array


class ContentDigest:
    """Takes in rows in their order; the batches in which they come make no difference.

    It is of the columns that training uses, as training takes them: numbers in float32, rows that are left out not at
    all.
    """

    def __init__(self) -> None:
        self._parts: defaultdict[str, hashlib._Hash] = defaultdict(hashlib.sha256)

    def add(self, rows: RawBatch) -> None:
        """Take in the next rows."""
        self._numbers("numbers", rows.numbers)
        self._column("label", rows.label)
        for place, texts in enumerate(rows.texts):
            self._column(f"text {place}", texts)
        for kind, columns in (("media", rows.media), ("slice", rows.slices), ("words", rows.words)):
            for name, values in columns.items():
                self._column(f"{kind} {name}", values)
        if rows.held_back is not None:
            self._numbers("held back", rows.held_back)
        if rows.tested is not None:
            self._numbers("tested", rows.tested)
        if rows.weights is not None:
            self._numbers("weights", rows.weights)

    def hexdigest(self) -> str:
        """Return the digest of all rows so far."""
        parts = (f"{name}\0{part.hexdigest()}\n" for name, part in sorted(self._parts.items()))
        return hashlib.sha256("".join(parts).encode()).hexdigest()

    def _column(self, name: str, values: pa.Array) -> None:
        if isinstance(values, np.ndarray):
            self._numbers(name, values)
        elif pa.types.is_list(values.type):
            self._numbers(f"{name} lengths", pc.fill_null(pc.list_value_length(values), -1))
            self._column(f"{name} entries", values.flatten())
        elif pa.types.is_string(values.type) or pa.types.is_binary(values.type):
            self._numbers(f"{name} lengths", pc.fill_null(pc.binary_length(values), -1))
            self._parts[name].update(_characters(values))
        else:
            self._numbers(name, values)

    def _numbers(self, name: str, values: Array) -> None:
        array = np.asarray(values)
        self._parts[name].update(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)


def _characters(values: pa.Array) -> pa.Array:
    """Return the bytes of a column of texts or bytes, one entry after the other."""
    filled = pc.fill_null(values, "" if pa.types.is_string(values.type) else b"")
    _, offsets, characters = filled.buffers()
    if not len(filled) or characters is None:
        return b""
    ends = np.frombuffer(offsets, np.int32)[filled.offset : filled.offset + len(filled) + 1]
    return memoryview(characters)[ends[0] : ends[-1]]
