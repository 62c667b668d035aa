"""A work queue of keys: each key is worked on by one worker at a time, however often it is added."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

from trainyard_devcluster.client import ApiError, ConflictError, NotFoundError, UnavailableError

log = logging.getLogger(__name__)

K = TypeVar("K", bound=Hashable)

FIRST_BACKOFF_SECONDS = 0.005
LAST_BACKOFF_SECONDS = 60.0


class WorkQueue(Generic[K]):
    """Keys waiting for work, without duplicates. A key added while it is worked on comes again afterwards."""

    def __init__(self) -> None:
        self._waiting: dict[K, None] = {}
        self._working: set[K] = set()
        self._again: set[K] = set()
        self._failures: dict[K, int] = {}
        self._timers: dict[K, asyncio.TimerHandle] = {}
        self._arrived = asyncio.Event()

    def add(self, key: K) -> None:
        """Have the key worked on as soon as possible."""
        if key in self._working:
            self._again.add(key)
        else:
            self._waiting[key] = None
            self._arrived.set()

    def add_after(self, key: K, seconds: float) -> None:
        """Have the key worked on after a delay. The earliest of several delays counts."""
        if seconds <= 0:
            self.add(key)
            return
        loop = asyncio.get_running_loop()
        pending = self._timers.get(key)
        if pending is not None and pending.when() <= loop.time() + seconds:
            return
        if pending is not None:
            pending.cancel()
        self._timers[key] = loop.call_later(seconds, self._due, key)

    def retry(self, key: K) -> float:
        """Have a key that failed worked on again after a delay that doubles with every failure; returns the delay."""
        failures = self._failures.get(key, 0)
        self._failures[key] = failures + 1
        delay = min(FIRST_BACKOFF_SECONDS * 2.0 ** min(failures, 30), LAST_BACKOFF_SECONDS)
        self.add_after(key, delay)
        return delay

    def succeeded(self, key: K) -> None:
        """Start the key's backoff from the beginning."""
        self._failures.pop(key, None)

    async def get(self) -> K:
        """Wait for a key. Whoever gets it calls `done` with it."""
        while not self._waiting:
            self._arrived.clear()
            await self._arrived.wait()
        key = next(iter(self._waiting))
        del self._waiting[key]
        self._working.add(key)
        return key

    def done(self, key: K) -> None:
        """The work on the key has ended, well or badly."""
        self._working.discard(key)
        if key in self._again:
            self._again.discard(key)
            self.add(key)

    def close(self) -> None:
        """Drop all delayed keys."""
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()

    def _due(self, key: K) -> None:
        self._timers.pop(key, None)
        self.add(key)


async def work(queue: WorkQueue[K], sync: Callable[[K], Awaitable[None]], *, name: str, workers: int = 4) -> None:
    """Run workers that call `sync` with each key until cancelled.

    Keys that fail come back after a backoff, but not those that want something of a namespace which is going away.
    """
    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(workers):
                group.create_task(_worker(queue, sync, name))
    finally:
        queue.close()


async def _worker(queue: WorkQueue[K], sync: Callable[[K], Awaitable[None]], name: str) -> None:
    while True:
        key = await queue.get()
        try:
            await sync(key)
        except (ConflictError, NotFoundError, UnavailableError) as error:
            # Somebody was faster, or the server is not there: the cluster's everyday life.
            log.debug("%s %s: %s; trying again in %.3g s", name, key, error, queue.retry(key))
        except ApiError as error:
            if error.namespace_is_ending:
                continue
            log.warning("%s %s: %s; trying again in %.3g s", name, key, error, queue.retry(key))
        except Exception:
            log.exception("%s %s failed; trying again in %.3g s", name, key, queue.retry(key))
        else:
            queue.succeeded(key)
        finally:
            queue.done(key)
