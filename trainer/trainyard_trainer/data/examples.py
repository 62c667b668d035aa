"""Reads many serialized `tf.train.Example`s at once, as columns, with numpy alone.

TensorFlow's own parser is as fast, but loading TensorFlow takes seconds in which bad input would go unreported, and a
strategy for several workers must be the first thing TensorFlow does. Protocol buffers' Python takes one record at a
time, which is an order of magnitude slower.

The messages are those of `tensorflow/core/example/{example,feature}.proto`, as bytes: a field is a tag, a length and
its content (https://protobuf.dev/programming-guides/encoding). All records are walked in step: the n-th entries of all
their maps, then the n + 1-th, because most writers put the same keys in the same order.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from trainyard_trainer.data.tfrecord import Records
from trainyard_trainer.tensors import Array, Bytes, Integers, Mask

Kind = Literal["bytes", "float", "int64"]

_FIRST, _SECOND = 0x0A, 0x12
"""Tags of a message's first and second field where these have a length: `field << 3 | 2`."""
_LISTS: Mapping[int, Kind] = {0x0A: "bytes", 0x12: "float", 0x1A: "int64"}
_SEQUENCE = (
    "it is a tf.train.SequenceExample, and only tf.train.Example is read: write what it holds as features of an Example"
)
_PADDING = b"\0" * 16
"""Behind the last record, so that a number that does not end is still read inside the buffer."""


class Malformed(Exception):
    """Some records are not what they should be: `which` are their indices."""

    def __init__(self, which: Integers, why: str) -> None:
        super().__init__(why)
        self.which = which


@dataclass(frozen=True, slots=True)
class Values:
    """One feature of some records: `flat` holds `counts[i]` values of the record `rows[i]`, in order.

    `flat` is a numpy array (float32 or int64) or a list of bytes.
    """

    kind: Kind
    rows: Integers
    counts: Integers
    flat: Any


def parse(records: Records, wanted: Collection[str] | None = None) -> dict[str, Values]:
    """Return the wanted features, or all; one that is in none of the records, or empty in all, is left out.

    Raises:
        Malformed: some of the records are no Examples, or a feature is of one type here and of another there.
    """
    wire = _Wire(records.content)
    places: dict[str, list[tuple[Integers, Integers, Integers]]] = {}
    rows, at, whole = wire.filled(np.arange(len(records)), records.begin, records.end)
    wire.refuse(rows, wire.bytes[at] == _SECOND, _SEQUENCE)
    at, end = wire.field(rows, at, whole, _FIRST)
    wire.refuse(rows, (end < whole) & (wire.bytes[end] == _SECOND), _SEQUENCE)
    while len(rows):
        rows, at, end = wire.filled(rows, at, end)
        entry, entry_end = wire.field(rows, at, end, _FIRST)
        key, key_end = wire.field(rows, entry, entry_end, _FIRST)
        for name, which in wire.by_text(key, key_end):
            if wanted is None or name in wanted:
                places.setdefault(name, []).append((rows[which], key_end[which], entry_end[which]))
        at = entry_end
    values = {name: _feature(wire, name, *_in_order(each)) for name, each in places.items()}
    return {name: each for name, each in values.items() if each is not None}


def _in_order(pieces: list[tuple[Integers, Integers, Integers]]) -> tuple[Integers, Integers, Integers]:
    if len(pieces) == 1:
        return pieces[0]
    rows, at, end = (np.concatenate(each) for each in zip(*pieces, strict=True))
    order = np.argsort(rows, kind="stable")
    last = order[np.append(rows[order][1:] != rows[order][:-1], True)]  # of a key that is there twice the last counts
    return rows[last], at[last], end[last]


def _feature(wire: "_Wire", name: str, rows: Integers, at: Integers, end: Integers) -> Values | None:
    rows, at, end = wire.filled(rows, at, end)
    at, end = wire.field(rows, at, end, _SECOND)
    rows, at, end = wire.filled(rows, at, end)
    if not len(rows):
        return None
    tags = wire.bytes[at]
    kind = _LISTS.get(int(tags[0]))
    if kind is None or (tags != tags[0]).any():
        odd = rows[tags != tags[0]] if kind else rows[tags == tags[0]]
        raise Malformed(odd, f"the feature {name!r} is not of one type in all records")
    at, end = wire.field(rows, at, end, int(tags[0]))
    rows, at, end = wire.filled(rows, at, end)
    if not len(rows):
        return None
    if kind == "bytes":
        return Values(kind, rows, *wire.texts(rows, at, end))
    at, end = wire.field(rows, at, end, _FIRST)  # packed, as every writer of these messages does
    return Values(kind, rows, *(wire.floats if kind == "float" else wire.integers)(rows, at, end))


