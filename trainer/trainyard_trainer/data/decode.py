"""What the columns of a file's rows are to training, and which of the rows cannot be used."""

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from trainyard_trainer.data import vectors
from trainyard_trainer.data.readers import CORRUPT, StoredBatch
from trainyard_trainer.data.schema import Column, Schema
from trainyard_trainer.data.source import SourceFile
from trainyard_trainer.errors import BadInput, one_line

_HELD_BACK, _TRAINED_ON = ["true", "1", "validation", "val"], ["false", "0", "train", "training"]


class ColumnDecoder:
    """A batch of rows of a file. `bad` tells what is wrong with some, as far as their columns have been asked for."""

    def __init__(self, batch: StoredBatch, file: SourceFile, schema: Schema, *, separator: str | None) -> None:
        self._batch, self._file, self._schema, self._separator = batch, file, schema, separator
        self.bad: dict[int, str] = {}

    def column(self, name: str) -> Any:
        """Return a column as it is stored; one that a folder stands for has the same text in every row."""
        constants = dict(self._file.partition)
        if name not in constants:
            return self._batch.columns.column(name)
        return pa.array([constants[name]] * len(self._batch.rows), pa.string())

    def texts(self, name: str) -> Any:
        """Return a column of texts."""
        return _as_texts(self.column(name))

    def bytes(self, name: str) -> Any:
        """Return a column of bytes."""
        return pc.cast(self.column(name), pa.binary())

    def numbers(self, column: Column) -> Any:
        """Return a column of numbers or vectors as float32 [rows, numbers], NaN where missing."""
        values = self.column(column.name)
        if column.kind == "number":
            return _as_numbers(column.name, values, self._file.name).reshape(-1, 1)
        (length,) = column.shape
        if pa.types.is_null(values.type):
            return np.full((len(values), length), np.nan, np.float32)
        array, lengths = vectors.dense(values, length)
        for row in np.flatnonzero((lengths != length) & (lengths >= 0)):
            self._refuse(row, f"column {column.name!r} holds {lengths[row]} numbers, expected {length}")
        return array

    def label(self) -> Any:
        """Return the labels: texts, numbers (float64) or lists of texts."""
        name, kind = self._schema.label.name, self._schema.label.kind
        values = self.column(name)
        if kind == "texts":
            return _as_lists(values, self._separator)
        values = _as_texts(values) if kind == "text" else pc.cast(values, pa.float64(), safe=False)
        for row in np.flatnonzero(unusable(values)):
            self._refuse(row, f"the label {name!r} is missing or not a number one can use")
        return values

    def held_back(self) -> Any:
        """Return which rows are for validation, where there is a column that says it."""
        name = self._schema.validation
        if name is None:
            return None
        held_back, bad = told_apart(name, _as_texts(self.column(name)))
        for row, why in bad.items():
            self._refuse(row, why)
        return held_back

    def _refuse(self, row: Any, why: str) -> None:
        self.bad.setdefault(int(row), why)


def told_apart(name: str, column: Any) -> tuple[Any, dict[int, str]]:
    """Return which rows a column of texts chooses for validation, and what is wrong where it does not tell."""
    texts = pc.utf8_lower(pc.fill_null(column, ""))
    held_back, known = (
        pc.is_in(texts, pa.array(each)).to_numpy(zero_copy_only=False)
        for each in (_HELD_BACK, _HELD_BACK + _TRAINED_ON)
    )
    return held_back, {
        int(row): f"column {name!r} says {texts[row].as_py()!r}, which does not tell whether the row is for "
        "validation: expected true or false, 1 or 0, validation or train"
        for row in np.flatnonzero(~known)
    }


def unusable(label: Any) -> Any:
    """Return which labels are missing: no text, or no finite number."""
    bad = label.is_null(nan_is_null=True)
    if pa.types.is_floating(label.type):
        bad = pc.or_(bad, pc.invert(pc.is_finite(pc.fill_null(label, 0.0))))
    else:
        bad = pc.or_(bad, pc.equal(pc.fill_null(label, ""), ""))
    return bad.to_numpy(zero_copy_only=False)


def _as_numbers(name: str, column: Any, file: str) -> Any:
    if pa.types.is_boolean(column.type):
        column = pc.cast(column, pa.uint8())
    try:
        return pc.cast(column, pa.float32(), safe=False).to_numpy(zero_copy_only=False)
    except CORRUPT as error:
        raise BadInput(
            f"column {name!r} has mixed types: {one_line(error)} in {file}, where numbers were before"
        ) from error


def _as_texts(column: Any) -> Any:
    return pc.cast(column, pa.string())


def _as_lists(column: Any, separator: str | None) -> Any:
    if pa.types.is_list(column.type) or pa.types.is_large_list(column.type):
        return pc.cast(column, pa.list_(pa.string()))
    return pc.split_pattern(_as_texts(column), separator)
