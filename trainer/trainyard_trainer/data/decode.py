"""What the columns of a file's rows are to training, and which of the rows cannot be used."""

from collections.abc import Callable, Set
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from trainyard_trainer.data import moments, vectors
from trainyard_trainer.data.numerals import to_numbers
from trainyard_trainer.data.readers import CORRUPT, StoredBatch
from trainyard_trainer.data.schema import Column, Schema
from trainyard_trainer.data.source import SourceFile
from trainyard_trainer.errors import BadInput, one_line
from trainyard_trainer.tensors import Floats, Mask

_HELD_BACK, _TRAINED_ON = ["true", "1", "validation", "val"], ["false", "0", "train", "training"]


class ColumnDecoder:
    """A batch of rows of a file. `bad` tells what is wrong with some, as far as their columns have been asked for.

    `missing` are the texts that stand for a missing value.
    """

    def __init__(
        self,
        batch: StoredBatch,
        file: SourceFile,
        schema: Schema,
        *,
        separator: str | None,
        missing: Set[str] = frozenset({""}),
    ) -> None:
        self._batch, self._file, self._schema, self._separator = batch, file, schema, separator
        self._missing = missing
        self.bad: dict[int, str] = {}
        self.unlabelled: dict[int, str] = {}

    def column(self, name: str) -> pa.Array:
        """Return a column as it is stored; one that a folder stands for has the same text in every row."""
        constants = dict(self._file.partition)
        if name not in constants:
            return self._batch.columns.column(name)
        return pa.array([constants[name]] * len(self._batch.rows), pa.string())

    def texts(self, name: str) -> pa.Array:
        """Return a column as texts without blanks around them, null where missing."""
        return self._there(trimmed(self._decodable(name, as_texts(self.column(name)))))

    def dates(self, name: str) -> pa.Array:
        """Return a column of dates as texts, null where missing."""
        return self._there(trimmed(self._decodable(name, moments.as_texts(self.column(name)))))

    def bytes(self, name: str) -> pa.Array:
        """Return a column of bytes."""
        column = self.column(name)
        return pc.cast(pc.struct_field(column, "bytes") if pa.types.is_struct(column.type) else column, pa.binary())

    def numbers(self, column: Column) -> Floats:
        """Return a column of numbers, vectors or dates as float32 [rows, numbers], NaN where missing."""
        values = self.column(column.name)
        if column.kind == "number":
            return self._as_numbers(column, values).reshape(-1, 1)
        if column.kind == "date":
            return self._of_dates(column.name)
        (length,) = column.shape
        if pa.types.is_null(values.type):
            return np.full((len(values), length), np.nan, np.float32)
        array, lengths = vectors.dense(values, length)
        for row in np.flatnonzero((lengths != length) & (lengths >= 0)):
            self.refuse(row, f"column {column.name!r} holds {lengths[row]} numbers, expected {length}")
        return array

    def label(self) -> pa.Array:
        """Return the labels: texts, numbers (float64) or lists of texts."""
        label = self._schema.label
        values = self.column(label.name)
        if label.kind == "texts":
            return self._decodable(label.name, _as_lists(values, self._separator))
        if label.kind == "text":
            raw = _as_names(self._decodable(label.name, as_texts(values)))
            raw = pc.utf8_lower(raw) if label.dtype == "bool" else raw  # TRUE here and true there are one class
            labels = self._there(raw)
        else:
            raw = values
            labels = self._parsed(label, values) if _is_text(values.type) else pc.cast(values, pa.float64(), safe=False)
        for row in np.flatnonzero(unusable(labels)):
            self.unlabelled[int(row)] = self._why_unlabelled(label, raw[int(row)].as_py())
        return labels

    def weights(self) -> Floats | None:
        """Return how much each row counts, by the column that says it."""
        column = self._schema.weight
        if column is None:
            return None
        weights = self._as_numbers(column, self.column(column.name))
        for row, why in unusable_weights(column.name, weights).items():
            self.refuse(row, why)
        return weights

    def held_back(self) -> Mask | None:
        """Return which rows are for validation, by the column that says it."""
        name = self._schema.validation
        if name is None:
            return None
        held_back, bad = told_apart(name, trimmed(self._decodable(name, as_texts(self.column(name)))))
        for row, why in bad.items():
            self.refuse(row, why)
        return held_back

    def _decodable(self, name: str, texts: pa.Array) -> pa.Array:
        """Return texts, null where one is not UTF-8, which makes a bad row: Parquet's texts are checked by nobody."""
        checked, odd = in_utf8(texts)
        for row in odd:
            self.refuse(row, f"column {name!r}: {shown(texts[row : row + 1])} is not UTF-8")
        return checked

    def _there(self, texts: pa.Array) -> pa.Array:
        if len(self._missing) == 1:
            return texts
        return pc.if_else(pc.is_in(texts, pa.array(sorted(self._missing))), None, texts)

    def _as_numbers(self, column: Column, values: pa.Array) -> Floats:
        if pa.types.is_boolean(values.type):
            values = pc.cast(values, pa.uint8())
        if _is_text(values.type):
            values = self._parsed(column, values)
        try:
            return pc.cast(values, pa.float32(), safe=False).to_numpy(zero_copy_only=False)
        except CORRUPT as error:
            raise BadInput(
                f"column {column.name!r} has mixed types: {one_line(error)} in {self._file.name}, where numbers were "
                "before"
            ) from error

    def _parsed(self, column: Column, values: pa.Array) -> pa.Array:
        """Return texts as numbers; rows where one is none are bad."""
        texts = self.texts(column.name)
        if pa.types.is_boolean(values.type):
            return pc.cast(values, pa.float64())
        try:
            return to_numbers(texts, column.notation)
        except CORRUPT:
            odd = misfits(texts, lambda some: to_numbers(some, column.notation))
        for row in odd:
            self.refuse(row, f"column {column.name!r}: {one_line(repr(texts[row].as_py()), 50)} is not a number")
        return to_numbers(pc.if_else(pa.array(np.isin(np.arange(len(texts)), odd)), None, texts), column.notation)

    def _of_dates(self, name: str) -> Floats:
        texts = self.dates(name)
        numbers, odd = moments.numbers(texts)
        for row in odd:
            self.refuse(
                row,
                f"column {name!r}: {one_line(repr(texts[row].as_py()), 50)} is no date: expected one such as "
                "2026-01-31 or 2026-01-31T12:00:00",
            )
        return numbers

    def _why_unlabelled(self, label: Column, raw: object) -> str:
        name = label.name
        if isinstance(raw, str) and raw in self._missing - {""}:
            return (
                f"the label {name!r} is {raw!r}, which counts as missing (where {raw!r} is a class, list in "
                "data.csv.missing what else stands for a missing value)"
            )
        return f"the label {name!r} is {'missing' if raw is None or raw == '' else f'{raw!r}, not a finite number'}"

    def refuse(self, row: int | np.integer[Any], why: str) -> None:
        """Take a row for a bad one; of several reasons the first counts."""
        self.bad.setdefault(int(row), why)


