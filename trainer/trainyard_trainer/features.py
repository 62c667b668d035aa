"""Preprocessing as TensorFlow graph: the same code prepares rows for training and sits in front of the served model."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from trainyard_trainer.data.categories import FIRST, MISSING, UNKNOWN
from trainyard_trainer.data.profile import CATEGORIES, NUMBERS, Profile

DENSE, SLOTS = "dense_features", "slots"
"""What a model is given: float32 [rows, dense] and int32 [rows, categories], the latter indices into one table."""


@dataclass(frozen=True, slots=True)
class ModelInputs:
    """Shape of a model's input: width of the dense part, and number of slots of each category."""

    dense: int
    slots: tuple[int, ...]


class FeatureEncoder(tf.Module):
    """Normalises numbers, fills in missing ones with the mean, and turns texts into slots of a table.

    A column that had missing values among the training rows gets an indicator beside it, because that a value is
    missing can say something. Infinite numbers count as missing.
    """

    def __init__(self, profile: Profile) -> None:
        super().__init__()
        schema = profile.schema
        self._features = schema.features
        self._number_names, self._text_names = schema.numbers, schema.texts
        self._mean = np.asarray(profile.mean, np.float32)
        self._deviation = np.asarray(profile.deviation, np.float32)
        self._indicators = np.flatnonzero(profile.missing).astype(np.int32)
        slots = tuple(FIRST + len(each) for each in profile.vocabularies)
        self._offsets = (np.cumsum(slots) - slots).astype(np.int32)
        self.inputs = ModelInputs(dense=len(self._mean) + len(self._indicators), slots=slots)
        # Tables are resources: they must hang on the module, or the saved graph would refer to nothing.
        self.tables = [_table(each) for each in profile.vocabularies]

    def signature(self) -> dict[str, Any]:
        """Return what a client sends: one vector of numbers or texts for each feature column."""
        kinds = {"number": tf.float32, "text": tf.string}
        return {each.name: tf.TensorSpec([None], kinds[each.kind]) for each in self._features}

    def encode(self, features: Mapping[str, Any]) -> dict[str, Any]:
        """Return the model's input for numbers and category slots as the data side delivers them."""
        numbers, categories = tf.convert_to_tensor(features[NUMBERS]), tf.convert_to_tensor(features[CATEGORIES])
        there = tf.math.is_finite(numbers)
        dense = tf.where(there, (numbers - self._mean) / self._deviation, tf.zeros_like(numbers))
        if len(self._indicators):
            gone = tf.cast(tf.logical_not(tf.gather(there, self._indicators, axis=1)), tf.float32)
            dense = tf.concat([dense, gone], axis=1)
        return {DENSE: dense, SLOTS: categories + self._offsets}

    def from_client(self, columns: Mapping[str, Any]) -> dict[str, Any]:
        """Return the model's input for what a client sent."""
        some = next(iter(columns.values()))
        rows = tf.shape(some)[0]
        numbers = [columns[name] for name in self._number_names]
        slots = [table.lookup(columns[name]) for name, table in zip(self._text_names, self.tables, strict=True)]
        return self.encode(
            {
                NUMBERS: tf.stack(numbers, axis=1) if numbers else tf.zeros([rows, 0]),
                CATEGORIES: tf.stack(slots, axis=1) if slots else tf.zeros([rows, 0], tf.int32),
            }
        )


def _table(vocabulary: tuple[str, ...]) -> Any:
    texts = tf.constant(["", *vocabulary])
    slots = tf.constant([MISSING, *range(FIRST, FIRST + len(vocabulary))], tf.int32)
    return tf.lookup.StaticHashTable(tf.lookup.KeyValueTensorInitializer(texts, slots), default_value=UNKNOWN)
