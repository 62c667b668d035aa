"""From the columns of a table to the inputs of a signature, by name; what a row lacks is a missing value."""

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from trainyard_trainer.data.decode import ColumnDecoder
from trainyard_trainer.data.readers import CORRUPT, Reader
from trainyard_trainer.data.schema import Column, Kind, Schema
from trainyard_trainer.errors import BadInput, did_you_mean, listed
from trainyard_trainer.export.signatures import SignatureDescription, TensorDescription
from trainyard_trainer.tensors import Array

_BYTES = "_bytes"
_NUMBERS, _LISTS = ("number", "boolean", "empty", "text"), ("vector", "empty")


@dataclass(frozen=True, slots=True)
class _Input:
    """One input of the signature, and the column that fills it."""

    name: str
    column: Column
    dtype: str
    shape: tuple[int, ...]


class SignatureInputs:
    """How the columns of a table fill a signature.

    Raises:
        BadInput: a column is missing or holds something else, or an input is nothing that a table can fill.
    """

    def __init__(self, signature: SignatureDescription, kinds: Mapping[str, str], reader: Reader) -> None:
        outputs = {name: tensor["shape"] for name, tensor in signature["outputs"].items()}
        for name, shape in outputs.items():
            if not shape or shape[0] is not None:
                raise BadInput(f"the model's output {name!r} is not one for each row: export it with a batch dimension")
        self._inputs = [_input(name, tensor, kinds, reader) for name, tensor in signature["inputs"].items()]
        if not self._inputs:
            raise BadInput("the model takes no input: export it with one for each column")

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that are read, each once."""
        return tuple(dict.fromkeys(each.column.name for each in self._inputs))

    @property
    def numbers(self) -> frozenset[str]:
        """Those that are read as numbers."""
        return frozenset(each.column.name for each in self._inputs if each.dtype != "string")

    @property
    def takes_files(self) -> bool:
        """Whether a row holds the content of a file, such as an image."""
        return any(each.column.kind == "bytes" for each in self._inputs)

    def schema(self, missing: Collection[str]) -> Schema:
        """Return the columns as the decoder of a file's rows takes them."""
        label = Column("", "text")
        return Schema(label, tuple(each.column for each in self._inputs), missing=tuple(sorted(missing)))

    def arrays(self, rows: ColumnDecoder) -> dict[str, Array]:
        """Return the inputs of rows; those that cannot be used are among `rows.bad` then, and to be left out."""
        return {each.name: _array(each, rows) for each in self._inputs}


def _input(name: str, tensor: TensorDescription, kinds: Mapping[str, str], reader: Reader) -> _Input:
    column = name if name in kinds else name.removesuffix(_BYTES)
    if column not in kinds:
        raise BadInput(
            f"the model takes {name!r}, which is no column of the data{did_you_mean(name, kinds)} (it has "
            f"{listed(kinds)})"
        )
    shape, dtype = tensor["shape"] or [], tensor["dtype"]
    sizes = [size for size in shape[1:] if size is not None]
    if not shape or shape[0] is not None or len(sizes) < len(shape) - 1:
        raise BadInput(f"the model's input {name!r} has shape {shape}: expected rows, each of one size")
    width = math.prod(sizes)
    is_text, is_list = dtype == "string", len(sizes) > 1 or width > 1
    if not (is_text or dtype.startswith(("float", "int", "uint", "bool", "bfloat"))) or (is_text and is_list):
        raise BadInput(f"the model's input {name!r} is of {dtype}{sizes or ''}, which no column of a table can fill")
    found = kinds[column]
    if not is_text and found not in (_LISTS if is_list else _NUMBERS):
        wanted = f"lists of {width} numbers" if is_list else "numbers"
        raise BadInput(f"column {column!r} holds {found}s, and the model takes {wanted}: correct the column")
    kind: Kind = "vector" if is_list else "number"
    if is_text:
        kind = "bytes" if found == "bytes" else "text"
    own = (width,) if is_list else ()
    return _Input(name, Column(column, kind, own, notation=reader.notation(column)), dtype, tuple(sizes))


def _array(wanted: _Input, rows: ColumnDecoder) -> Array:
    column = wanted.column
    if column.kind == "bytes":
        return _objects(rows.bytes(column.name), b"")
    if column.kind == "text":
        is_time = pa.types.is_temporal(rows.column(column.name).type)
        texts = rows.dates(column.name) if is_time else rows.texts(column.name)
        return _objects(pc.cast(texts, pa.binary()), b"").reshape(-1, *wanted.shape)
    if wanted.dtype.startswith(("int", "uint", "bool")):
        return _whole_numbers(column, rows).astype(wanted.dtype).reshape(-1, *wanted.shape)
    numbers = rows.numbers(column)
    return numbers.astype("float32" if wanted.dtype == "bfloat16" else wanted.dtype).reshape(-1, *wanted.shape)


def _objects(column: pa.Array, missing: bytes) -> Array:
    found = np.empty(len(column), object)
    found[:] = pc.fill_null(column, missing).to_pylist()
    return found


def _whole_numbers(column: Column, rows: ColumnDecoder) -> Array:
    """Return whole numbers with all their digits; rows without one are bad: no number stands for a missing value."""
    values = rows.column(column.name)
    if not (pa.types.is_integer(values.type) or pa.types.is_boolean(values.type)):
        values = pa.array(rows.numbers(column)[:, 0].astype(np.float64), from_pandas=True)
    try:
        whole = pc.cast(values, pa.int64())
    except CORRUPT:
        there = pc.equal(values, pc.round(values))
        whole = pc.cast(pc.if_else(there, values, None), pa.int64())
    for row in np.flatnonzero(whole.is_null().to_numpy(zero_copy_only=False)):
        rows.refuse(row, f"column {column.name!r} has no whole number, which the model needs")
    return pc.fill_null(whole, 0).to_numpy(zero_copy_only=False)
