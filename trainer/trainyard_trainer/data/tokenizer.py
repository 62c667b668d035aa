"""Texts as words: how a text is cut up, and which words a model is to know.

The served graph cuts texts up by itself (texts.py). Here the same is done without TensorFlow, to learn the words.
"""

import unicodedata
from collections import Counter
from collections.abc import Iterable
from functools import cache
from itertools import islice

import numpy as np

from trainyard_api.text import TextReading
from trainyard_trainer.errors import BadInput
from trainyard_trainer.tensors import Integers

PAD, UNKNOWN, FIRST = 0, 1, 2
"""Ids of what follows the last word, of a word that is not in the vocabulary, and of the vocabulary's first word."""
DROPPED, SPACE = 0, ord(" ")
_CODES = 0x10000
"""Characters beyond this (most emoji, ancient scripts) are taken as they are."""
_LONGEST = 65_536
MAX_LENGTH = 512
PERCENTILE = 95
MAX_COUNTED = 1_000_000


@cache
def _character_table(*, lower: bool, strip: bool) -> Integers:
    return np.array([_becomes(chr(code), lower=lower, strip=strip) for code in range(_CODES)], np.int32)


def character_table(text: TextReading) -> Integers:
    """Return what becomes of each character by its code, int32: another character, SPACE, or DROPPED.

    A table, because TensorFlow's own `strings.lower` follows the locale of the process for texts beyond ASCII, and ends
    a text at its first zero byte: a model would answer differently on another machine. Bytes that are not UTF-8 decode
    to U+FFFD, and count as white space like all control characters.
    """
    lower = text.standardize in ("lower_and_strip_punctuation", "lower")
    strip = text.standardize in ("lower_and_strip_punctuation", "strip_punctuation")
    return _character_table(lower=lower, strip=strip)


def _becomes(character: str, *, lower: bool, strip: bool) -> int:
    kind = unicodedata.category(character)
    if character.isspace() or kind in ("Cc", "Cs") or character in "\ufeff\ufffd":
        return SPACE
    if strip and (kind[0] == "P" or (character.isascii() and kind[0] == "S")):
        return DROPPED
    # One character may become several in lower case; such are left alone.
    lowered = character.lower() if lower else character
    return ord(lowered) if len(lowered) == 1 else ord(character)


class Tokenizer:
    """Cuts texts into words, exactly as the served graph does."""

    def __init__(self, text: TextReading) -> None:
        table = character_table(text)
        changed = np.flatnonzero(table != np.arange(len(table)))
        self._changes = {int(code): int(table[code]) or None for code in changed}
        self._by_character = text.split == "character"

    def words(self, text: str) -> list[str]:
        """Return the words of a text, in order."""
        words = text.translate(self._changes).split()
        return [each for word in words for each in word] if self._by_character else words


class VocabularyBuilder:
    """Counts the words of one column, and of its texts, while they stream by.

    At most about `most` different words are remembered: beyond that the rarer half is forgotten, which can only cost
    a word that is too rare for the vocabulary anyway, unless it suddenly becomes frequent late in the data.
    """

    def __init__(self, column: str, text: TextReading, *, most: int = MAX_COUNTED) -> None:
        self._column, self._text, self._most = column, text, most
        self._tokenizer = Tokenizer(text)
        self._counts: Counter[str] = Counter()
        self._lengths = np.zeros(_LONGEST + 1, np.int64)
        self._first: str | None = None
        self._alike = True

    def add(self, texts: Iterable[str]) -> None:
        """Count training texts."""
        for each in texts:
            words = self._tokenizer.words(each)
            self._counts.update(words)
            self._lengths[min(len(words), _LONGEST)] += 1
            self._first = each if self._first is None else self._first
            self._alike = self._alike and each == self._first
            if len(self._counts) > self._most:
                self._counts = Counter(dict(self._ranked(self._most // 2)))

    def vocabulary(self) -> tuple[str, ...]:
        """Return the words to know, the most frequent first, equally frequent ones by text.

        A word that occurs once is left out: nothing could be learnt from it but its row, and the id of unknown words
        gets something to learn from.

        Raises:
            BadInput: the texts are all the same, or have no word in common.
        """
        self._refuse_useless()
        if self._text.num_bins is not None:
            return ()
        return tuple(word for word, count in self._ranked(self._text.tokens - FIRST) if count > 1)

    def length(self) -> int:
        """Return the number of words a model looks at: as set, or so that few texts are cut off."""
        if self._text.output_sequence_length is not None:
            return self._text.output_sequence_length
        reached = np.cumsum(self._lengths) * 100 >= self._lengths.sum() * PERCENTILE
        return int(np.clip(np.argmax(reached), 1, MAX_LENGTH))

    def _ranked(self, most: int) -> list[tuple[str, int]]:
        return list(islice(sorted(self._counts.items(), key=lambda item: (-item[1], item[0])), most))

    def _refuse_useless(self) -> None:
        column, found = self._column, max(self._counts.values(), default=0)
        if self._alike and self._first is not None:
            raise BadInput(
                f"column {column!r} is the same in every row ({self._first[:60]!r}): there is nothing to learn from; "
                "name the column with the texts in data.features"
            )
        if found < 2:
            example = f" (such as {self._first[:60]!r})" if self._first else ""
            raise BadInput(
                f"column {column!r} has no word that occurs twice in the training rows{example}: if it holds ids, "
                "name the column with the texts in data.features; for texts without spaces set text.split to character"
            )
