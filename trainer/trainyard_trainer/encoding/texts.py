"""Texts as ids in the TensorFlow graph: the very operations that prepare the training rows are served."""

from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from trainyard_api.text import TextReading
from trainyard_trainer.data.table import RawBatch
from trainyard_trainer.data.texts import TEXTS, TextStatistics
from trainyard_trainer.data.tokenizer import DROPPED, FIRST, PAD, UNKNOWN, character_table
from trainyard_trainer.tensors import Arrays, Samples, Tensor, Tensors, TensorSpec

TOKENS = "token_ids"
"""What a model is given: int32 [rows, length], ids below `TextInputs.tokens`."""
_ODD_TEXTS = (b"", b"(words of no training row)", b"\xff broken\x00bytes \xe2\x82", b"long " * 10_000)


@dataclass(frozen=True, slots=True)
class TextInputs:
    """Shape of a model's input: words of each text, and number of different ids; and the words from id 2 on."""

    length: int
    tokens: int
    vocabulary: tuple[str, ...] = ()


class TextEncoder(tf.Module):
    """Turns one column of texts into ids."""

    missing: tuple[str, ...] = ()

    def __init__(self, facts: TextStatistics) -> None:
        super().__init__()
        self._facts = facts
        tokens = facts.text.num_bins or FIRST + len(facts.vocabulary)
        self.inputs = TextInputs(facts.length, tokens, facts.vocabulary)
        self.vectorizer = Vectorizer(facts.text, facts.vocabulary, facts.length)

    def signature(self) -> dict[str, TensorSpec]:
        """Return what a client sends: the texts."""
        return {self._facts.column: tf.TensorSpec([None], tf.string)}

    def encode(self, features: Arrays) -> dict[str, Tensor]:
        """Return the ids of texts as the data side delivers them."""
        with tf.device("/CPU:0"):  # there are no kernels for strings elsewhere
            return {TOKENS: self.vectorizer(tf.constant(features[TEXTS], tf.string))}

    def from_client(self, columns: Tensors) -> dict[str, Tensor]:
        """Return the ids of what a client sent."""
        return {TOKENS: self.vectorizer(columns[self._facts.column])}

    def samples(self, raw: RawBatch) -> Samples:
        """Return rows twice, with texts that are empty, unknown, broken and long."""
        texts = np.concatenate([self._facts.arrays(raw)[TEXTS], np.array(_ODD_TEXTS, object)])
        return {self._facts.column: texts.tolist()}, {TEXTS: texts}


class Vectorizer(tf.Module):
    """Cuts texts into words, and gives each word its id: its place in a vocabulary, or a hash.

    The ids are those of Keras' TextVectorization (0 for padding, 1 for unknown words) and, with `num_bins`, of Keras'
    Hashing with the empty text as mask.
    """

    def __init__(self, text: TextReading, vocabulary: tuple[str, ...], length: int) -> None:
        super().__init__()
        self._characters = character_table(text)
        self._by_character = text.split == "character"
        self._bins, self._length = text.num_bins or 0, length
        self.size = len(vocabulary)
        # Tables are resources: they must hang on the module, or the saved graph would refer to nothing.
        self.table = None if self._bins else _table(vocabulary)

    def __call__(self, texts: Tensor) -> Tensor:
        """Return the ids of the first words of each text, int32 [rows, length], padded with 0."""
        words = self._split(self._standardize(texts))
        return words.with_flat_values(self._ids(words.flat_values)).to_tensor(PAD, shape=[None, self._length])

    def _standardize(self, texts: Tensor) -> Tensor:
        characters = tf.strings.unicode_decode(texts, "UTF-8")
        codes, last = characters.flat_values, len(self._characters) - 1
        codes = tf.where(codes <= last, tf.gather(self._characters, tf.minimum(codes, last)), codes)
        kept = tf.ragged.boolean_mask(characters.with_flat_values(codes), characters.with_flat_values(codes != DROPPED))
        return tf.strings.unicode_encode(kept, "UTF-8")

    def _split(self, texts: Tensor) -> tf.RaggedTensor:
        words = tf.strings.split(texts)
        return tf.strings.unicode_split(words, "UTF-8").merge_dims(1, 2) if self._by_character else words

    def _ids(self, words: Tensor) -> Tensor:
        if self.table is not None:
            return self.table.lookup(words)
        return 1 + tf.strings.to_hash_bucket_fast(words, self._bins - 1)


def _table(vocabulary: tuple[str, ...]) -> tf.lookup.StaticHashTable:
    ids = tf.range(FIRST, FIRST + len(vocabulary), dtype=tf.int32)
    return tf.lookup.StaticHashTable(tf.lookup.KeyValueTensorInitializer(tf.constant(vocabulary), ids), UNKNOWN)
