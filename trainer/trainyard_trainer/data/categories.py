"""Text columns as categories: the vocabulary comes from the training rows, with slots for missing and unknown texts."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from trainyard_trainer.data.numerals import looks_like_number
from trainyard_trainer.errors import BadInput
from trainyard_trainer.tensors import Integers

MISSING, UNKNOWN, FIRST = 0, 1, 2
"""Slots of a category: no text, a text that was in no training row, and the first text of the vocabulary."""
MAX_CATEGORIES = 10_000
_FEW = 20
"""So many different texts may well be names, some of which are numbers."""


class CategoryCounter:
    """Collects the texts of one column while the data streams by."""

    def __init__(self, column: str, *, may_be_numbers: bool = False) -> None:
        self.column, self._may_be_numbers = column, may_be_numbers
        self._codes: dict[str, int] = {"": 0}
        self._counts = np.zeros(1, np.int64)

    def codes(self, texts: pa.Array) -> Integers:
        """Return a small integer for each row: its text, in order of first appearance; 0 where it is missing."""
        coded = pc.fill_null(texts, "").dictionary_encode()
        known = np.array([self._codes.setdefault(text, len(self._codes)) for text in coded.dictionary.to_pylist()])
        if len(self._codes) > MAX_CATEGORIES:
            raise BadInput(
                f"column {self.column!r} has more than {MAX_CATEGORIES} different texts, too many for categories: "
                "hash it (data.hashing), or, if it names or describes single rows, leave it out with data.exclude"
            )
        return known.astype(np.int32)[coded.indices.to_numpy(zero_copy_only=False)]

    def count(self, codes: Integers) -> None:
        """Count training rows."""
        counts = np.bincount(codes, minlength=len(self._codes))
        counts[: len(self._counts)] += self._counts
        self._counts = counts

    def vocabulary(self) -> tuple[str, ...]:
        """Return the texts of the training rows, sorted.

        Raises:
            BadInput: there is none, or most but not all of them are numbers.
        """
        counted = {text: int(self._counts[code]) for text, code in self._codes.items() if code < len(self._counts)}
        texts = sorted(text for text, count in counted.items() if text and count)
        if not texts:
            raise BadInput(empty_column(self.column))
        if self._may_be_numbers:
            return tuple(texts)
        rows = sum(counted[text] for text in texts)
        numeric = sum(counted[text] for text in texts if looks_like_number(text))
        if numeric == rows and (written := next((text for text in texts if not text.isdigit()), None)):
            raise BadInput(
                f"column {self.column!r} holds numbers written as {written!r}: say number in data.columns to read them "
                "so, category to take them for names, or write them as numbers"
            )
        odd = [text for text in texts if not looks_like_number(text)]
        many = len(texts) > _FEW and 2 * len(odd) < len(texts)
        if (rows / 2 < numeric or many) and odd:
            raise BadInput(
                f"column {self.column!r} has mixed types: {numeric} of its {rows} texts are numbers, but not "
                f"{odd[0]!r}; "
                "leave such cells empty where the value is missing (or list them in data.csv.missing), say category in "
                "data.columns to take all for names, or leave the column out with data.exclude"
            )
        return tuple(texts)

    def settled(self) -> tuple[tuple[str, ...], Integers]:
        """Return the vocabulary, and the slot of each code.

        Raises:
            BadInput: as `vocabulary` does.
        """
        vocabulary = self.vocabulary()
        return vocabulary, self.slots(vocabulary)

    def slots(self, vocabulary: tuple[str, ...]) -> Integers:
        """Return, for each code, the slot its text has in the model."""
        place = {text: FIRST + index for index, text in enumerate(vocabulary)} | {"": MISSING}
        return np.array([place.get(text, UNKNOWN) for text in self._codes], np.int32)


def encode(texts: pa.Array, vocabulary: tuple[str, ...]) -> Integers:
    """Return the slot of each text (int32)."""
    filled = pc.fill_null(texts, "")
    place = pc.index_in(filled, value_set=pa.array(vocabulary, pa.string()))
    slots = pc.fill_null(pc.add(place, FIRST), UNKNOWN).to_numpy(zero_copy_only=False)
    return np.where(pc.equal(filled, "").to_numpy(zero_copy_only=False), MISSING, slots).astype(np.int32)


def empty_column(column: str) -> str:
    """Return what to say about a column without a value."""
    return f"column {column!r} has no value in any training row: fill it, remove it, or leave it out with data.exclude"