class _Wire:
    """Reads at many places of a buffer at once. `rows` are the records those places are in, for messages."""

    def __init__(self, content: bytes) -> None:
        self.content = content
        self.bytes = np.frombuffer(content + _PADDING, np.uint8)

    def refuse(self, rows: Integers, wrong: Mask, why: str) -> None:
        """Refuse the records of some places."""
        if wrong.any():
            raise Malformed(rows[wrong], why)

    def filled(self, rows: Integers, at: Integers, end: Integers) -> tuple[Integers, Integers, Integers]:
        """Return those of the places where there is something before the end."""
        there = at < end
        return (rows, at, end) if there.all() else (rows[there], at[there], end[there])

    def field(self, rows: Integers, at: Integers, limit: Integers, tag: int) -> tuple[Integers, Array]:
        """Return where the content of the field at each place begins and ends."""
        length = self.bytes[at + 1].astype(np.int64)
        begin = at + 2
        more = np.flatnonzero(length >= 128)
        shift = 0
        while len(more) and shift < 28:
            shift += 7
            byte = self.bytes[begin[more]].astype(np.int64)
            length[more] += (byte - 1) << shift  # minus the 128 that said that there is more
            begin[more] += 1
            more = more[byte >= 128]
        wrong = (self.bytes[at] != tag) | (begin + length > limit)
        wrong[more] = True
        if wrong.any():
            raise Malformed(rows[wrong], "it is not a tf.train.Example")
        return begin, begin + length

    def by_text(self, at: Integers, end: Integers) -> Iterator[tuple[str, Integers]]:
        """Yield each of the texts at these places, with the indices of the places that have it."""
        pending = np.arange(len(at))
        while len(pending):
            text = self.bytes[at[pending[0]] : end[pending[0]]]
            same = end[pending] - at[pending] == len(text)
            same[same] = (self.bytes[at[pending[same]][:, None] + np.arange(len(text))] == text).all(axis=1)
            yield text.tobytes().decode("utf-8", "replace"), pending[same]
            pending = pending[~same]

    def floats(self, rows: Integers, at: Integers, end: Integers) -> tuple[Integers, Array]:
        """Return how many float32 there are at each place, and all of them."""
        if ((end - at) % 4).any():
            raise Malformed(rows[(end - at) % 4 != 0], "it is not a tf.train.Example")
        return (end - at) // 4, self._gathered(at, end).view("<f4")

    def integers(self, rows: Integers, at: Integers, end: Integers) -> tuple[Integers, Array]:
        """Return how many int64 there are at each place, and all of them: seven bits a byte, the lowest first."""
        packed = self._gathered(at, end)
        last = packed < 128
        stops = np.cumsum(end - at)
        if not last[stops - 1].all():
            raise Malformed(rows[~last[stops - 1]], "it is not a tf.train.Example")
        counts = np.diff(np.cumsum(last)[stops - 1], prepend=0)
        if last.all():
            return counts, packed.astype(np.int64)
        starts = np.append(0, np.flatnonzero(last)[:-1] + 1)
        place = np.arange(len(packed)) - np.repeat(starts, np.diff(np.append(starts, len(packed))))
        parts = (packed & 127).astype(np.uint64) << (7 * place).astype(np.uint64)
        return counts, np.add.reduceat(parts, starts).view(np.int64)

    def texts(self, rows: Integers, at: Integers, end: Integers) -> tuple[Integers, list[bytes]]:
        """Return how many byte strings there are at each place, and all of them."""
        counts, found = np.zeros(len(at), np.int64), []
        index: Integers = np.arange(len(at))
        while len(index):
            begin, stop = self.field(rows[index], at, end, _FIRST)
            found.append((index, begin, stop))
            counts[index] += 1
            index, at, end = self.filled(index, stop, end)
        index, begin, stop = (np.concatenate(each) for each in zip(*found, strict=True))
        order = np.argsort(index, kind="stable")
        pairs = zip(begin[order].tolist(), stop[order].tolist(), strict=True)
        return counts, [self.content[one:other] for one, other in pairs]

    def _gathered(self, at: Integers, end: Integers) -> Bytes:
        length = end - at
        stops = np.cumsum(length)
        return self.bytes[np.repeat(at - stops + length, length) + np.arange(stops[-1] if len(stops) else 0)]
