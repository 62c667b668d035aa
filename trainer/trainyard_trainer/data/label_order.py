"""Rows sorted by the label: how long the runs of one class are, and whether shuffling a block can still break them."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from trainyard_trainer.tensors import Integers

_SORTED = 10
"""Runs that are so many times as long as in random order are no chance: rare classes make long ones, too."""


@dataclass(frozen=True, slots=True)
class LabelRuns:
    """The rows of a piece of a data set, in how many runs of one class they come, and would in random order."""

    rows: int
    count: int
    random: float

    def outlast(self, block_rows: int) -> bool:
        """Return whether a block of so many rows in a row has few of the piece's classes, because of their order."""
        return 1 < self.count <= self.random / _SORTED and 2 * self.rows >= self.count * block_rows


class LabelRunCounter:
    """Counts the runs piece by piece; numbers to predict are one class."""

    def __init__(self) -> None:
        self._done: list[LabelRuns] = []
        self._count, self._last, self._classes = 0, -1, np.zeros(0, np.int64)

    def add(self, classes: Integers) -> None:
        """Take in the classes of the next rows of the piece, as small integers."""
        if len(classes):
            self._count += int(np.count_nonzero(np.diff(classes))) + bool(self._last != classes[0])
            self._last = int(classes[-1])
            counts = np.bincount(classes, minlength=len(self._classes))
            counts[: len(self._classes)] += self._classes
            self._classes = counts

    def end(self) -> None:
        """End the piece."""
        rows = int(self._classes.sum())
        alike = float(((self._classes / max(rows, 1)) ** 2).sum())
        self._done.append(LabelRuns(rows, self._count, 1 + (rows - 1) * (1 - alike) if rows else 0.0))
        self._count, self._last, self._classes = 0, -1, np.zeros(0, np.int64)

    def finish(self) -> tuple[LabelRuns, ...]:
        """Return the runs of each piece."""
        return tuple(self._done)


def outlast_blocks(pieces: Iterable[LabelRuns], *, block_rows: int) -> bool:
    """Return whether most rows of a data set are in pieces whose runs outlast a block.

    A piece of one class does no harm: pieces are read in another order each epoch, some of them in turns.
    """
    every = list(pieces)
    return 2 * sum(each.rows for each in every if each.outlast(block_rows)) > sum(each.rows for each in every)
