"""What a label column means: classes in a fixed order, or numbers."""

import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from trainyard_api.fit import Fit
from trainyard_api.program import Task
from trainyard_trainer.data.decode import unusable
from trainyard_trainer.data.label_sets import LabelSetCounter, LabelSets
from trainyard_trainer.data.numerals import is_number, looks_like_number
from trainyard_trainer.data.table import RawBatch
from trainyard_trainer.errors import BadInput, listed
from trainyard_trainer.tensors import Array, Doubles, Integers, Mask

MAX_CLASSES = 10_000
_LARGEST, _SMALLEST, _RESOLUTION = 1e38, 1e-36, 2.0**-20
"""Of a label of numbers, which is float32 later: its values, their deviation, and that beside the values."""


@dataclass(frozen=True, slots=True)
class ClassLabels:
    """Classes, sorted: by number where they are numbers, else by text. `counts` are those of the training rows."""

    names: tuple[str, ...]
    values: tuple[object, ...]
    counts: tuple[int, ...]
    weights: tuple[float, ...] = ()
    """What the training rows of each weigh together, where rows have weights."""

    @property
    def shares(self) -> Doubles:
        """What share of the training rows each class has, by their weights."""
        totals = np.asarray(self.weights or self.counts, np.float64)
        return totals / totals.sum()

    def encode(self, column: pa.Array) -> Array:
        """Return the index of each row's class (int32)."""
        return pc.index_in(column, value_set=pa.array(self.values, column.type)).to_numpy(zero_copy_only=False)


@dataclass(frozen=True, slots=True)
class NumberLabels:
    """Numbers to predict, with the mean and standard deviation of the training rows.

    `logs` are those of log(1 + label), where the spec has the model learn that.
    """

    mean: float
    deviation: float
    logs: tuple[float, float] | None = None

    @property
    def learnt(self) -> tuple[float, float]:
        """Mean and standard deviation of what the model learns."""
        return self.logs or (self.mean, self.deviation)

    def standard(self, labels: Array) -> Array:
        """Return what the model learns, in deviations from its mean."""
        mean, deviation = self.learnt
        return ((np.log1p(labels) if self.logs else labels) - mean) / deviation

    def encode(self, column: pa.Array) -> Array:
        """Return the numbers (float32)."""
        return column.to_numpy(zero_copy_only=False).astype(np.float32)


class ClassCounter:
    """Collects the classes while the data streams by."""

    def __init__(self, label: str) -> None:
        self._label = label
        self._codes: dict[Any, int] = {}
        self._counts = np.zeros(0, np.int64)
        self._weights: Doubles | None = None

    def codes(self, rows: RawBatch) -> Integers:
        """Return a small integer for each row: its class, in order of first appearance."""
        _refuse_missing(rows, self._label)
        coded = rows.label.dictionary_encode()
        values = coded.dictionary.to_pylist()
        known = np.array([self._codes.setdefault(value, len(self._codes)) for value in values], np.int64)
        if len(self._codes) > MAX_CLASSES:
            raise BadInput(
                f"the label {self._label!r} has more than {MAX_CLASSES} different values, too many for classes: "
                "name another column in data.label, or use task regression if it holds quantities"
            )
        return known[coded.indices.to_numpy(zero_copy_only=False)]

    def count(self, rows: RawBatch, codes: Array, training: Mask) -> None:
        """Count those of the rows that are for training."""
        counts = np.bincount(codes[training], minlength=len(self._codes))
        counts[: len(self._counts)] += self._counts
        self._counts = counts
        if rows.weights is not None:
            weights: Doubles = np.zeros(len(self._codes))
            np.add.at(weights, codes[training], rows.weights[training])
            if self._weights is not None:
                weights[: len(self._weights)] += self._weights
            self._weights = weights

    def kept(self, rows: RawBatch, codes: Array) -> Array:
        """Return what to keep of the labels of rows until all classes are known."""
        return codes.astype(np.int32)

    def encoded(self, kept: Array) -> Array:
        """Return kept labels as the indices of their classes."""
        place = {value: index for index, value in enumerate(in_order(self._codes))}
        return np.array([place[value] for value in self._codes], np.int32)[kept]

    def finish(self, task: str) -> ClassLabels:
        """Return the classes.

        Raises:
            BadInput: their number does not fit the task.
        """
        values = in_order(self._codes)
        named = tuple(class_name(value) for value in values)
        if len(values) < 2:
            raise BadInput(
                f"the label {self._label!r} has one class only ({named[0]!r} in every row): "
                "there is nothing to learn to tell apart; check data.label and the data"
            )
        for value, name in zip(values, named, strict=True):
            if not self._counts[self._codes[value]]:
                raise BadInput(
                    f"the class {name!r} of the label {self._label!r} is in validation or test rows only: a model "
                    "cannot learn it; add rows of it to train on, or remove those"
                )
        if twins := _written_alike(named, loosely=task == "binaryClassification" and len(values) > 2):
            raise BadInput(
                f"the label {self._label!r} has the classes {twins[0]!a} and {twins[1]!a}, which differ only "
                "in how they are written: write them alike in the data"
            )
        if task == "binaryClassification" and len(values) != 2:
            numbers = all(is_number(name) for name in named)
            wrong = "regression" if len(values) > 50 and numbers else "multiclassClassification"
            raise BadInput(
                f"task binaryClassification expects a label with two values, but {self._label!r} has {len(values)} "
                f"({listed(named, 5)}): use task {wrong}, or name another column in data.label"
            )
        if len(values) > 2 and (self._counts <= 1).all():
            raise BadInput(
                f"the label {self._label!r} has another value in nearly every row ({len(values)} different ones): "
                "classes need several rows each to be learnt; name another column in data.label, or use task "
                "regression for quantities"
            )
        places = [self._codes[value] for value in values]
        weights = () if self._weights is None else tuple(self._weights[places].tolist())
        return ClassLabels(named, tuple(values), tuple(self._counts[places].tolist()), weights)


