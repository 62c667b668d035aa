"""Informers: a local copy of one resource that follows the API server, and calls handlers on every change."""

import asyncio
import logging
import random
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TypeAlias

from trainyard_devcluster.client import ApiError, Client, GoneError, UnavailableError
from trainyard_devcluster.resources import Object, Resource, name_of, namespace_of

log = logging.getLogger(__name__)

Key: TypeAlias = tuple[str, str]
"""Namespace and name; the namespace is empty for cluster-scoped objects."""

Handler: TypeAlias = Callable[[Object | None, Object | None], None]
"""Called with an object before and after a change: (None, new) added, (old, new) changed, (old, None) gone."""

Index: TypeAlias = Callable[[Object], Iterable[str]]

FIRST_RETRY_SECONDS = 0.05
LAST_RETRY_SECONDS = 5.0


class Informer:
    """A resource's objects as last seen, kept current by `run`.

    Objects in the cache belong to everyone: never change one, copy it.
    """

    def __init__(
        self,
        client: Client,
        resource: Resource,
        *,
        namespace: str | None = None,
        label_selector: str | None = None,
        field_selector: str | None = None,
        indexes: Mapping[str, Index] | None = None,
    ) -> None:
        self._client = client
        self.resource = resource
        self._namespace = namespace
        self._selectors = {"label_selector": label_selector, "field_selector": field_selector}
        self._indexes: dict[str, Index] = dict(indexes or {})
        self._objects: dict[Key, Object] = {}
        self._indexed: dict[tuple[str, str], dict[Key, Object]] = {}
        self._handlers: list[Handler] = []
        self._seen = 0
        self.synced = asyncio.Event()
        """Set once the first list has been read and handled."""

    def on_change(self, handler: Handler) -> None:
        """Call the handler on every change from now on; first, for every object already here."""
        self._handlers.append(handler)
        for obj in list(self._objects.values()):
            handler(None, obj)

    def add_index(self, name: str, index: Index) -> None:
        """Make objects findable by the values that `index` gives for them. Before `run` only."""
        assert not self._objects, "indexes are added before the informer runs"
        self._indexes[name] = index

    def get(self, namespace: str, name: str) -> Object | None:
        """One object, or None where there is none."""
        return self._objects.get((namespace, name))

    def by_index(self, index: str, value: str) -> list[Object]:
        """The objects for which the index gives this value, in the order of their keys."""
        found = self._indexed.get((index, value), {})
        return [found[key] for key in sorted(found)]

    def __iter__(self) -> Iterator[Object]:
        return iter(list(self._objects.values()))

    def observe(self, obj: Object) -> None:
        """Take in what the API server answered to a write of ours, without waiting for the watch to bring it.

        Without this a controller that runs again before its watch does would act twice. Answers that the watch has
        already overtaken are dropped; that needs resourceVersions that can be ordered, as Kubernetes guarantees.
        """
        if _version(obj) > self._seen:
            self._put({"apiVersion": self.resource.api_version, "kind": self.resource.kind} | obj)

    async def run(self) -> None:
        """Follow the API server until cancelled."""
        delay = FIRST_RETRY_SECONDS
        while True:
            try:
                version = await self._relist()
                delay = FIRST_RETRY_SECONDS
                await self._follow(version)
            except GoneError:
                log.debug("%s: resourceVersion too old, listing again", self.resource.plural)
            except ApiError as error:
                level = logging.DEBUG if isinstance(error, UnavailableError) else logging.WARNING
                log.log(level, "%s: %s; trying again in %.2g s", self.resource.plural, error, delay)
                await asyncio.sleep(delay * random.uniform(0.8, 1.2))  # noqa: S311 - jitter
                delay = min(delay * 2, LAST_RETRY_SECONDS)

    async def _relist(self) -> str:
        listed = await self._client.list(self.resource, self._namespace, **self._selectors)
        version = int(listed.resource_version or 0)
        current = {_key(obj) for obj in listed.items}
        # What the list does not name any more was deleted while nobody watched, unless we wrote it after the list.
        for key, obj in list(self._objects.items()):
            if key not in current and _version(obj) <= version:
                self._remove(key)
        for obj in listed.items:
            self._put(obj)
        self._seen = version
        self.synced.set()
        return listed.resource_version

    async def _follow(self, version: str) -> None:
        while True:
            async for event in self._client.watch(self.resource, version, self._namespace, **self._selectors):
                version = event.object["metadata"]["resourceVersion"]
                if event.kind == "DELETED":
                    self._remove(_key(event.object), event.object)
                elif event.kind != "BOOKMARK":
                    self._put(event.object)
                self._seen = max(self._seen, int(version))
            # A server that shuts down may end watches as soon as they begin.
            await asyncio.sleep(FIRST_RETRY_SECONDS)

    def _put(self, obj: Object) -> None:
        key = _key(obj)
        old = self._objects.get(key)
        if old is not None:
            if old["metadata"]["uid"] != obj["metadata"]["uid"]:
                # Deleted and made anew between two looks: two objects, so two changes.
                self._remove(key)
                old = None
            elif _version(old) >= _version(obj):
                return
            else:
                self._unindex(key, old)
        self._objects[key] = obj
        for entry in self._entries(obj):
            self._indexed.setdefault(entry, {})[key] = obj
        self._call(old, obj)

    def _remove(self, key: Key, last: Object | None = None) -> None:
        old = self._objects.pop(key, None)
        if old is not None:
            self._unindex(key, old)
            self._call(last or old, None)

    def _unindex(self, key: Key, obj: Object) -> None:
        for entry in self._entries(obj):
            bucket = self._indexed.get(entry, {})
            bucket.pop(key, None)
            if not bucket:
                self._indexed.pop(entry, None)

    def _entries(self, obj: Object) -> Iterator[tuple[str, str]]:
        for name, index in self._indexes.items():
            for value in index(obj):
                yield name, value

    def _call(self, old: Object | None, new: Object | None) -> None:
        for handler in self._handlers:
            handler(old, new)


def _key(obj: Object) -> Key:
    return namespace_of(obj), name_of(obj)


def _version(obj: Object) -> int:
    return int(obj["metadata"].get("resourceVersion") or 0)
