"""One pass over the data: what training has to know of it before it starts."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from trainyard_operator.api.program import Task
from trainyard_trainer.data import categories
from trainyard_trainer.data.categories import CategoryCounter, empty_column
from trainyard_trainer.data.labels import ClassCounter, LabelCounter, Labels, NumberTally, Tally
from trainyard_trainer.data.rows import Rows, gather
from trainyard_trainer.data.schema import Schema
from trainyard_trainer.data.split import Splitter
from trainyard_trainer.data.table import RawRows, Table
from trainyard_trainer.errors import BadInput

NUMBERS, CATEGORIES = "numbers", "categories"
"""Names of the feature arrays: float32 with NaN where missing, and int32 slots."""


@dataclass(slots=True)
class KeptRows:
    """The rows themselves, those for training and those for validation, each where they fit the cache."""

    training: Rows | None
    validation: Rows | None

    def take_training(self) -> Rows | None:
        """Hand over the rows for training, so that their memory is free once they have been prepared."""
        rows, self.training = self.training, None
        return rows


@dataclass(frozen=True, slots=True)
class Profile:
    """What the training rows look like, and which rows are for validation.

    `mean`, `deviation` and `missing` belong to the number columns, `vocabularies` to the text columns. `masks` holds,
    for each unit of the table, a packed bit a row: whether it is for validation.
    """

    schema: Schema
    labels: Labels
    mean: Any
    deviation: Any
    missing: Any
    vocabularies: tuple[tuple[str, ...], ...]
    training_rows: int
    validation_rows: int
    unit_rows: tuple[int, ...]
    masks: tuple[Any, ...]
    kept: KeptRows

    @property
    def rows(self) -> int:
        """All rows."""
        return self.training_rows + self.validation_rows

    @property
    def digest(self) -> str:
        """A digest of everything the model's input depends on: it differs where a checkpoint would not fit."""
        described = repr((self.schema, self.labels, self.vocabularies, self.unit_rows)).encode()
        arrays = [
            np.ascontiguousarray(each).tobytes() for each in (self.mean, self.deviation, self.missing, *self.masks)
        ]
        return hashlib.sha256(b"\0".join([described, *arrays])).hexdigest()

    def encode(self, raw: RawRows) -> Rows:
        """Return raw rows as the arrays the training side takes."""
        return Rows(
            {
                NUMBERS: raw.numbers,
                CATEGORIES: _columns(list(map(categories.encode, raw.texts, self.vocabularies)), raw),
            },
            self.labels.encode(raw.label),
        )

    def mask(self, unit: int) -> Any:
        """Return, for each row of a unit, whether it is for validation."""
        return np.unpackbits(self.masks[unit], count=self.unit_rows[unit]).astype(bool)


def profile(
    table: Table, *, task: Task, fraction: float, seed: int, cache_bytes: int, watch: Callable[[int], None]
) -> Profile:
    """Read all rows once. `watch` is told, batch by batch, how many rows have been read.

    Raises:
        BadInput: the rows cannot be learnt from; the message says why and what to change.
    """
    return _Pass(table, task, Splitter(fraction, seed), cache_bytes).run(fraction, watch)


class _Pass:
    def __init__(self, table: Table, task: Task, splitter: Splitter, cache_bytes: int) -> None:
        self._table, self._task, self._splitter = table, task, splitter
        label = table.schema.label.name
        self._labels: LabelCounter = NumberTally(label) if task == "regression" else ClassCounter(label)
        self._tally = Tally(len(table.schema.numbers))
        self._texts = [CategoryCounter(name) for name in table.schema.texts]
        self._caches = {False: _Cache(cache_bytes), True: _Cache(cache_bytes // 4)}

    def run(self, fraction: float, watch: Callable[[int], None]) -> Profile:
        masks, rows = [], 0
        for unit in self._table.units():
            parts = [np.zeros(0, bool)]
            for raw in self._table.read(unit):
                parts.append(self._add(raw))
                rows += len(raw)
                watch(rows)
            masks.append(np.concatenate(parts))
        if not rows:
            raise BadInput(f"{self._table.source.location} has a header but no rows: expected at least two")
        held_back = sum(int(mask.sum()) for mask in masks)
        if fraction and not held_back:
            raise BadInput(
                f"data.validation.fraction {fraction:g} of {rows} rows is less than a row: use a larger fraction, or 0"
            )
        labels = self._labels.finish(self._task)
        self._refuse_empty_numbers()
        vocabularies = tuple(each.vocabulary() for each in self._texts)
        slots = [each.slots(vocabulary) for each, vocabulary in zip(self._texts, vocabularies, strict=True)]
        return Profile(
            schema=self._table.schema,
            labels=labels,
            mean=self._tally.mean,
            deviation=np.where(self._tally.deviation > 0, self._tally.deviation, 1.0),
            missing=self._tally.count < rows - held_back,
            vocabularies=vocabularies,
            training_rows=rows - held_back,
            validation_rows=held_back,
            unit_rows=tuple(len(mask) for mask in masks),
            masks=tuple(np.packbits(mask) for mask in masks),
            kept=KeptRows(*(self._caches[which].rows(slots, self._labels) for which in (False, True))),
        )

    def _add(self, raw: RawRows) -> Any:
        """Take in a batch; returns which of its rows are for validation."""
        strata = self._labels.codes(raw)
        held_back = self._splitter.validation(strata)
        training = ~held_back
        self._labels.count(raw, strata, training)
        self._tally.add(raw.numbers[training].astype(np.float64))
        codes = []
        for counter, texts in zip(self._texts, raw.texts, strict=True):
            codes.append(counter.codes(texts))
            counter.count(codes[-1][training])
        whole = Rows({NUMBERS: raw.numbers, CATEGORIES: _columns(codes, raw)}, self._labels.kept(raw, strata))
        for which, cache in self._caches.items():
            cache.add(whole, held_back == which)
        return held_back

    def _refuse_empty_numbers(self) -> None:
        for name, count in zip(self._table.schema.numbers, self._tally.count, strict=True):
            if not count:
                raise BadInput(empty_column(name))


class _Cache:
    """Keeps rows as long as they fit; from then on keeps nothing."""

    def __init__(self, limit: int) -> None:
        self._room = limit
        self._parts: list[Rows] = []

    def add(self, rows: Rows, which: Any) -> None:
        if self._room > 0 and which.any():
            self._parts.append(rows.take(which))
            self._room -= self._parts[-1].nbytes
            if self._room <= 0:
                self._parts.clear()

    def rows(self, slots: list[Any], labels: LabelCounter) -> Rows | None:
        if not self._parts:
            return None
        whole = gather(self._parts)
        for column, place in enumerate(slots):
            whole.features[CATEGORIES][:, column] = place[whole.features[CATEGORIES][:, column]]
        return Rows(whole.features, labels.encoded(whole.labels))


def _columns(columns: list[Any], raw: RawRows) -> Any:
    return np.stack(columns, axis=1) if columns else np.zeros((len(raw), 0), np.int32)
