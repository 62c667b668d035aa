"""Rows as arrays: what the data side hands to the training side, whatever the format it came from."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from trainyard_trainer.tensors import Array, Arrays, Floats, Integers, Mask


@dataclass(frozen=True, slots=True)
class EncodedBatch:
    """Features and labels of some rows; every array has one entry a row in its first dimension.

    `weights` say how much each row counts, with a mean of 1 over the training rows; all count alike where absent.
    """

    features: Arrays
    labels: Array
    weights: Floats | None = None

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def nbytes(self) -> int:
        """Memory of all arrays together."""
        weights = () if self.weights is None else (self.weights,)
        return sum(map(_nbytes, (self.labels, *weights, *self.features.values())))

    def take(self, which: Integers | Mask | slice) -> "EncodedBatch":
        """Return the rows that an index, mask or slice chooses."""
        features = {name: values[which] for name, values in self.features.items()}
        return EncodedBatch(features, self.labels[which], None if self.weights is None else self.weights[which])


def _nbytes(values: Array) -> int:
    inside = sum(map(sys.getsizeof, values.flat)) if values.dtype == object else 0
    return int(values.nbytes) + inside


def gather(parts: list[EncodedBatch]) -> EncodedBatch:
    """Return the rows of all parts, in order, and empty the list on the way: hardly more memory than the result."""
    count, first = sum(len(part) for part in parts), parts[0]
    whole = EncodedBatch(
        {name: np.empty((count, *values.shape[1:]), values.dtype) for name, values in first.features.items()},
        np.empty((count, *first.labels.shape[1:]), first.labels.dtype),
        None if first.weights is None else np.empty(count, np.float32),
    )
    parts.reverse()
    begin = 0
    while parts:
        part = parts.pop()
        there = slice(begin, begin + len(part))
        for name, values in part.features.items():
            whole.features[name][there] = values
        whole.labels[there] = part.labels
        if whole.weights is not None and part.weights is not None:
            whole.weights[there] = part.weights
        begin = there.stop
    return whole


def concatenate(parts: Sequence[EncodedBatch]) -> EncodedBatch:
    """Return the rows of all parts, in order."""
    if len(parts) == 1:
        return parts[0]
    features = {name: np.concatenate([part.features[name] for part in parts]) for name in parts[0].features}
    weights = [part.weights for part in parts if part.weights is not None]
    labels = np.concatenate([part.labels for part in parts])
    return EncodedBatch(features, labels, np.concatenate(weights) if weights else None)
