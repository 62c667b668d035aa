"""Interleaves several sources: as many of them at a time as turns out to help."""

import time
from collections import defaultdict, deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import Generic, TypeVar

T = TypeVar("T")

_PAIRS = 3
_GAIN = 1.05
"""How much faster each pair must show a greater depth to be."""


class ParallelismTuner:
    """How many sources to read at a time, found out by the time that blocks take while they are trained on.

    So what counts is how fast the training is, not the reading: where the steps take longer, one is read at a time.
    The depths are compared in pairs of spans, so that other work on the machine slows both. Before each of them a
    block does not count, because it still has what the other depth had read ahead, or lacks it.

    Args:
        candidates: Depths, from the smallest; each is compared with the best so far, until one does not help.
        span: Blocks to measure at a time; as many as it takes until every source has read something anew.
        tell: Is told the depth that was chosen, and how many times faster than the smallest it was.
        clock: Tells the time, in seconds.
    """

    def __init__(
        self,
        candidates: Sequence[int],
        *,
        span: int = 1,
        tell: Callable[[int, float], None] = lambda depth, speed: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._best, *self._others = candidates
        self._span, self._tell, self._clock, self._speed = span, tell, clock, 1.0
        self._seconds: defaultdict[int, list[float]] = defaultdict(list)
        self.current = self._best

    def watch(self, blocks: Iterator[T]) -> Iterator[T]:
        """Yield the blocks of an epoch, and learn from how long they take."""
        for number, block in enumerate(blocks):
            now = self._clock()
            place = number % (self._span + 1)
            if place == 0:
                since = now
            elif place == self._span and self._others:
                self._seconds[self.current].append(now - since)
                self._switch()
            yield block

    def _switch(self) -> None:
        self.current = self._others[0] if self.current == self._best else self._best
        if len(self._seconds[self._others[0]]) == _PAIRS:
            self._judge()

    def _judge(self) -> None:
        before, ahead = self._seconds[self._best], self._seconds[self._others[0]]
        gains = sorted(one / max(other, 1e-9) for one, other in zip(before, ahead, strict=True))
        if gains[0] >= _GAIN:
            self._best, self._speed = self._others.pop(0), self._speed * gains[_PAIRS // 2]
        else:
            self._others.clear()
        self._seconds.clear()
        self.current = self._best
        if not self._others:
            self._tell(self._best, self._speed)


def interleave(sources: Iterator[Iterator[T]], *, cycle_length: int, parallel_calls: Callable[[], int]) -> Generator[T]:
    """Yield a part of each of the first `cycle_length` sources in turns; at the end of one, the next takes its place.

    The next `parallel_calls()` parts, of `cycle_length` sources at most, are read at a time. The order is the same for
    any number of calls.
    """
    with ThreadPoolExecutor(cycle_length, "read-part") as pool:
        turns = deque(_Source(each, pool) for each in islice(sources, cycle_length))
        while turns:
            for each in islice(turns, parallel_calls()):
                each.start()
            part = turns[0].take()
            if part is not None:
                yield part
                turns.rotate(-1)
            else:
                turns.popleft()
                turns.extendleft(_Source(each, pool) for each in islice(sources, 1))


class _Source(Generic[T]):
    """A source, and its next part where a thread reads it already."""

    def __init__(self, parts: Iterator[T], pool: ThreadPoolExecutor) -> None:
        self._parts, self._pool = parts, pool
        self._next: Future[T | None] | None = None

    def start(self) -> None:
        if self._next is None:
            self._next = self._pool.submit(next, self._parts, None)

    def take(self) -> T | None:
        """Return the next part, which was started, or nothing at the end."""
        assert self._next is not None
        part, self._next = self._next.result(), None
        return part
