"""Rows as arrays: what the data side hands to the training side, whatever the format it came from."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from trainyard_trainer.tensors import Array, Arrays, Integers, Mask


@dataclass(frozen=True, slots=True)
class EncodedBatch:
    """Features and labels of some rows; every array has one entry a row in its first dimension."""

    features: Arrays
    labels: Array

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def nbytes(self) -> int:
        """Memory of all arrays together."""
        return sum(map(_nbytes, (self.labels, *self.features.values())))

    def take(self, which: Integers | Mask | slice) -> "EncodedBatch":
        """Return the rows that an index, mask or slice chooses."""
        return EncodedBatch({name: values[which] for name, values in self.features.items()}, self.labels[which])


def _nbytes(values: Array) -> int:
    inside = sum(map(sys.getsizeof, values.flat)) if values.dtype == object else 0
    return int(values.nbytes) + inside


def gather(parts: list[EncodedBatch]) -> EncodedBatch:
    """Return the rows of all parts, in order, and empty the list on the way: hardly more memory than the result."""
    count, first = sum(len(part) for part in parts), parts[0]
    whole = EncodedBatch(
        {name: np.empty((count, *values.shape[1:]), values.dtype) for name, values in first.features.items()},
        np.empty((count, *first.labels.shape[1:]), first.labels.dtype),
    )
    parts.reverse()
    begin = 0
    while parts:
        part = parts.pop()
        there = slice(begin, begin + len(part))
        for name, values in part.features.items():
            whole.features[name][there] = values
        whole.labels[there] = part.labels
        begin = there.stop
    return whole


def concatenate(parts: Sequence[EncodedBatch]) -> EncodedBatch:
    """Return the rows of all parts, in order."""
    if len(parts) == 1:
        return parts[0]
    features = {name: np.concatenate([part.features[name] for part in parts]) for name in parts[0].features}
    return EncodedBatch(features, np.concatenate([part.labels for part in parts]))