def told_apart(name: str, column: pa.Array) -> tuple[Mask, dict[int, str]]:
    """Return which rows a column of texts chooses for validation, and what is wrong where it does not tell."""
    texts = pc.replace_substring_regex(pc.utf8_lower(pc.fill_null(column, "")), r"^([01])\.0+$", r"\1")
    held_back, known = (
        pc.is_in(texts, pa.array(words)).to_numpy(zero_copy_only=False)
        for words in (_HELD_BACK, _HELD_BACK + _TRAINED_ON)
    )
    return held_back, {
        int(row): f"column {name!r} says {texts[row].as_py()!r}, which does not tell whether the row is for "
        "validation: expected true or false, 1 or 0, validation or train"
        for row in np.flatnonzero(~known)
    }


def unusable_weights(name: str, weights: Floats) -> dict[int, str]:
    """Return which rows have no weight that one can use, and why."""
    return {
        int(row): f"the weight {name!r} is "
        + ("missing" if np.isnan(weights[row]) else f"{weights[row]:g}: expected a finite number from 0 up")
        for row in np.flatnonzero(~(np.isfinite(weights) & (weights >= 0)))
    }


def unusable(label: pa.Array) -> Mask:
    """Return which labels are missing: no text, or no finite number."""
    bad = label.is_null(nan_is_null=True)
    if pa.types.is_floating(label.type):
        bad = pc.or_(bad, pc.invert(pc.is_finite(pc.fill_null(label, 0.0))))
    else:
        bad = pc.or_(bad, pc.equal(pc.fill_null(label, ""), ""))
    return bad.to_numpy(zero_copy_only=False)