class NumberTally:
    """Collects the mean and spread of a numeric label while the data streams by."""

    def __init__(self, label: str, fit: Fit) -> None:
        self._label = label
        self._tally = Tally(1)
        self._logs = Tally(1) if fit.target_transform else None
        self._terms = "fit.targetTransform log1p" if self._logs else "fit.loss poisson" if fit.loss == "poisson" else ""
        self._least, self._most = np.inf, -np.inf

    def codes(self, rows: RawBatch) -> Integers:
        """Return one class for all rows, after checking that each is a number."""
        if pa.types.is_string(rows.label.type):
            first = _first(rows.label)
            remedy = "use task binaryClassification or multiclassClassification"
            if looks_like_number(first):
                remedy = "to read them as numbers, say number in data.columns"
            elif any(map(str.isdigit, first)):
                remedy = (
                    f"where they are quantities, write plain numbers such as 1234.5; where they are names, {remedy}"
                )
            raise BadInput(
                f"task regression expects a label that holds numbers, but {self._label!r} holds texts such as "
                f"{first!r}: {remedy}"
            )
        _refuse_missing(rows, self._label)
        labels = rows.label.to_numpy(zero_copy_only=False)
        if len(large := np.flatnonzero(np.abs(labels) > _LARGEST)):
            raise BadInput(
                f"the label {self._label!r} is {labels[large[0]]:g} in {rows.where(large[0])}: expected numbers below "
                f"{_LARGEST:g}; correct it, or give the label in another unit"
            )
        if self._terms and (labels < 0).any():
            row = int(np.argmax(labels < 0))
            raise BadInput(
                f"{self._terms} expects labels from 0 up, but {self._label!r} is {labels[row]:g} in {rows.where(row)}: "
                "remove it from spec.fit, or correct the row"
            )
        return np.zeros(len(rows), np.int64)

    def count(self, rows: RawBatch, codes: Array, training: Mask) -> None:
        """Count those of the rows that are for training."""
        weights = None if rows.weights is None else rows.weights[training]
        labels = rows.label.to_numpy(zero_copy_only=False)[training].reshape(-1, 1)
        self._tally.add(labels, weights)
        if self._logs:
            self._logs.add(np.log1p(labels), weights)
        self._least, self._most = np.append(labels, self._least).min(), np.append(labels, self._most).max()

    def kept(self, rows: RawBatch, codes: Array) -> Array:
        """Return the numbers of rows, as they are trained on."""
        return rows.label.to_numpy(zero_copy_only=False).astype(np.float32)

    def encoded(self, kept: Array) -> Array:
        """Return kept labels as they are."""
        return kept

    def finish(self, task: str) -> NumberLabels:
        """Return the numbers' statistics.

        Raises:
            BadInput: they are all the same.
        """
        mean, deviation = float(self._tally.mean[0]), float(self._tally.deviation[0])
        if self._least == self._most:
            raise BadInput(f"the label {self._label!r} is {mean:g} in every row: there is nothing to learn from it")
        if deviation < max(max(-self._least, self._most) * _RESOLUTION, _SMALLEST):
            raise BadInput(
                f"the label {self._label!r} goes from {self._least:.17g} to {self._most:.17g}: expected numbers that "
                "differ in their first six digits; give it in another unit, or subtract a constant"
            )
        logs = (float(self._logs.mean[0]), float(self._logs.deviation[0])) if self._logs else None
        return NumberLabels(mean, deviation, logs)


