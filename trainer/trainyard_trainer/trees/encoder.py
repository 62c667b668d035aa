"""Preprocessing for trees: numbers as they are, for a threshold needs no scale, and categories as ydf counts them."""

from dataclasses import replace
from typing import Any

import numpy as np
import tensorflow as tf

from trainyard_trainer.data.categories import FIRST, MISSING
from trainyard_trainer.data.tabular import CATEGORIES, NUMBERS, TableStatistics
from trainyard_trainer.encoding.columns import DENSE, SLOTS, TableEncoder
from trainyard_trainer.tensors import Array, Arrays, Tensor

SHOWN = 100
"""Features whose importance is told."""
OUT_OF_VOCABULARY = 0
"""What ydf calls a category of no training row."""
MIN_ROWS, MOST_TEXTS = 5, 2000
"""A text of fewer training rows than this, or beyond the most frequent ones, is rare: ydf's own limits."""


class TreeEncoder(TableEncoder):
    """Leaves missing numbers to the trees, with an indicator beside a column that had some among the training rows.

    A missing text is a category like any other. All rare texts, and those never seen, share ydf's own item for what is
    not in its vocabulary: so what a tree learns of rare texts holds for new ones.

    Args:
        facts: Of the table.
        training: The slots of the training rows, int32 [rows, columns of texts].
    """

    def __init__(self, facts: TableStatistics, training: Array) -> None:
        super().__init__(facts)
        counts = [np.bincount(training[:, i], minlength=width) for i, width in enumerate(self.inputs.slots)]
        items = [_items(column) for column in counts]
        self._items = np.concatenate([*items, np.zeros(1, np.int32)])
        self._starts = np.cumsum([0, *self.inputs.slots[:-1]])[: len(items)].astype(np.int32)
        self.inputs = replace(self.inputs, slots=tuple(int(column.max(initial=1)) + 1 for column in items))

    def encode(self, features: Arrays) -> dict[str, Tensor]:
        """Return the model's input: numbers with NaN where missing, indicators, and the items of categories."""
        numbers, slots = tf.convert_to_tensor(features[NUMBERS]), tf.convert_to_tensor(features[CATEGORIES])
        there = tf.math.is_finite(numbers)
        gone = tf.cast(tf.logical_not(tf.gather(there, self._indicators, axis=1)), tf.float32)
        dense = tf.concat([tf.where(there, numbers, np.float32(np.nan)), gone], axis=1)
        return {DENSE: dense, SLOTS: tf.gather(self._items, slots + self._starts)}

    def importances(self, scores: Any) -> dict[str, float]:
        """Return each feature's share of what all splits together have improved, largest first.

        `scores` holds that for each column of the model's input.
        """
        numbers = [column.name for column in self._dense for _ in range(column.width)]
        numbers += [name for name, read in zip(self._word_names, self.words, strict=True) for _ in range(read.size)]
        names = [*numbers, *(numbers[i] for i in self._indicators), *self._text_names]
        found = dict.fromkeys(names, 0.0)
        for name, score in zip(names, scores, strict=True):
            found[name] += float(score) / (float(np.sum(scores)) or 1.0)
        return dict(sorted(found.items(), key=lambda each: -each[1])[:SHOWN])


def _items(counts: Array) -> Array:
    """Return the item of each slot of a column, by how many training rows have it."""
    known = FIRST + np.argsort(-counts[FIRST:], kind="stable")[:MOST_TEXTS]
    known = np.sort(known[counts[known] >= MIN_ROWS])
    items = np.full(len(counts), OUT_OF_VOCABULARY, np.int32)
    items[MISSING] = 1
    items[known] = FIRST + np.arange(len(known), dtype=np.int32)
    return items
