"""Preprocessing as TensorFlow graph: the same code prepares rows for training and sits in front of the served model."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import tensorflow as tf

from trainyard_trainer.data.categories import FIRST, MISSING, UNKNOWN
from trainyard_trainer.data.hashing import KEY, Hashed
from trainyard_trainer.data.table import RawBatch
from trainyard_trainer.data.tabular import CATEGORIES, NUMBERS, WORDS, TableStatistics
from trainyard_trainer.data.tokenizer import MAX_LENGTH
from trainyard_trainer.encoding import moments
from trainyard_trainer.encoding.texts import Vectorizer
from trainyard_trainer.tensors import Arrays, Samples, Tensor, Tensors, TensorSpec

DENSE, SLOTS = "dense_features", "slots"
"""What a model is given: float32 [rows, dense] and int32 [rows, categories], the latter indices into one table."""


_NEVER_SEEN = "(a text of no training row)"


@dataclass(frozen=True, slots=True)
class TableInputs:
    """Shape of a model's input: width of the dense part, and number of slots of each category."""

    dense: int
    slots: tuple[int, ...]


class TableEncoder(tf.Module):
    """Normalises numbers, fills in missing ones with the mean, and turns texts into slots of a table.

    A column that had missing values among the training rows gets an indicator beside it, because that a value is
    missing can say something. Infinite numbers count as missing.
    """

    def __init__(self, facts: TableStatistics) -> None:
        super().__init__()
        self._facts, schema = facts, facts.schema
        self._features, self._dense, self._text_names = schema.features, schema.dense, schema.texts
        self._mean = np.asarray(facts.mean, np.float32)
        self._deviation = np.asarray(facts.deviation, np.float32)
        self._indicators = np.flatnonzero(facts.missing).astype(np.int32)
        slots = tuple(FIRST + len(vocabulary) for vocabulary in facts.vocabularies)
        self._offsets = (np.cumsum(slots) - slots).astype(np.int32)
        self.inputs = TableInputs(dense=len(self._mean) + len(self._indicators), slots=slots)
        # Tables are resources: they must hang on the module, or the saved graph would refer to nothing.
        self.tables = [
            _HashedTexts(vocabulary) if isinstance(vocabulary, Hashed) else _table(vocabulary, schema.missing)
            for vocabulary in facts.vocabularies
        ]
        self.missing = schema.missing
        self._word_names = schema.words
        self.words = [Vectorizer(WORDS, known, MAX_LENGTH) for known in facts.words]

    def signature(self) -> dict[str, TensorSpec]:
        """Return what a client sends: a number, text or vector a row for each feature column."""
        kinds = {"number": tf.float32, "vector": tf.float32}
        return {
            feature.name: tf.TensorSpec([None, *feature.shape], kinds.get(feature.kind, tf.string))
            for feature in self._features
        }

    def encode(self, features: Arrays) -> dict[str, Tensor]:
        """Return the model's input for numbers and category slots as the data side delivers them."""
        numbers, categories = tf.convert_to_tensor(features[NUMBERS]), tf.convert_to_tensor(features[CATEGORIES])
        there = tf.math.is_finite(numbers)
        dense = tf.where(there, (numbers - self._mean) / self._deviation, tf.zeros_like(numbers))
        if len(self._indicators):
            gone = tf.cast(tf.logical_not(tf.gather(there, self._indicators, axis=1)), tf.float32)
            dense = tf.concat([dense, gone], axis=1)
        return {DENSE: dense, SLOTS: categories + self._offsets}

    def from_client(self, columns: Tensors) -> dict[str, Tensor]:
        """Return the model's input for what a client sent."""
        some = next(iter(columns.values()))
        rows = tf.shape(some)[0]
        numbers = [
            moments.numbers(columns[column.name])
            if column.kind == "date"
            else tf.reshape(columns[column.name], [-1, *(column.shape or (1,))])
            for column in self._dense
        ]
        numbers += [_word_counts(read, columns[name]) for name, read in zip(self._word_names, self.words, strict=True)]
        slots = [
            table.lookup(tf.strings.strip(columns[name]))
            for name, table in zip(self._text_names, self.tables, strict=True)
        ]
        return self.encode(
            {
                NUMBERS: tf.concat(numbers, axis=1) if numbers else tf.zeros([rows, 0]),
                CATEGORIES: tf.stack(slots, axis=1) if slots else tf.zeros([rows, 0], tf.int32),
            }
        )

    def samples(self, raw: RawBatch) -> Samples:
        """Return rows twice, with one where everything is missing and one with texts never seen."""
        odd = _with_odd_rows(raw)
        sent: dict[str, list[Any]] = {}
        first = 0
        for column in self._dense:
            if column.kind == "date":
                sent[column.name] = pc.fill_null(odd.dates[column.name], "").to_pylist()
            else:
                own = odd.numbers[:, first : first + column.width]
                sent[column.name] = own.reshape(-1, *column.shape).tolist()
            first += column.width
        sent |= {name: pc.fill_null(odd.words[name], "").to_pylist() for name in self._word_names}
        sent |= {
            name: pc.fill_null(texts, "").to_pylist() for name, texts in zip(self._text_names, odd.texts, strict=True)
        }
        return sent, self._facts.arrays(odd)


def _with_odd_rows(raw: RawBatch) -> RawBatch:
    odd = np.full((2, raw.numbers.shape[1]), np.nan, np.float32)
    return RawBatch(
        file=raw.file,
        first_row=raw.first_row,
        numbers=np.concatenate([raw.numbers, odd]),
        texts=tuple(map(_with_odd_texts, raw.texts)),
        label=raw.label,
        words={name: _with_odd_texts(texts) for name, texts in raw.words.items()},
        dates={name: _with_odd_texts(texts) for name, texts in raw.dates.items()},
    )


def _with_odd_texts(texts: pa.Array) -> pa.Array:
    return pa.concat_arrays([texts, pa.array([None, _NEVER_SEEN], pa.string())])


def _word_counts(vectorizer: Vectorizer, texts: Tensor) -> Tensor:
    """Return how often each word of a vocabulary occurs, as `tabular.with_words` does."""
    size = FIRST + vectorizer.size
    with tf.device("/CPU:0"):  # there are no kernels for strings elsewhere
        counts = tf.math.bincount(vectorizer(texts), minlength=size, maxlength=size, axis=-1, dtype=tf.float32)
    return tf.math.log1p(tf.ensure_shape(counts, [None, size])[:, FIRST:])


class _HashedTexts:
    """Finds the slots of a hashed column as a table finds those of others."""

    def __init__(self, hashed: Hashed) -> None:
        self._count = len(hashed)

    def lookup(self, texts: Tensor) -> Tensor:
        buckets = tf.strings.to_hash_bucket_strong(texts, self._count, key=list(KEY))
        return tf.where(tf.equal(texts, ""), MISSING, FIRST + tf.cast(buckets, tf.int32))


def _table(vocabulary: tuple[str, ...], missing: tuple[str, ...]) -> tf.lookup.StaticHashTable:
    texts = tf.constant([*missing, *vocabulary])
    slots = tf.constant([MISSING] * len(missing) + [*range(FIRST, FIRST + len(vocabulary))], tf.int32)
    return tf.lookup.StaticHashTable(tf.lookup.KeyValueTensorInitializer(texts, slots), default_value=UNKNOWN)
