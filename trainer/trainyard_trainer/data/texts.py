"""A column of texts as a feature: its words, and how many of them count."""

import hashlib
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from trainyard_api.text import TextReading
from trainyard_trainer.data.modality import KERAS, ProgramTerms
from trainyard_trainer.data.schema import Schema
from trainyard_trainer.data.table import RawBatch
from trainyard_trainer.data.tokenizer import VocabularyBuilder
from trainyard_trainer.errors import BadInput, listed
from trainyard_trainer.tensors import Array, Arrays, Mask

TEXTS = "texts"
"""Name of the feature array: the bytes of texts, in UTF-8 but for faults."""
_ROW_BYTES = 4096


@dataclass(frozen=True, slots=True)
class TextStatistics:
    """How the texts of one column become `length` ids each."""

    column: str
    text: TextReading
    vocabulary: tuple[str, ...]
    length: int
    row_bytes: int

    @property
    def digest(self) -> bytes:
        """A digest of everything the model's input depends on."""
        return hashlib.sha256(repr((self.vocabulary, self.length)).encode()).digest()

    def arrays(self, raw: RawBatch) -> dict[str, Array]:
        """Return the texts of raw rows; a missing one is empty."""
        return {TEXTS: _texts(raw)}


class TextAnalyzer:
    """Learns the words of the training texts while they stream by.

    Raises:
        BadInput: the data has not exactly one column of texts to learn from.
    """

    def __init__(self, text: TextReading, schema: Schema, terms: ProgramTerms = KERAS) -> None:
        kinds = {each.name: each.kind for each in schema.features}
        if list(kinds.values()) != ["text"]:
            raise BadInput(
                f"{terms.what('text')} learns from one column of texts, but the features are "
                f"{listed([f'{name} ({kind})' for name, kind in kinds.items()])}: name that column in data.features"
            )
        (self._column,) = kinds
        self._text = text
        self._words = VocabularyBuilder(self._column, self._text)
        self._bytes = 0
        self.row_bytes = _ROW_BYTES

    def read(self, raw: RawBatch) -> dict[str, Array]:
        """Return the texts of rows as they are."""
        return {TEXTS: _texts(raw)}

    def count(self, read: Arrays, training: Mask) -> None:
        """Take in the rows that were read last."""
        texts = read[TEXTS][training]
        self._words.add(each.decode("utf-8", "replace") for each in texts)
        self._bytes += sum(map(len, texts))

    def finish(self, training_rows: int) -> TextStatistics:
        """Return the vocabulary and the length.

        Raises:
            BadInput: the texts have nothing to learn from.
        """
        vocabulary, length = self._words.vocabulary(), self._words.length()
        row_bytes = max(4 * length, self._bytes // max(training_rows, 1))
        return TextStatistics(self._column, self._text, vocabulary, length, row_bytes)

    def settle(self, kept: Arrays) -> Arrays:
        """Return kept texts as they are."""
        return kept


def _texts(raw: RawBatch) -> Array:
    (column,) = raw.texts
    texts = np.empty(len(raw), object)
    # As bytes, because nobody has checked yet that texts from Parquet are UTF-8.
    texts[:] = pc.fill_null(pc.cast(column, pa.binary()), b"").to_pylist()
    return texts
