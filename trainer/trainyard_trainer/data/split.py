"""Which rows are held back for validation: the same for the same seed and data, with classes in equal shares."""

from fractions import Fraction

import numpy as np

from trainyard_trainer.tensors import Array, Integers

_ODD = np.uint64(0x9E3779B97F4A7C15)


class Splitter:
    """Decides row by row, in the order of the data, while it streams by.

    The rows of each class are counted off in windows of 1 / fraction rows, and one row of each window, chosen by a hash
    of (seed, class, window), goes to validation. So the shares are exact to a row in every class, no order of the data
    can upset them, and nothing but one counter a class has to be remembered. The first row of a class always goes to
    training.

    With a `fold`, from 0 up, the row of each window that is chosen is another one for each fold: 1 / fraction of them
    together choose all rows but those that are the first of their class.
    """

    def __init__(self, fraction: float, seed: int, *, fold: int | None = None) -> None:
        self.fold = fold
        share = Fraction(fraction).limit_denominator(10_000)
        self._share, self._whole = share.numerator, share.denominator
        self._key = _mix(np.array([seed], np.uint64) * _ODD)
        self._seen = np.zeros(0, np.int64)

    @property
    def share(self) -> float:
        """The share of the rows that are chosen."""
        return self._share / self._whole

    def validation(self, strata: Integers) -> Array:
        """Return, for the next rows, whether each is for validation; `strata` holds their classes as small integers."""
        if not self._share or not len(strata):
            return np.zeros(len(strata), bool)
        occurrence = self._count(strata)
        window = occurrence * self._share // self._whole
        first = self._start(window)
        length = self._start(window + 1) - first
        draw = _mix(self._key + _mix(strata.astype(np.uint64) * _ODD + window.astype(np.uint64)))
        if self.fold is not None:
            place = ((draw >> np.uint64(1)).astype(np.int64) + self.fold) % length
            return (occurrence == first + place) & (occurrence > 0)
        opening = (window == 0).astype(np.int64)
        picked = first + opening + (draw >> np.uint64(1)).astype(np.int64) % (length - opening)
        return occurrence == picked

    def _start(self, window: Integers) -> Array:
        return -(-window * self._whole // self._share)

    def _count(self, strata: Integers) -> Array:
        classes = int(strata.max()) + 1
        if classes > len(self._seen):
            self._seen = np.concatenate([self._seen, np.zeros(classes - len(self._seen), np.int64)])
        order = np.argsort(strata, kind="stable")
        counts = np.bincount(strata, minlength=len(self._seen))
        starts = np.cumsum(counts) - counts
        occurrence = np.empty(len(strata), np.int64)
        occurrence[order] = np.arange(len(strata)) - starts[strata[order]]
        occurrence += self._seen[strata]
        self._seen = self._seen + counts
        return occurrence


def _mix(x: Array) -> Array:
    """Scramble 64-bit integers (the finalizer of SplitMix64)."""
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))
