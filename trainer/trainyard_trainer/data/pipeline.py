"""The order of the rows, epoch by epoch: the same for the same seed, and known for any step of any epoch."""

import itertools
import math
import queue
import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import numpy as np

from trainyard_trainer.data.batch import EncodedBatch, concatenate
from trainyard_trainer.data.dataset import DataSet
from trainyard_trainer.data.interleave import ParallelismTuner, interleave
from trainyard_trainer.data.label_order import outlast_blocks
from trainyard_trainer.data.parts import Part
from trainyard_trainer.data.profile import Profile
from trainyard_trainer.data.readers import Shard
from trainyard_trainer.data.table import BATCH_ROWS
from trainyard_trainer.tensors import Integers, Tensors
from trainyard_trainer.workers.sharding import ALL, Share

T = TypeVar("T")

_CYCLE_LENGTH = 8
"""Pieces of a table read in turns, so that rows sorted by label do not come in long runs of one class."""
_CYCLE_BLOCKS = 4
"""What those pieces may take in memory together, in blocks."""


@dataclass(frozen=True, slots=True)
class Block:
    """Rows in memory, the order in which to train on this worker's, and how many of that order are done already."""

    rows: Tensors
    order: Integers
    start: int


class TrainingRows(Protocol):
    """The rows of an epoch, in blocks of whole batches: only the last block may end in a short batch."""

    def epoch(self, epoch: int, done: int) -> Generator[Block]:
        """Yield the blocks of an epoch without the first `done` rows, a multiple of this worker's part of a batch."""


def permutation(rows: int, *, seed: int, epoch: int, block: int = 0) -> Integers:
    """Return the order of the rows of a block (int32)."""
    key = np.random.SeedSequence([seed, epoch, block])
    return np.random.Generator(np.random.Philox(key)).permutation(rows).astype(np.int32)


class MemoryRows:
    """All rows in memory, prepared once; each worker has all, and trains on its part of every batch."""

    def __init__(
        self,
        rows: EncodedBatch,
        *,
        seed: int,
        prepare: Callable[[EncodedBatch], Tensors],
        batch_size: int = 1,
        share: Share = ALL,
    ) -> None:
        self._count, self._seed, self._prepared = len(rows), seed, prepare(rows)
        self._batch_size, self._share = batch_size, share

    def epoch(self, epoch: int, done: int) -> Generator[Block]:
        """Yield one block that holds everything."""
        order = permutation(self._count, seed=self._seed, epoch=epoch)
        yield Block(self._prepared, self._share.order(order, self._batch_size), done)


