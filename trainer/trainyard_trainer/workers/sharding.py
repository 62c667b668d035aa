"""Which rows of each batch are whose, where several workers train together: no row twice, none left out.

The batches are those of one worker alone. Each worker takes every n-th row of each, so all take the same number of
steps, and the sum of what they compute is what one would have computed. A worker for whom the last, short batch has no
row takes some row of its own there, which then counts nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from trainyard_trainer.tensors import Integers


@dataclass(frozen=True, slots=True)
class Share:
    """One worker's part of the work: `index` of `count` workers, numbered from 0."""

    index: int = 0
    count: int = 1

    def of(self, rows: int) -> int:
        """Return how many of a batch's rows are this worker's. The shares of all workers add up to the batch."""
        return len(range(self.index, rows, self.count))

    def of_all(self, rows: int, batch_size: int) -> int:
        """Return how many of all rows, cut into batches, are this worker's."""
        return rows // batch_size * self.of(batch_size) + self.of(rows % batch_size)

    def order(self, order: Integers, batch_size: int) -> Integers:
        """Return this worker's rows out of the order in which one worker alone would take them, batch by batch."""
        if self.count == 1:
            return order
        whole = len(order) // batch_size * batch_size
        mine = order[:whole].reshape(-1, batch_size)[:, self.index :: self.count].reshape(-1)
        mine = np.concatenate([mine, order[whole:][self.index :: self.count]])
        return self.filled(mine, steps=-(-len(order) // batch_size), batch_size=batch_size)

    def filled(self, order: Integers, *, steps: int, batch_size: int) -> Integers:
        """Return an order with something in it for each of its steps: where the last has no row, one that is repeated.

        `batch_size` is that of all workers together.
        """
        short = len(order) <= (steps - 1) * self.of(batch_size)
        return np.append(order, order[:1]) if short else np.ascontiguousarray(order)

    def ranges(self, sizes: Sequence[int], batch_size: int) -> list[tuple[int, int, int]]:
        """Return this worker's parts of shards of these sizes, as (shard, first row, row behind the last).

        Each worker has one run of rows, so that at most its first and its last shard are read by another one too.
        """
        rows = sum(sizes)
        begin = sum(Share(worker, self.count).of_all(rows, batch_size) for worker in range(self.index))
        end = begin + self.of_all(rows, batch_size)
        starts = np.cumsum([0, *sizes]).tolist()
        return [
            (shard, max(begin - start, 0), min(end - start, size))
            for shard, (start, size) in enumerate(zip(starts, sizes, strict=False))
            if size and start < end and start + size > begin
        ]


ALL = Share()
"""All of it: there is one worker."""
