"""The port to the API server with a memory: reads come from what the watches have told, writes go to the server.

As controller-runtime's client: a cached read costs nothing and may be a moment old, our own writes are known at once,
every write carries uid and resourceVersion of what was read, and what must be certain is read live.
"""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

from trainyard_operator.cluster.errors import ApiError, Conflict
from trainyard_operator.cluster.kinds import Kind
from trainyard_operator.cluster.port import Cluster, Event, Manifest
from trainyard_operator.cluster.store import Store


@dataclass(frozen=True, slots=True)
class Feed:
    """A store that a watch keeps up to date.

    Attributes:
        labels: What the watched objects carry; the store knows nothing of others.
        reliable: Whether the watch works right now.
    """

    store: Store
    labels: Mapping[str, str]
    reliable: Callable[[], bool]

    def covers(self, labels: Mapping[str, str]) -> bool:
        """Return whether all objects with these labels are watched."""
        return self.labels.items() <= labels.items()


class Cache:
    """All feeds: of each kind one for all namespaces, or one for each."""

    def __init__(self, feeds: Mapping[tuple[Kind, str | None], Feed] = {}) -> None:
        self._feeds = feeds

    def feed(self, kind: Kind, namespace: str | None) -> Feed | None:
        """Return the feed that has the objects of a namespace."""
        return self._feeds.get((kind, None)) or self._feeds.get((kind, namespace))

    def remember(self, kind: Kind, manifest: Manifest) -> None:
        """Take an object as the API server has just shown it."""
        metadata = manifest["metadata"]
        feed = self.feed(kind, metadata.get("namespace", ""))
        if feed is not None and feed.covers(metadata.get("labels") or {}):
            feed.store.wrote(manifest)


class CachedCluster:
    """Implements `port.Cluster` over another.

    Args:
        on_write: Told of the objects that were created or changed, other than by a status.
        before_write: Called before each write; what it raises keeps the write from being made.
    """

    def __init__(
        self,
        cluster: Cluster,
        cache: Cache,
        on_write: Callable[[Manifest], None] = lambda _: None,
        before_write: Callable[[], None] = lambda: None,
    ) -> None:
        self._cluster = cluster
        self._cache = cache
        self._on_write = on_write
        self._before_write = before_write

    async def get(self, kind: Kind, namespace: str, name: str, *, live: bool = False) -> Manifest:
        """See `port.Cluster.get`. What the watches know nothing of is asked for: unknown is not gone."""
        feed = self._cache.feed(kind, namespace)
        if not live and feed is not None and feed.reliable() and (known := feed.store.get(namespace, name)) is not None:
            return known
        return self._remember(kind, await self._cluster.get(kind, namespace, name))

    async def select(
        self, kind: Kind, namespace: str | None = None, *, labels: Mapping[str, str] | None = None, live: bool = False
    ) -> list[Manifest]:
        labels, feed = labels or {}, self._cache.feed(kind, namespace)
        if not live and feed is not None and feed.covers(labels) and feed.reliable():
            return feed.store.select(namespace, labels)
        return [
            self._remember(kind, manifest) for manifest in await self._cluster.select(kind, namespace, labels=labels)
        ]

    async def log(self, namespace: str, pod: str, *, container: str, lines: int, most_bytes: int) -> str:
        return await self._cluster.log(namespace, pod, container=container, lines=lines, most_bytes=most_bytes)

    async def create(self, kind: Kind, manifest: Manifest) -> Manifest:
        self._before_write()
        return self._written(kind, await self._cluster.create(kind, manifest))

    async def apply(self, kind: Kind, manifest: Manifest) -> Manifest:
        self._before_write()
        async with self._refreshed(kind, manifest):
            return self._written(kind, await self._cluster.apply(kind, manifest))

    async def scale(self, kind: Kind, manifest: Manifest, replicas: int) -> None:
        self._before_write()
        async with self._refreshed(kind, manifest):
            await self._cluster.scale(kind, manifest, replicas)

    async def apply_status(self, kind: Kind, manifest: Manifest) -> Manifest:
        self._before_write()
        async with self._refreshed(kind, manifest):
            return self._remember(kind, await self._cluster.apply_status(kind, manifest))

    async def delete(self, kind: Kind, namespace: str, name: str, *, uid: str) -> None:
        self._before_write()
        await self._cluster.delete(kind, namespace, name, uid=uid)
        if (feed := self._cache.feed(kind, namespace)) is not None:
            feed.store.deleted(namespace, name, uid)

    async def events_of(self, namespace: str, uid: str) -> list[Manifest]:
        return await self._cluster.events_of(namespace, uid)

    async def emit(self, regarding: Manifest, event: Event, *, again: bool = False) -> bool:
        self._before_write()
        return await self._cluster.emit(regarding, event, again=again)

    @asynccontextmanager
    async def _refreshed(self, kind: Kind, manifest: Manifest) -> AsyncIterator[None]:
        """Read anew what another was faster to change: its event may be long in coming."""
        try:
            yield
        except Conflict:
            metadata = manifest["metadata"]
            with suppress(ApiError):
                await self.get(kind, metadata["namespace"], metadata["name"], live=True)
            raise

    def _written(self, kind: Kind, answer: Manifest) -> Manifest:
        self._on_write(answer)
        return self._remember(kind, answer)

    def _remember(self, kind: Kind, answer: Manifest) -> Manifest:
        self._cache.remember(kind, answer)
        return answer
