"""Preprocessing for trees: numbers as they are, for a threshold needs no scale, and categories as ydf counts them."""

import math
from typing import Any

import numpy as np
import tensorflow as tf

from trainyard_trainer.data.categories import FIRST, MISSING, UNKNOWN
from trainyard_trainer.data.tabular import CATEGORIES, NUMBERS, TableStatistics
from trainyard_trainer.encoding.columns import DENSE, SLOTS, TableEncoder
from trainyard_trainer.tensors import Arrays, Tensor

SHOWN = 100
"""Features whose importance is told."""
OUT_OF_VOCABULARY = 0
"""What ydf calls a category of no training row."""


class TreeEncoder(TableEncoder):
    """Leaves missing numbers to the trees, with an indicator beside a column that had some among the training rows.

    A missing text is a category like any other; a text never seen is ydf's own item for those.
    """

    def __init__(self, facts: TableStatistics) -> None:
        super().__init__(facts)
        items = np.arange(2, dtype=np.int32)
        items[[MISSING, UNKNOWN]] = 1, OUT_OF_VOCABULARY
        self._items = items

    def encode(self, features: Arrays) -> dict[str, Tensor]:
        """Return the model's input: numbers with NaN where missing, indicators, and the items of categories."""
        numbers, slots = tf.convert_to_tensor(features[NUMBERS]), tf.convert_to_tensor(features[CATEGORIES])
        there = tf.math.is_finite(numbers)
        gone = tf.cast(tf.logical_not(tf.gather(there, self._indicators, axis=1)), tf.float32)
        dense = tf.concat([tf.where(there, numbers, np.float32(np.nan)), gone], axis=1)
        return {DENSE: dense, SLOTS: tf.where(slots < FIRST, tf.gather(self._items, tf.minimum(slots, 1)), slots)}

    def importances(self, scores: Any) -> dict[str, float]:
        """Return each feature's share of what all splits together have improved, largest first.

        `scores` holds that for each column of the model's input.
        """
        numbers = [each.name for each in self._dense for _ in range(math.prod(each.shape))]
        names = [*numbers, *(numbers[i] for i in self._indicators), *self._text_names]
        found = dict.fromkeys(names, 0.0)
        for name, score in zip(names, scores, strict=True):
            found[name] += float(score) / (float(np.sum(scores)) or 1.0)
        return dict(sorted(found.items(), key=lambda each: -each[1])[:SHOWN])