def misfits(column: pa.Array, cast: Callable[[pa.Array], object], first: int = 0) -> list[int]:
    """Return which values cannot be cast: halves that can be are done with."""
    try:
        cast(column)
    except CORRUPT:
        if len(column) == 1:
            return [first]
        half = len(column) // 2
        return misfits(column[:half], cast, first) + misfits(column[half:], cast, first + half)
    return []


def in_utf8(texts: pa.Array) -> tuple[pa.Array, list[int]]:
    """Return texts or lists of texts, null where one is not UTF-8, and the places of those."""
    try:
        _check_utf8(texts)
    except CORRUPT:
        odd, places = misfits(texts, _check_utf8), np.arange(len(texts))
        return texts.take(pa.array(places, mask=np.isin(places, odd))), odd
    return texts, []


def _check_utf8(texts: pa.Array) -> None:
    # Taken, because a slice of lists is checked with all that they were cut from.
    (texts.take(pa.array(range(len(texts)))) if pa.types.is_list(texts.type) else texts).validate(full=True)


def shown(text: pa.Array) -> str:
    """Return an array of one text or list of texts for a message, whatever bytes it has."""
    flat = text.flatten() if pa.types.is_list(text.type) else text
    contents = flat.cast(pa.binary()).to_pylist()
    return one_line(repr(b"|".join(content or b"" for content in contents).decode("utf-8", "replace")), 50)


def as_texts(column: pa.Array) -> pa.Array:
    """Return a column as texts that tell its values apart: all digits of a number, whole ones without a fraction."""
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if not pa.types.is_floating(column.type):
        return pc.cast(column, pa.string())
    whole = pc.and_(pc.is_finite(column), pc.and_(pc.equal(column, pc.round(column)), pc.less(pc.abs(column), 2.0**63)))
    whole = pc.fill_null(whole, False)
    integers = pc.cast(pc.cast(pc.if_else(whole, column, None), pa.int64()), pa.string())
    texts = pc.if_else(whole, integers, pc.cast(column, pa.string()))
    return pc.if_else(pc.fill_null(pc.is_nan(column), True), None, texts)


def trimmed(texts: pa.Array) -> pa.Array:
    """Return texts without blanks around them: those of ASCII, which the served graph takes off as well."""
    return pc.ascii_trim_whitespace(texts)


def _as_names(texts: pa.Array) -> pa.Array:
    """Return texts without any blanks around them and with accents written one way: nobody sees the difference."""
    if pc.all(pc.string_is_ascii(texts), min_count=0).as_py():
        return trimmed(texts)
    return pc.utf8_trim_whitespace(pc.utf8_normalize(texts, form="NFC"))


def _is_text(type_: pa.DataType) -> bool:
    value = type_.value_type if pa.types.is_dictionary(type_) else type_
    return pa.types.is_string(value) or pa.types.is_large_string(value) or pa.types.is_string_view(value)


def _as_lists(column: pa.Array, separator: str | None) -> pa.Array:
    if pa.types.is_list(column.type) or pa.types.is_large_list(column.type):
        return pc.cast(column, pa.list_(pa.string()))
    return pc.split_pattern(as_texts(column), separator)