class Tally:
    """Mean and standard deviation of columns, in one pass and in double precision; not-finite values do not count.

    Pieces are merged as in Chan, Golub and LeVeque, "Updating formulae and a pairwise algorithm for computing sample
    variances" (1979), because sums of squares lose all digits where the mean is large.
    """

    def __init__(self, columns: int) -> None:
        self.count: Array = np.zeros(columns, np.int64)
        self.mean = np.zeros(columns)
        self._squares = np.zeros(columns)

    def add(self, values: Array, weights: Array | None = None) -> None:
        """Add rows of finite and other values; with weights a row counts as that many."""
        there = np.isfinite(values)
        share = there if weights is None else there * weights.astype(np.float64)[:, None]
        count = share.sum(axis=0)
        sums = np.where(there, values, 0.0) if weights is None else np.where(there, values, 0.0) * share
        mean = np.divide(sums.sum(axis=0), count, out=np.zeros(len(count)), where=count > 0)
        squares = np.where(there, values - mean, 0.0)
        squares = squares * squares if weights is None else squares * squares * share
        total = np.where(self.count + count > 0, self.count + count, 1)
        delta = mean - self.mean
        self._squares += squares.sum(axis=0) + delta * delta * self.count * count / total
        self.mean += delta * count / total
        self.count = self.count + count

    @property
    def deviation(self) -> Doubles:
        """Standard deviation of each column, of the rows as they are (not of a larger population)."""
        return np.sqrt(self._squares / np.where(self.count > 0, self.count, 1))


def class_name(value: object) -> str:
    """Return a class as clients see it: texts as they are, whole numbers without a fraction."""
    return f"{value:.0f}" if isinstance(value, float) and value.is_integer() else str(value)


def _written_alike(classes: Iterable[str], *, loosely: bool) -> tuple[str, str] | None:
    """Return two classes that look the same, or, loosely, that mean the same: `1` and `1.0`, `Yes` and `yes`."""
    known: dict[str, str] = {}
    for name in classes:
        key = "".join(each for each in unicodedata.normalize("NFKC", name) if unicodedata.category(each) not in _UNSEEN)
        if loosely:
            key = key.casefold()
            key = _TRUTH.get(key, f"{Decimal(key).normalize()}" if is_number(key) else key)
        if (other := known.setdefault(key, name)) != name:
            return other, name
    return None


_UNSEEN = ("Cc", "Cf", "Zl", "Zp", "Zs")
_TRUTH = {"true": "1", "false": "0"}


def in_order(values: Iterable[Any]) -> list[Any]:
    """Return classes sorted: by number where all are numbers, else by text."""
    every = list(values)
    if all(not isinstance(value, str) or is_number(value) for value in every):
        return sorted(every, key=lambda value: (Decimal(str(value).strip()), str(value)))
    return sorted(every)


def _refuse_missing(rows: RawBatch, label: str) -> None:
    bad = np.flatnonzero(unusable(rows.label))
    if len(bad):
        raise BadInput(
            f"the label {label!r} is missing or not a number one can use in {rows.where(bad[0])}: "
            "fill it in, or remove the row"
        )


def _first(column: pa.Array) -> str:
    return str(next((value for value in column.to_pylist() if value), ""))


Labels = ClassLabels | LabelSets | NumberLabels
LabelCounter = ClassCounter | LabelSetCounter | NumberTally


def counter_of(task: Task, label: str, fit: Fit) -> LabelCounter:
    """Return the counter of the labels of a task."""
    if task == "regression":
        return NumberTally(label, fit)
    return LabelSetCounter(label) if task == "multilabelClassification" else ClassCounter(label)