class StreamedRows:
    """Rows read anew each epoch by a thread that stays one block ahead.

    The pieces of the table come in another order each epoch, a few of them in turns, and the rows of a block are
    shuffled: what is in memory is never more than a few blocks. Each worker reads a run of the pieces of its own.

    Of those that are read in turns, as many are read at a time as makes the training fastest; `tell` is told what was
    found, as `ParallelismTuner` says. The order is the same for any of the `depths`.
    """

    def __init__(
        self,
        table: DataSet,
        profile: Profile,
        *,
        seed: int,
        batch_size: int,
        block_bytes: int,
        prepare: Callable[[EncodedBatch], Tensors],
        share: Share = ALL,
        tell: Callable[[int, float], None] = lambda depth, speed: None,
        depths: Sequence[int] = (1, 2, _CYCLE_LENGTH),
    ) -> None:
        self._table, self._profile, self._prepare, self._seed = table, profile, prepare, seed
        self._block_bytes, self._batch_size, self._share = block_bytes, batch_size, share
        # All workers have the same number of steps in a block, and so the same calls to run them.
        self._block_steps = max(block_bytes // profile.row_bytes // math.ceil(batch_size / share.count), 1)
        self._block_rows = self._block_steps * share.of(batch_size)
        self._shards = list(enumerate(table.shards()))
        largest = max(shard.open_bytes for _, shard in self._shards)
        self._cycle_length = max(1, min(_CYCLE_LENGTH, _CYCLE_BLOCKS * block_bytes // largest, len(self._shards)))
        span = math.ceil(self._cycle_length * largest / block_bytes)
        self._tuner = ParallelismTuner(sorted({min(each, self._cycle_length) for each in depths}), span=span, tell=tell)

    @property
    def sorted_by_label(self) -> bool:
        """Whether most blocks have few classes, because the rows of a piece are in the order of their labels."""
        return outlast_blocks(self._profile.runs, block_rows=self._block_rows)

    def epoch(self, epoch: int, done: int) -> Generator[Block]:
        """Yield blocks of whole batches; the last one holds what is left."""
        return ahead(self._blocks(epoch, done))

    def _blocks(self, epoch: int, done: int) -> Iterator[Block]:
        left = math.ceil(self._profile.training_rows / self._batch_size)
        pieces = self._tuner.watch(_cut(self._shuffled(epoch), self._block_rows))
        rows = next(pieces)
        for number in itertools.count(1):
            order = permutation(len(rows), seed=self._seed, epoch=epoch, block=number)
            order = self._share.filled(order, steps=min(self._block_steps, left), batch_size=self._batch_size)
            if done < len(order):
                yield Block(self._prepare(rows), order, done)
            done, left = max(done - len(order), 0), left - self._block_steps
            if left <= 0:
                return
            # Of the last batch, where it is a block by itself, there may be no row for this worker.
            rows = next(pieces, None) or rows.take(slice(1))

    def _shuffled(self, epoch: int) -> Iterator[EncodedBatch]:
        order = permutation(len(self._shards), seed=self._seed, epoch=epoch)
        # So small that a block has rows of all the pieces that are read in turns, and more than once.
        batch_rows = min(BATCH_ROWS, max(self._block_rows // (2 * self._cycle_length), min(256, self._block_rows)))
        pieces = (
            _between(
                read(self._table, self._profile, *self._shards[order[place]], part="training", batch_rows=batch_rows),
                *part,
            )
            for place, *part in self._own(order)
        )
        return interleave(pieces, cycle_length=self._cycle_length, parallel_calls=lambda: self._tuner.current)

    def _own(self, order: Integers) -> list[tuple[int, int, int]]:
        """Return this worker's pieces of the table, by their places in an order, with the training rows of each."""
        sizes = [int(self._profile.mask(number, "training").sum()) for number in order]
        return self._share.ranges(sizes, self._batch_size)


def validation_blocks(
    table: DataSet, profile: Profile, *, block_rows: int, share: Share = ALL
) -> Iterator[EncodedBatch]:
    """Yield this worker's validation rows, from memory where they are there, else by reading its part of the table."""
    if profile.kept.validation is not None:
        mine = profile.kept.validation.take(slice(share.index, None, share.count))
        yield from [mine] if len(mine) else []
        return
    parts = (
        rows
        for number, shard in enumerate(table.shards())
        if number % share.count == share.index and profile.mask(number).any()
        for rows in read(table, profile, number, shard, part="validation", batch_rows=min(BATCH_ROWS, block_rows))
    )
    yield from _cut(parts, block_rows)


def blocks_to_test(table: DataSet, profile: Profile, *, block_rows: int) -> Iterator[EncodedBatch]:
    """Yield the rows of the test, which are read once and never kept."""
    parts = (
        rows
        for number, shard in enumerate(table.shards())
        if profile.mask(number, "test").any()
        for rows in read(table, profile, number, shard, part="test", batch_rows=min(BATCH_ROWS, block_rows))
    )
    yield from _cut(parts, block_rows)


def read(
    table: DataSet, profile: Profile, number: int, shard: Shard, *, part: Part, batch_rows: int = BATCH_ROWS
) -> Iterator[EncodedBatch]:
    """Yield the encoded rows of one piece that are for one purpose."""
    mask = profile.mask(number, part)
    for raw in table.read(shard, batch_rows=batch_rows):
        wanted = mask[raw.first_row : raw.first_row + len(raw)]
        if wanted.any():
            yield profile.encode(raw).take(wanted)


def _between(parts: Iterator[EncodedBatch], begin: int, end: int) -> Iterator[EncodedBatch]:
    """Yield of the rows of all parts those from `begin` to before `end`."""
    at = 0
    for part in parts:
        if at < end and at + len(part) > begin:
            yield part.take(slice(max(begin - at, 0), end - at))
        at += len(part)
        if at >= end:
            return


def _cut(parts: Iterator[EncodedBatch], size: int) -> Iterator[EncodedBatch]:
    """Yield the rows of all parts in pieces of `size`; the last may be shorter."""
    held: list[EncodedBatch] = []
    count = 0
    for part in parts:
        held.append(part)
        count += len(part)
        while count >= size:
            whole = concatenate(held)
            yield whole.take(slice(size))
            held, count = [whole.take(slice(size, None))], count - size
    if count:
        yield concatenate(held)


def ahead(source: Iterator[T]) -> Generator[T]:
    """Yield what `source` yields, which a thread asks for one item ahead; its errors come out here."""
    handed: queue.Queue[tuple[bool, Any]] = queue.Queue(maxsize=1)
    over = threading.Event()

    def put(item: tuple[bool, Any]) -> None:
        while not over.is_set():
            try:
                handed.put(item, timeout=0.1)
            except queue.Full:
                continue
            return

    def work() -> None:
        try:
            for item in source:
                put((True, item))
                if over.is_set():
                    return
            put((False, None))
        except Exception as error:  # handed to the thread that waits for the rows
            put((False, error))

    thread = threading.Thread(target=work, name="read-ahead", daemon=True)
    thread.start()
    try:
        while True:
            more, item = handed.get()
            if not more:
                if item is not None:
                    raise item
                return
            yield item
    finally:
        over.set()
        thread.join()
