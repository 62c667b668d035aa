"""Columns that hold a list of numbers a row, as arrays: Arrow lists, and the vectors of Spark's MLlib."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from trainyard_trainer.tensors import Floats, Integers, Mask

_MLLIB_FIELDS = ["type", "size", "indices", "values"]
_SPARSE = 0


def is_vector(type_: pa.DataType) -> bool:
    """Return whether an Arrow type holds a list of numbers a row."""
    return is_mllib(type_) or (_is_list(type_) and _is_numeric(type_.value_type))


def is_mllib(type_: pa.DataType) -> bool:
    """Return whether an Arrow type is MLlib's VectorUDT: a sparse vector (type 0) or a dense one (type 1).

    https://github.com/apache/spark/blob/master/mllib/src/main/scala/org/apache/spark/ml/linalg/VectorUDT.scala
    """
    return pa.types.is_struct(type_) and [each.name for each in type_] == _MLLIB_FIELDS


def length_of(column: pa.Array) -> int | None:
    """Return how long the first vector of a column is, or None where all rows are missing."""
    lengths = _lengths(column)
    there = lengths[lengths >= 0]
    return int(there[0]) if len(there) else None


def dense(column: pa.Array, length: int) -> tuple[Floats, Integers]:
    """Return a column as float32 [rows, length], NaN where missing, and the length of each row's vector.

    A row whose vector is missing has length -1; one whose vector has another length is left NaN.
    """
    lengths = _lengths(column)
    out = np.full((len(column), length), np.nan, np.float32)
    if is_mllib(column.type):
        _fill_mllib(out, column, lengths)
    elif (lengths == length).all():
        out = _numbers(column.flatten()).reshape(len(column), length)
    else:
        right = lengths == length
        out[right] = _numbers(column.filter(pa.array(right)).flatten()).reshape(-1, length)
    return out, lengths


def _fill_mllib(out: Floats, column: pa.Array, lengths: Integers) -> None:
    sparse = _sparse(column)
    right = lengths == out.shape[1]
    values = pc.struct_field(column, "values")
    whole = values.filter(pa.array(right & ~sparse))
    out[right & ~sparse] = _numbers(whole.flatten()).reshape(-1, out.shape[1])
    chosen = pa.array(right & sparse)
    values, indices = values.filter(chosen), pc.struct_field(column, "indices").filter(chosen)
    rows = np.repeat(np.flatnonzero(right & sparse), _list_lengths(values))
    out[right & sparse] = 0
    out[rows, indices.flatten().to_numpy(zero_copy_only=False)] = _numbers(values.flatten())


def _lengths(column: pa.Array) -> Integers:
    if not is_mllib(column.type):
        return _list_lengths(column)
    sizes = pc.fill_null(pc.struct_field(column, "size"), -1).to_numpy(zero_copy_only=False)
    return np.where(_sparse(column), sizes, _list_lengths(pc.struct_field(column, "values")))


def _sparse(column: pa.Array) -> Mask:
    return pc.fill_null(pc.equal(pc.struct_field(column, "type"), _SPARSE), False).to_numpy(zero_copy_only=False)


def _list_lengths(column: pa.Array) -> Integers:
    return pc.fill_null(pc.list_value_length(column), -1).to_numpy(zero_copy_only=False)


def _numbers(flat: pa.Array) -> Floats:
    if pa.types.is_boolean(flat.type):
        flat = pc.cast(flat, pa.uint8())
    return pc.cast(flat, pa.float32(), safe=False).to_numpy(zero_copy_only=False)


def _is_list(type_: pa.DataType) -> bool:
    return pa.types.is_list(type_) or pa.types.is_large_list(type_) or pa.types.is_fixed_size_list(type_)


def _is_numeric(type_: pa.DataType) -> bool:
    return any(
        check(type_) for check in (pa.types.is_integer, pa.types.is_floating, pa.types.is_decimal, pa.types.is_boolean)
    )
