"""Labels of which a row may have any number: none, one or several."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from trainyard_trainer.data.table import RawBatch
from trainyard_trainer.errors import BadInput
from trainyard_trainer.tensors import Array, Doubles, Integers, Mask

MAX_LABELS = 1024


@dataclass(frozen=True, slots=True)
class LabelSets:
    """Labels, sorted by name. `counts` tells how many training rows have each.

    `weights` tells what those rows weigh together, where rows have weights.
    """

    names: tuple[str, ...]
    counts: tuple[int, ...]
    weights: tuple[float, ...] = ()

    def encode(self, column: pa.Array) -> Array:
        """Return, for each row and label, 1 where the row has it (uint8 [rows, labels])."""
        rows, names = _entries(column)
        place = pc.index_in(names, value_set=pa.array(self.names, pa.string()))
        there = place.is_valid().to_numpy(zero_copy_only=False)
        encoded = np.zeros((len(column), len(self.names)), np.uint8)
        encoded[rows[there], pc.fill_null(place, 0).to_numpy()[there]] = 1
        return encoded


class LabelSetCounter:
    """Collects the labels while the data streams by.

    A row belongs to the stratum of the label that has been rarest so far among its own. So every label is in a training
    row, because the first of a stratum is one, and rare labels are held back in the same share as common ones.
    """

    def __init__(self, label: str) -> None:
        self._label = label
        self._codes: dict[str, int] = {}
        self._seen = np.zeros(MAX_LABELS, np.int64)
        self._trained = np.zeros(MAX_LABELS, np.int64)
        self._weights: Doubles | None = None
        self._last = np.zeros((0, MAX_LABELS), np.uint8)

    def codes(self, rows: RawBatch) -> Integers:
        """Return the stratum of each row; 0 where it has no label."""
        which, names = _entries(rows.label)
        coded = names.dictionary_encode()
        known = np.array([self._code(each) for each in coded.dictionary.to_pylist()], np.int64)
        codes = known[coded.indices.to_numpy()] if len(known) else known
        which, codes = which[codes >= 0], codes[codes >= 0]
        self._last = np.zeros((len(rows), MAX_LABELS), np.uint8)
        self._last[which, codes] = 1
        strata = np.zeros(len(rows), np.int64)
        order = np.lexsort((codes, -self._seen[codes], which))
        strata[which[order]] = codes[order] + 1  # the last one, which is the rarest, stays
        self._seen += self._last.sum(axis=0, dtype=np.int64)
        return strata

    def count(self, rows: RawBatch, codes: Array, training: Mask) -> None:
        """Count the labels of those of the rows that are for training."""
        self._trained += self._last[training].sum(axis=0, dtype=np.int64)
        if rows.weights is not None:
            weights = rows.weights[training].astype(np.float64) @ self._last[training]
            self._weights = weights if self._weights is None else self._weights + weights

    def kept(self, rows: RawBatch, codes: Array) -> Array:
        """Return what to keep of the labels of rows until all labels are known: a bit each, as they appeared."""
        return np.packbits(self._last, axis=1)

    def encoded(self, kept: Array) -> Array:
        """Return kept labels, 1 where a row has one."""
        order = [self._codes[name] for name in sorted(self._codes)]
        return np.unpackbits(kept, axis=1)[:, order]

    def finish(self, task: str) -> LabelSets:
        """Return the labels.

        Raises:
            BadInput: there are none, or one is in rows that are held back only.
        """
        if not self._codes:
            raise BadInput(f"no row has a label in column {self._label!r}: check data.label and data.labelSeparator")
        names = tuple(sorted(self._codes))
        counts = tuple(int(self._trained[self._codes[name]]) for name in names)
        if 0 in counts:
            raise BadInput(
                f"the label {names[counts.index(0)]!r} of column {self._label!r} is in validation or test rows only: "
                "a model cannot learn it; add rows of it to train on, or remove those"
            )
        if self._weights is None:
            return LabelSets(names, counts)
        return LabelSets(names, counts, tuple(float(self._weights[self._codes[name]]) for name in names))

    def _code(self, name: str) -> int:
        if not name:
            return -1
        code = self._codes.setdefault(name, len(self._codes))
        if code >= MAX_LABELS:
            raise BadInput(
                f"column {self._label!r} has more than {MAX_LABELS} different labels: name another column in "
                "data.label, check data.labelSeparator, or leave rare labels out"
            )
        return code


def _entries(column: pa.Array) -> tuple[Integers, pa.Array]:
    """Return all labels of all rows, and which row each is of."""
    lengths = pc.fill_null(pc.list_value_length(column), 0).to_numpy(zero_copy_only=False)
    names = pc.utf8_trim_whitespace(pc.fill_null(column.flatten(), ""))
    return np.repeat(np.arange(len(column)), lengths), names
