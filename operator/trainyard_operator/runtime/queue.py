"""A work queue of keys with client-go's guarantees.

A key waits at most once, is never worked on by two workers at a time, and is worked on again if it was added while
somebody worked on it: so whatever happened before the last `add` is seen by a reconcile that starts after it.

Keys wait in two lanes. What happened just now goes before what only is to be looked at again, of which there may be a
thousand after a start; what has waited for long takes turns with what is new, so that nobody waits for ever.
"""

import asyncio
from collections import OrderedDict, deque
from typing import Protocol

from trainyard_operator.runtime.reconciler import Key

_PATIENCE = 5.0
"""Seconds in the slow lane after which a key takes turns with those in the fast lane."""


class QueueMetrics(Protocol):
    """What the queue tells about itself."""

    def added(self, key: Key) -> None:
        """A key began to wait."""

    def started(self, key: Key, waited: float) -> None:
        """A worker took a key that had waited so many seconds."""


class WorkQueue:
    """Belongs to one event loop; nothing in it blocks."""

    def __init__(self, metrics: QueueMetrics) -> None:
        self._metrics = metrics
        self._fast: OrderedDict[Key, float] = OrderedDict()
        self._slow: OrderedDict[Key, float] = OrderedDict()
        self._slow_turn = False
        self._busy: set[Key] = set()
        self._again: dict[Key, bool] = {}
        self._timers: dict[Key, asyncio.TimerHandle] = {}
        self._wakeup: deque[asyncio.Future[None]] = deque()

    def __len__(self) -> int:
        return len(self._fast) + len(self._slow)

    def add(self, key: Key, *, routine: bool = False) -> None:
        """Have the key worked on as soon as a worker is free.

        Args:
            routine: Nothing has happened, it is only time to look at it again.
        """
        if key in self._busy:
            self._again[key] = routine and self._again.get(key, True)
        elif key in self._slow and not routine:
            self._fast[key] = self._slow.pop(key)
        elif key not in self._slow and key not in self._fast:
            lane = self._slow if routine else self._fast
            lane[key] = asyncio.get_running_loop().time()
            self._metrics.added(key)
            self._wake_one()

    def add_after(self, key: Key, seconds: float) -> None:
        """Add the key after some seconds, as routine; of several delays the shortest counts."""
        if seconds <= 0:
            self.add(key, routine=True)
            return
        loop = asyncio.get_running_loop()
        due = loop.time() + seconds
        timer = self._timers.get(key)
        if timer is None or due < timer.when():
            if timer is not None:
                timer.cancel()
            self._timers[key] = loop.call_at(due, self._fire, key)

    def discard(self, key: Key) -> None:
        """Forget a delayed add, since the object is gone; a key that waits or is worked on is left alone."""
        if timer := self._timers.pop(key, None):
            timer.cancel()

    def delayed(self) -> set[Key]:
        """Return the keys with a delayed add."""
        return set(self._timers)

    async def get(self) -> Key:
        """Wait for a key and take it. Its pending delayed add is dropped: this reconcile decides when the next is."""
        while not len(self):
            waiter = asyncio.get_running_loop().create_future()
            self._wakeup.append(waiter)
            try:
                await waiter
            except asyncio.CancelledError:
                # Woken and cancelled at once: the wake-up belongs to somebody else now.
                if waiter.done() and not waiter.cancelled():
                    self._wake_one()
                raise
        key, since = self._next()
        self._busy.add(key)
        self.discard(key)
        self._metrics.started(key, asyncio.get_running_loop().time() - since)
        return key

    def done(self, key: Key) -> None:
        """Give a key back; it waits again if it was added meanwhile."""
        self._busy.remove(key)
        if key in self._again:
            self.add(key, routine=self._again.pop(key))

    def _next(self) -> tuple[Key, float]:
        if self._fast and self._slow:
            waited = asyncio.get_running_loop().time() - next(iter(self._slow.values()))
            self._slow_turn = waited > _PATIENCE and not self._slow_turn
            lane = self._slow if self._slow_turn else self._fast
        else:
            lane = self._fast or self._slow
        return lane.popitem(last=False)

    def _fire(self, key: Key) -> None:
        del self._timers[key]
        self.add(key, routine=True)

    def _wake_one(self) -> None:
        while self._wakeup:
            waiter = self._wakeup.popleft()
            if not waiter.done():
                waiter.set_result(None)
                return
