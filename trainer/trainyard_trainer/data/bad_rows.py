"""Rows that cannot be used: said with their place and why, and left out as long as there are few enough of them."""

from collections.abc import Iterable
from dataclasses import dataclass

from trainyard_trainer.errors import BadInput

_NAMED = 3


@dataclass(frozen=True, slots=True)
class BadRow:
    """One row, counted from 0 in its file, and what is wrong with it."""

    file: str
    row: int
    why: str

    def __str__(self) -> str:
        return f"row {self.row + 1} of {self.file}: {self.why}"


class BadRows:
    """Collects the bad rows of a data set.

    The data are read several times, and the same rows are bad each time: a row that is known does not count again.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._known: dict[tuple[str, int], BadRow] = {}

    def __len__(self) -> int:
        return len(self._known)

    @property
    def first(self) -> list[str]:
        """What is wrong with the first few."""
        return [str(each) for each in list(self._known.values())[:_NAMED]]

    def add(self, rows: Iterable[BadRow]) -> None:
        """Take in bad rows.

        Raises:
            BadInput: there are more of them now than the limit; the message names the first few.
        """
        for each in rows:
            self._known.setdefault((each.file, each.row), each)
            if len(self) > self._limit:
                raise BadInput(self._too_many())

    def _too_many(self) -> str:
        if not self._limit:
            return f"{self.first[0]}; correct the row or remove it, or allow some to be left out with data.maxBadRows"
        return (
            f"more than {self._limit} rows cannot be used, which is what data.maxBadRows allows: "
            f"{'; '.join(self.first)}; correct them, or allow more"
        )
