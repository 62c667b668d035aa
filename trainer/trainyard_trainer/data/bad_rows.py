"""Rows that cannot be used: said with their place and why, and left out as long as there are few enough of them."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from trainyard_trainer.errors import BadInput
from trainyard_trainer.tensors import Integers

_NAMED = 3


@dataclass(frozen=True, slots=True)
class BadRow:
    """One row, counted from 0 in its file, or a file that is a row by itself, and what is wrong with it."""

    file: str
    row: int | None
    why: str

    def __str__(self) -> str:
        return f"{self.file if self.row is None else f'row {self.row + 1} of {self.file}'}: {self.why}"


class UnreadableRows(BadInput):
    """Rows whose image or sound cannot be decoded: why, by their places among the rows that were to be read."""

    def __init__(self, rows: Mapping[int, str], *, first: str) -> None:
        self.rows = rows
        super().__init__(f"{first}: {next(iter(rows.values()), 'cannot be read')}; replace or remove it")


class BadRows:
    """Collects the bad rows of a data set.

    The data are read several times, and the same rows are bad each time: a row that is known does not count again.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._known: dict[tuple[str, int | None], BadRow] = {}
        self._rows: defaultdict[str, list[int]] = defaultdict(list)
        self._first_unlabelled: BadRow | None = None
        self.unlabelled = 0
        """Rows without a label, as far as the first pass over the data has come."""
        self._counts_unlabelled = True

    def __len__(self) -> int:
        return len(self._known) + (self.unlabelled if self._limit else 0)

    def __iter__(self) -> Iterator[BadRow]:
        """Yield the known ones, but for those without a label."""
        return iter(self._known.values())

    @property
    def first(self) -> list[str]:
        """What is wrong with the first few."""
        further = [self._first_unlabelled] if self._first_unlabelled and self._limit else []
        return [str(bad) for bad in [*list(self._known.values())[:_NAMED], *further][:_NAMED]]

    def add_unlabelled(self, first: BadRow, count: int) -> None:
        """Take in rows without a label. How many there are is worth knowing before they are refused."""
        if self._counts_unlabelled:
            self.unlabelled += count
            self._first_unlabelled = self._first_unlabelled or first

    def finish_unlabelled(self, rows: int, *, drop: bool) -> None:
        """End the first pass, in which there were so many good rows.

        Raises:
            BadInput: rows have no label, more than may be left out.
        """
        self._counts_unlabelled = False
        if self._first_unlabelled and not rows:
            raise BadInput(
                f"{self._first_unlabelled}; none of {self.unlabelled:,} rows has a label: fill it in, or name another "
                "column in data.label"
            )
        if self._first_unlabelled is None or drop or len(self._known) + self.unlabelled <= self._limit:
            return
        if self._limit:
            raise BadInput(
                f"more than {self._limit} rows cannot be used, which is what data.maxBadRows allows: "
                f"{'; '.join(self.first)}; {self.unlabelled:,} have no label: correct them, allow more, or leave those "
                "without a label out with data.dropUnlabelled"
            )
        raise BadInput(
            f"{self._first_unlabelled}; {self.unlabelled:,} of {rows + self.unlabelled:,} rows have no label: fill it "
            "in, or leave them out with data.dropUnlabelled"
        )

    def __contains__(self, place: tuple[str, int | None]) -> bool:
        return place in self._known

    def among(self, file: str, rows: Sequence[int] | Integers) -> list[int]:
        """Return the places of known bad rows among rows of a file, given by their numbers."""
        return np.flatnonzero(np.isin(rows, self._rows[file])).tolist() if file in self._rows else []

    def add(self, rows: Iterable[BadRow]) -> None:
        """Take in bad rows.

        Raises:
            BadInput: there are more of them now than the limit; the message names the first few.
        """
        for each in rows:
            if (each.file, each.row) in self:
                continue
            self._known[each.file, each.row] = each
            if each.row is not None:
                self._rows[each.file].append(each.row)
            if len(self._known) > self._limit:
                raise BadInput(self._too_many())

    def _too_many(self) -> str:
        if not self._limit:
            (only,) = self._known.values()
            remedy = "replace or remove it" if only.row is None else "correct the row or remove it"
            return f"{only}; {remedy}, or allow some to be left out with data.maxBadRows"
        return (
            f"more than {self._limit} rows cannot be used, which is what data.maxBadRows allows: "
            f"{'; '.join(self.first)}; correct them, or allow more"
        )
