"""Lists our own resources: before they are watched, and now and then, for what a watch has missed.

kopf keeps no list to compare with, so what vanishes while its watch is renewed is only noticed here.
"""

import asyncio
import logging
import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from trainyard_operator.cluster.errors import ApiError
from trainyard_operator.cluster.kinds import Kind
from trainyard_operator.cluster.port import Manifest
from trainyard_operator.cluster.store import Store
from trainyard_operator.runtime.backoff import Backoff
from trainyard_operator.runtime.metrics import Metrics
from trainyard_operator.runtime.queue import WorkQueue
from trainyard_operator.runtime.router import Router, key_of

logger = logging.getLogger(__name__)

_PAUSE = 5.0
"""Seconds until a round that did not go through is tried again."""
_SOON = 1.0
"""Seconds in which several reasons to list are one."""

Stores = Mapping[tuple[Kind, str | None], Store]
"""What is known of our own resources, by kind and namespace; None stands for all namespaces."""


class Lister(Protocol):
    """Lists objects."""

    async def snapshot(
        self, kind: Kind, namespace: str | None = None, *, labels: Mapping[str, str] | None = None
    ) -> tuple[list[Manifest], str]:
        """Return all objects and the version of the list."""
        ...


@dataclass(slots=True)
class Resync:
    """Lists every `period` seconds, and has everything reconciled, spread over a part of that time.

    Attributes:
        spread: Most seconds over which the reconciles of one round are spread.
    """

    cluster: Lister
    stores: Stores
    router: Router
    queue: WorkQueue
    backoff: Backoff
    metrics: Metrics
    period: float
    spread: float
    jitter: Callable[[], float] = random.random
    _listed: dict[str | None, float] = field(default_factory=dict)
    _wanted: asyncio.Event = field(default_factory=asyncio.Event)

    async def run(self) -> None:
        """Resync until cancelled."""
        pause = self._pause()
        while True:
            try:
                async with asyncio.timeout(pause):
                    await self._wanted.wait()
                await asyncio.sleep(_SOON)
                routine = False
            except TimeoutError:
                routine = True
            self._wanted.clear()
            pause = self._pause() if await self._round(routine=routine) else _PAUSE

    def soon(self) -> None:
        """List soon: a watch started over, and may have missed something."""
        self._wanted.set()

    async def look(self, namespace: str | None) -> None:
        """List the resources of one namespace; what is new, changed or gone is reconciled.

        Raises:
            ApiError: it cannot be listed.
        """
        for (kind, place), store in self.stores.items():
            if place == namespace:
                manifests, version = await self.cluster.snapshot(kind, namespace)
                for change in store.listed(manifests, version):
                    self.router.parent(change.manifest, gone=change.gone)
        self._listed[namespace] = time.monotonic()

    async def _round(self, *, routine: bool) -> bool:
        """List all namespaces that could be listed before; those that could not are the business of their watch."""
        complete = True
        for namespace in list(self._listed):
            try:
                await self.look(namespace)
            except ApiError as error:
                complete = False
                logger.warning("Resync %sdid not go through: %s", f"of {namespace} " if namespace else "", error)
        if complete:
            self.metrics.resynced()
        if complete and routine:
            self._reconcile_all()
        return complete

    def _reconcile_all(self) -> None:
        keys = {key_of(manifest) for store in self.stores.values() for manifest in store.select(None, {})}
        # About a second for a hundred objects: a thousand do not come at once.
        spread = min(self.spread, len(keys) / 100)
        for key in keys:
            self.queue.add_after(key, spread * self.jitter())
        for key in self.backoff.failing() - keys:
            self.backoff.forget(key)

    def everything(self) -> None:
        """Have everything reconciled as soon as there is nothing newer to do: what was under way was broken off."""
        for store in self.stores.values():
            for manifest in store.select(None, {}):
                self.queue.add(key_of(manifest), routine=True)

    def _pause(self) -> float:
        return self.period * (0.9 + self.jitter() / 5)

    def check(self) -> str | None:
        """Return what is wrong: nothing was ever listed, or not in two and a half periods."""
        if not self._listed:
            return "the resources have not been listed yet"
        age = time.monotonic() - max(self._listed.values())
        return f"the last resync was {age:.0f} s ago" if age > 2.5 * self.period else None
