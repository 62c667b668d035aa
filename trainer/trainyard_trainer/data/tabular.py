"""A table's features: numbers with their mean and spread, and texts as categories."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from trainyard_api.text import TextReading
from trainyard_trainer.data import categories
from trainyard_trainer.data.categories import CategoryCounter, empty_column
from trainyard_trainer.data.hashing import HashCounter, Hashed, slots_of
from trainyard_trainer.data.labels import Tally
from trainyard_trainer.data.modality import KERAS, ProgramTerms
from trainyard_trainer.data.schema import Schema
from trainyard_trainer.data.table import RawBatch
from trainyard_trainer.data.tokenizer import MAX_LENGTH, Tokenizer, VocabularyBuilder
from trainyard_trainer.errors import BadInput, did_you_mean, listed
from trainyard_trainer.tensors import Array, Arrays, Doubles, Floats, Integers, Mask

WORDS = TextReading(max_tokens=1_002, output_sequence_length=MAX_LENGTH)
"""How texts of words beside other columns are read: as family textClassifier does, with 1,000 words."""
TEXT_OF = "text of "
NUMBERS, CATEGORIES = "numbers", "categories"
"""Names of the feature arrays: float32 with NaN where missing, and int32 slots."""


@dataclass(frozen=True, slots=True)
class TableStatistics:
    """What the training rows look like.

    `mean`, `deviation` and `missing` belong to the number columns, `vocabularies` to the categories. `words` are those
    of each column whose words count. Each word is a number more of a row, behind the others: how often it occurs.
    """

    schema: Schema
    mean: Doubles
    deviation: Doubles
    missing: Mask
    vocabularies: tuple[tuple[str, ...] | Hashed, ...]
    words: tuple[tuple[str, ...], ...] = ()

    @property
    def row_bytes(self) -> int:
        """Memory of a row."""
        return 4 * (len(self.schema.numbers) + len(self.schema.texts) + sum(map(len, self.words)))

    @property
    def digest(self) -> bytes:
        """A digest of everything the model's input depends on."""
        arrays = [np.ascontiguousarray(each).tobytes() for each in (self.mean, self.deviation, self.missing)]
        return hashlib.sha256(b"\0".join([repr((self.vocabularies, self.words)).encode(), *arrays])).digest()

    def arrays(self, raw: RawBatch) -> dict[str, Array]:
        """Return raw rows as numbers and slots."""
        slots = list(map(_slots, raw.texts, self.vocabularies))
        texts = {name: _as_list(raw.words[name]) for name in self.schema.words}
        return {NUMBERS: with_words(raw.numbers, texts, self.words), CATEGORIES: _columns(slots, raw)}


def _slots(texts: pa.Array, vocabulary: tuple[str, ...] | Hashed) -> Integers:
    return slots_of(texts, vocabulary) if isinstance(vocabulary, Hashed) else categories.encode(texts, vocabulary)


