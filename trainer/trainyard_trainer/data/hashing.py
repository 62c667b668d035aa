"""Texts as numbers by a hash: for columns with too many different texts, or new ones all the time, for a vocabulary.

The hash is SipHash-2-4, the one of `tf.strings.to_hash_bucket_strong`, so that the served graph gives the same slots
with an operation of TensorFlow. After Aumasson and Bernstein, "SipHash: a fast short-input PRF" (2012).
"""

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from trainyard_trainer.data.categories import FIRST, MISSING, empty_column
from trainyard_trainer.errors import BadInput
from trainyard_trainer.tensors import Integers

KEY = (0x74726169, 0x6E796172)
"""Fixed, because a model is served with the key that it was trained with."""
_START = (0x736F6D6570736575, 0x646F72616E646F6D, 0x6C7967656E657261, 0x7465646279746573)

Words: TypeAlias = npt.NDArray[np.uint64]


@dataclass(frozen=True, slots=True)
class Hashed:
    """What stands for the vocabulary of a hashed column: how many buckets it has."""

    buckets: int

    def __len__(self) -> int:
        return self.buckets


class HashCounter:
    """Hashes the texts of one column while the data streams by; there is nothing to learn of them."""

    def __init__(self, column: str, count: int) -> None:
        self._column, self._hashed = column, Hashed(count)
        self._any = False

    def codes(self, texts: pa.Array) -> Integers:
        """Return the slot of each text."""
        return slots_of(texts, self._hashed)

    def count(self, codes: Integers) -> None:
        """Take note of whether any training row has a text."""
        self._any = self._any or bool((codes != MISSING).any())

    def settled(self) -> tuple[Hashed, Integers]:
        """Return the number of buckets, and the slot of each code: the code itself.

        Raises:
            BadInput: no training row has a text.
        """
        if not self._any:
            raise BadInput(empty_column(self._column))
        return self._hashed, np.arange(FIRST + len(self._hashed), dtype=np.int32)


def slots_of(texts: pa.Array, hashed: Hashed) -> Integers:
    """Return the slot of each text (int32)."""
    filled = pc.fill_null(texts, "")
    missing = pc.equal(filled, "").to_numpy(zero_copy_only=False)
    return np.where(missing, MISSING, FIRST + buckets(filled, len(hashed))).astype(np.int32)


def buckets(texts: pa.Array, count: int) -> Integers:
    """Return, for each text of an Arrow array, a number from 0 to `count` - 1."""
    coded = texts.dictionary_encode()
    contents = pc.cast(coded.dictionary, pa.binary()).to_pylist()
    hashed = _siphash(contents) % np.uint64(count)
    return hashed.astype(np.int32)[coded.indices.to_numpy(zero_copy_only=False)]


def _siphash(contents: list[bytes]) -> Words:
    """Return the hash of each byte string: those of as many words of eight bytes are computed together."""
    hashed = np.zeros(len(contents), np.uint64)
    words = np.array([len(each) // 8 for each in contents], np.int64)
    for length in np.unique(words):
        which = np.flatnonzero(words == length)
        padded = b"".join(
            contents[i].ljust(8 * length + 7, b"\0") + bytes([len(contents[i]) & 255]) for i in which.tolist()
        )
        hashed[which] = _hash_words(np.frombuffer(padded, "<u8").reshape(len(which), length + 1))
    return hashed


def _hash_words(words: Words) -> Words:
    state = [np.full(len(words), start ^ KEY[i % 2], np.uint64) for i, start in enumerate(_START)]
    for word in words.T:
        state[3] = state[3] ^ word
        state = _rounds(state, 2)
        state[0] = state[0] ^ word
    state[2] = state[2] ^ np.uint64(0xFF)
    first, second, third, fourth = _rounds(state, 4)
    return first ^ second ^ third ^ fourth


def _rounds(state: list[Words], count: int) -> list[Words]:
    a, b, c, d = state
    for _ in range(count):
        a, c = a + b, c + d
        b, d = _turned(b, 13) ^ a, _turned(d, 16) ^ c
        a = _turned(a, 32)
        c, a = c + b, a + d
        b, d = _turned(b, 17) ^ c, _turned(d, 21) ^ a
        c = _turned(c, 32)
    return [a, b, c, d]


def _turned(words: Words, bits: int) -> Words:
    return (words << np.uint64(bits)) | (words >> np.uint64(64 - bits))
