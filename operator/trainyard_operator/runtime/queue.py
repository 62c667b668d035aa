"""A work queue of keys with client-go's guarantees.

A key waits at most once, is never worked on by two workers at a time, and is worked on again if it was added while
somebody worked on it: so whatever happened before the last `add` is seen by a reconcile that starts after it.
"""

import asyncio
from collections import deque
from typing import Protocol

from trainyard_operator.runtime.reconciler import Key


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
        self._ready: deque[Key] = deque()
        self._since: dict[Key, float] = {}
        self._busy: set[Key] = set()
        self._again: set[Key] = set()
        self._timers: dict[Key, asyncio.TimerHandle] = {}
        self._wakeup: deque[asyncio.Future[None]] = deque()

    def __len__(self) -> int:
        return len(self._ready)

    def add(self, key: Key) -> None:
        """Have the key worked on as soon as a worker is free."""
        if key in self._busy:
            self._again.add(key)
        elif key not in self._since:
            self._since[key] = asyncio.get_running_loop().time()
            self._ready.append(key)
            self._metrics.added(key)
            self._wake_one()

    def add_after(self, key: Key, seconds: float) -> None:
        """Add the key after some seconds; of several delays the shortest counts."""
        if seconds <= 0:
            self.add(key)
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
        while not self._ready:
            waiter = asyncio.get_running_loop().create_future()
            self._wakeup.append(waiter)
            try:
                await waiter
            except asyncio.CancelledError:
                # Woken and cancelled at once: the wake-up belongs to somebody else now.
                if waiter.done() and not waiter.cancelled():
                    self._wake_one()
                raise
        key = self._ready.popleft()
        self._busy.add(key)
        self.discard(key)
        self._metrics.started(key, asyncio.get_running_loop().time() - self._since.pop(key))
        return key

    def done(self, key: Key) -> None:
        """Give a key back; it waits again if it was added meanwhile."""
        self._busy.remove(key)
        if key in self._again:
            self._again.remove(key)
            self.add(key)

    def _fire(self, key: Key) -> None:
        del self._timers[key]
        self.add(key)

    def _wake_one(self) -> None:
        while self._wakeup:
            waiter = self._wakeup.popleft()
            if not waiter.done():
                waiter.set_result(None)
                return
