"""Which rows are held back where a column decides: whole groups of rows, or the latest ones."""

from collections.abc import Iterable
from typing import TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from trainyard_trainer.data import moments
from trainyard_trainer.data.decode import ColumnDecoder, misfits
from trainyard_trainer.data.numerals import PLAIN, to_numbers
from trainyard_trainer.data.reading import SplitBy
from trainyard_trainer.data.split import Splitter
from trainyard_trainer.errors import BadInput, one_line
from trainyard_trainer.tensors import Doubles, Mask

_MOST_TIMES = 1 << 22
_MOST_GROUPS = 1 << 22


class GroupSplit:
    """Holds whole groups back: of the groups, in the order in which they appear, the share that the spec asks for.

    The choice is that of a splitter with one class, whose rows are the groups.
    """

    def __init__(self, by: SplitBy) -> None:
        self._column, self._splitter = by.column, Splitter(by.fraction, by.seed, fold=by.fold)
        self._held_back: dict[object, bool] = {}

    def held_back(self, stored: ColumnDecoder) -> Mask:
        """Return which rows are for validation. A missing value is a group like any other.

        Raises:
            BadInput: there are too many groups to remember.
        """
        coded = pc.fill_null(stored.texts(self._column), "").dictionary_encode()
        groups = coded.dictionary.to_pylist()
        new = [group for group in groups if group not in self._held_back]
        chosen = self._splitter.validation(np.zeros(len(new), np.int64)).tolist()
        self._held_back.update(zip(new, chosen, strict=True))
        if len(self._held_back) > _MOST_GROUPS:
            raise BadInput(
                f"data.validation.groupBy names {self._column!r}, which has more than {_MOST_GROUPS:,} different "
                "values: name a column with fewer, or hold rows back with data.validation.column"
            )
        which = np.array([self._held_back[group] for group in groups], bool)
        return which[coded.indices.to_numpy(zero_copy_only=False)] if len(which) else np.zeros(0, bool)

    @property
    def trouble(self) -> str:
        """What is wrong where no row, or every row, was held back."""
        return (
            f"data.validation.groupBy {self._column!r} makes {len(self._held_back)} group(s), of which data.validation."
            "fraction is less than one: use a larger fraction, or another column"
        )


class TimeSplit:
    """Holds the latest rows back: those from `begin` on."""

    def __init__(self, by: SplitBy, begin: float) -> None:
        self._column, self._begin = by.column, begin

    def held_back(self, stored: ColumnDecoder) -> Mask:
        """Return which rows are for validation; one without a time is bad."""
        return times_of(stored, self._column) >= self._begin

    @property
    def trouble(self) -> str:
        """What is wrong where no row, or every row, was held back."""
        return (
            f"data.validation.timeColumn {self._column!r} has the same time in too many rows: no moment parts those to "
            "train on from those to validate with; use another column, or another fraction"
        )


Split: TypeAlias = GroupSplit | TimeSplit


def times_of(stored: ColumnDecoder, name: str) -> Doubles:
    """Return a column of dates or numbers as float64 that grows with the time; rows without one are bad."""
    texts = stored.dates(name)
    days, odd = moments.elapsed(texts)
    given = len(texts) - texts.null_count
    if odd and len(odd) == given:  # years, or seconds since 1970: whatever it counts, it grows
        odd = misfits(texts, lambda some: to_numbers(some, PLAIN))
        places = np.arange(len(texts))
        numbers = to_numbers(pc.if_else(pa.array(np.isin(places, odd)), None, texts), PLAIN)
        days = pc.fill_null(numbers, np.nan).to_numpy(zero_copy_only=False)
    for row in odd:
        stored.refuse(
            row, f"column {name!r}: {one_line(repr(texts[row].as_py()), 50)} is no time: expected {_EXPECTED}"
        )
    for row in np.flatnonzero(np.isnan(days)).tolist():
        stored.refuse(row, f"column {name!r} has no time, by which data.validation.timeColumn parts the rows")
    return days


_EXPECTED = "a date such as 2026-01-31 or 2026-01-31T12:00:00, or a number in all rows"


def beginning_of_latest(times: Iterable[Doubles], fraction: float) -> float:
    """Return the time from which on a share of the rows is; of very many rows some are looked at."""
    kept, every, skipped = np.zeros(0), 1, 0
    for part in times:
        there = part[~np.isnan(part)]
        kept = np.concatenate([kept, there[skipped % every :: every] if every > 1 else there])
        skipped = (skipped - len(there)) % every if every > 1 else 0
        if len(kept) > _MOST_TIMES:
            kept, every = kept[::2], every * 2
    if not len(kept):
        return np.inf
    kept.sort()
    return float(kept[len(kept) - max(1, round(len(kept) * fraction))])
