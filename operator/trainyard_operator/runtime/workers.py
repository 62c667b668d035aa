"""Workers that take keys from the queue and reconcile them."""

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field

from trainyard_operator.cluster.errors import Conflict
from trainyard_operator.runtime.backoff import Backoff
from trainyard_operator.runtime.metrics import Metrics
from trainyard_operator.runtime.queue import WorkQueue
from trainyard_operator.runtime.reconciler import Key, Outcome, Reconciler

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class Workers:
    """A pool of workers over one queue.

    Attributes:
        reconcilers: Who reconciles keys of which kind.
        deadline: Most seconds for one reconcile; then it is stopped and tried again later.
        running: How many workers there are; None before they were started, and after they were stopped.
        expected: Errors that are part of life, such as a busy API server: one log line, no trace.
    """

    queue: WorkQueue
    reconcilers: Mapping[str, Reconciler]
    metrics: Metrics
    backoff: Backoff
    deadline: float
    expected: tuple[type[Exception], ...]
    running: int | None = None
    _since: dict[Key, float] = field(default_factory=dict)

    async def run(self, count: int) -> None:
        """Work until cancelled. Does not return: a worker that dies takes all down, and the process with them."""
        self.metrics.max_workers.set(count)
        self.running = count
        try:
            async with asyncio.TaskGroup() as group:
                for number in range(count):
                    group.create_task(self._work(), name=f"worker {number}")
        except asyncio.CancelledError:
            self.running = None
            raise

    def longest_running(self) -> float:
        """Return for how many seconds the longest current reconcile has been running."""
        return asyncio.get_running_loop().time() - min(self._since.values()) if self._since else 0.0

    async def _work(self) -> None:
        try:
            while True:
                key = await self.queue.get()
                try:
                    await self._reconcile(key)
                finally:
                    self.queue.done(key)
        finally:
            self.running = (self.running or 0) - 1

    async def _reconcile(self, key: Key) -> None:
        loop = asyncio.get_running_loop()
        self._since[key] = loop.time()
        result = "error"
        try:
            async with asyncio.timeout(self.deadline):
                outcome = await self.reconcilers[key.kind].reconcile(key)
            result = "success" if outcome.requeue_after is None else "requeue_after"
            self._settle(key, outcome)
        except Exception as error:
            self._retry(key, error)
        finally:
            self.metrics.finished(key, result=result, seconds=loop.time() - self._since.pop(key))

    def _settle(self, key: Key, outcome: Outcome) -> None:
        self.backoff.forget(key)
        if outcome.requeue_after is not None:
            self.queue.add_after(key, outcome.requeue_after)

    def _retry(self, key: Key, error: Exception) -> None:
        # What the API server asks for is respected, also where the own delay would be shorter.
        delay = max(self.backoff.next(key), getattr(error, "retry_after", None) or 0.0)
        about = {"kind": key.kind, "namespace": key.namespace, "object": key.name, "retry_in": round(delay, 1)}
        if isinstance(error, TimeoutError):
            logger.warning("Reconcile of %s took longer than %s s and was stopped", key, self.deadline, extra=about)
        elif isinstance(error, Conflict):
            # Somebody, or our own last write, was faster than what we have read.
            logger.debug("Reconcile of %s starts over: %s", key, error, extra=about)
        elif isinstance(error, self.expected):
            logger.warning("Reconcile of %s did not go through: %s", key, error, extra=about)
        else:
            logger.error("Reconcile of %s failed", key, exc_info=error, extra=about)
        self.queue.add_after(key, delay)