class TableAnalyzer:
    """Collects mean, spread and vocabulary of the columns while the data streams by.

    `hashing` gives the number of buckets of the columns whose texts are hashed instead.

    Raises:
        BadInput: a column is neither numbers nor texts, or one that is to be hashed is none of texts.
    """

    def __init__(self, schema: Schema, hashing: Mapping[str, int] | None = None, terms: ProgramTerms = KERAS) -> None:
        hashing = hashing or {}
        for name in hashing:
            if name not in schema.texts:
                raise BadInput(
                    f"data.hashing names {name!r}, which is not a feature that holds texts"
                    f"{did_you_mean(name, schema.texts)} (those are {listed(schema.texts) or 'none'})"
                )
        for name in schema.media:
            raise BadInput(
                f"column {name!r} holds bytes or arrays, and a table has numbers and texts only: "
                f"{terms.how_to('image')} for images, {terms.how_to('audio')} for sounds, or leave the column out "
                "by naming the others in data.features"
            )
        self._schema = schema
        self._tally = Tally(len(schema.numbers))
        self._texts = [
            HashCounter(column.name, hashing[column.name])
            if column.name in hashing
            else CategoryCounter(column.name, may_be_numbers=column.declared)
            for column in schema.features
            if column.kind == "text"
        ]
        self._slots: list[Integers] = []
        self._builders = {name: VocabularyBuilder(name, WORDS) for name in schema.words}
        self._words: tuple[tuple[str, ...], ...] = ()
        self.row_bytes = 4 * (len(schema.numbers) + len(schema.texts))

    def read(self, raw: RawBatch) -> dict[str, Array]:
        """Return the numbers of rows, and codes for their texts."""
        codes = [counter.codes(texts) for counter, texts in zip(self._texts, raw.texts, strict=True)]
        texts = {f"{TEXT_OF}{name}": _as_list(raw.words[name]) for name in self._builders}
        return {NUMBERS: raw.numbers, CATEGORIES: _columns(codes, raw), **texts}

    def count(self, read: Arrays, training: Mask) -> None:
        """Take in the rows that were read last."""
        self._tally.add(read[NUMBERS][training].astype(np.float64))
        for column, counter in enumerate(self._texts):
            counter.count(read[CATEGORIES][training, column])
        for name, builder in self._builders.items():
            builder.add(text.decode("utf-8", "replace") for text in read[f"{TEXT_OF}{name}"][training])

    def finish(self, training_rows: int) -> TableStatistics:
        """Return what the columns hold.

        Raises:
            BadInput: one has no value.
        """
        for name, count in zip(self._schema.numbers, self._tally.count, strict=True):
            if not count:
                raise BadInput(empty_column(name))
        settled = [each.settled() for each in self._texts]
        self._slots = [slots for _, slots in settled]
        self._words = tuple(builder.vocabulary() for builder in self._builders.values())
        further = sum(map(len, self._words))  # counts of words, as they are
        return TableStatistics(
            schema=self._schema,
            mean=np.append(self._tally.mean, np.zeros(further)),
            deviation=np.append(np.where(self._tally.deviation > 0, self._tally.deviation, 1.0), np.ones(further)),
            missing=np.append(self._tally.count < training_rows, np.zeros(further, bool)),
            vocabularies=tuple(known for known, _ in settled),
            words=self._words,
        )

    def settle(self, kept: Arrays) -> Arrays:
        """Turn the codes of kept rows into slots, in place."""
        for column, slots in enumerate(self._slots):
            kept[CATEGORIES][:, column] = slots[kept[CATEGORIES][:, column]]
        if not self._words:
            return kept
        texts = {name: kept[f"{TEXT_OF}{name}"] for name in self._builders}
        return {NUMBERS: with_words(kept[NUMBERS], texts, self._words), CATEGORIES: kept[CATEGORIES]}


def with_words(numbers: Floats, texts: Arrays, words: Sequence[Sequence[str]]) -> Floats:
    """Return numbers of rows with, behind them, how often words occur in texts: log(1 + count)."""
    if not words:
        return numbers
    return np.concatenate([numbers, *map(_counts, texts.values(), words)], axis=1)


def _counts(texts: Array, words: Sequence[str]) -> Floats:
    place, tokenizer = {word: index for index, word in enumerate(words)}, Tokenizer(WORDS)
    counts = np.zeros((len(texts), len(words)), np.float32)
    for row, text in enumerate(texts):
        found = tokenizer.words(text.decode("utf-8", "replace"))[:MAX_LENGTH]
        for column in [place[word] for word in found if word in place]:
            counts[row, column] += 1
    return np.log1p(counts)


def _as_list(column: pa.Array) -> Array:
    texts = np.empty(len(column), object)
    texts[:] = pc.fill_null(pc.cast(column, pa.binary()), b"").to_pylist()
    return texts


def _columns(columns: list[Integers], raw: RawBatch) -> Integers:
    return np.stack(columns, axis=1) if columns else np.zeros((len(raw.numbers), 0), np.int32)
