"""Looks at everything now and then, for what a watch has missed."""

import asyncio
import logging
import random
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass

from trainyard_operator.cluster.errors import ApiError, Unavailable
from trainyard_operator.cluster.kinds import Kind
from trainyard_operator.cluster.port import Cluster
from trainyard_operator.runtime.backoff import Backoff
from trainyard_operator.runtime.metrics import Metrics
from trainyard_operator.runtime.queue import WorkQueue
from trainyard_operator.runtime.router import Router

logger = logging.getLogger(__name__)

_PAUSE = 5.0
"""Seconds until a resync that did not go through is tried again."""


@dataclass(slots=True)
class Resync:
    """Lists the resources of these kinds every `period` seconds and spreads their reconciles over a part of it.

    Attributes:
        namespaces: The namespaces to list; None stands for all of them.
        spread: Most seconds over which the reconciles of one round are spread.
    """

    cluster: Cluster
    kinds: Collection[Kind]
    namespaces: Collection[str | None]
    router: Router
    queue: WorkQueue
    backoff: Backoff
    metrics: Metrics
    period: float
    spread: float
    jitter: Callable[[], float] = random.random
    _last: float | None = None
    rounds: int = 0

    async def run(self) -> None:
        """Resync until cancelled.

        Raises:
            ApiError: the API server answers and the very first round fails all the same: wrong credentials, missing
                permissions or missing CRDs.
        """
        while True:
            pause = self.period * (0.9 + self.jitter() / 5)
            try:
                await self.once()
            except ApiError as error:
                if self._last is None and not isinstance(error, Unavailable):
                    raise
                pause = min(pause, _PAUSE)
                logger.warning("Resync did not go through: %s", error)
            await asyncio.sleep(pause)

    async def once(self) -> None:
        """List everything, forget what is gone and have the rest reconciled."""
        for kind in self.kinds:
            manifests = [each for namespace in self.namespaces for each in await self.cluster.select(kind, namespace)]
            listed = self.router.resync(kind.name, manifests)
            # About a second for a hundred objects: a cold start is not made slower, a thousand do not come at once.
            spread = min(self.spread, len(listed) / 100)
            for key in listed:
                self.queue.add_after(key, spread * self.jitter())
            for key in {key for key in self.backoff.failing() if key.kind == kind.name} - listed:
                self.backoff.forget(key)
        self._last = time.monotonic()
        self.rounds += 1
        self.metrics.resynced()

    def check(self) -> str | None:
        """Return what is wrong: no complete round in two and a half periods."""
        if self._last is None:
            return "the resources have not been listed yet"
        age = time.monotonic() - self._last
        return f"the last resync was {age:.0f} s ago" if age > 2.5 * self.period else None
