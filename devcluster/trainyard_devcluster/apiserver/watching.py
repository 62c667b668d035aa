"""Watches: from the store's events to a stream of lines."""

import asyncio
import random
from collections import deque
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass

from trainyard_devcluster.apiserver import errors
from trainyard_devcluster.apiserver.errors import ApiError
from trainyard_devcluster.apiserver.listing import Selection
from trainyard_devcluster.apiserver.output import Renderer
from trainyard_devcluster.apiserver.request import flag, number
from trainyard_devcluster.apiserver.store import Event, Store, Stored
from trainyard_devcluster.apiserver.values import encode

_BOOKMARK_SECONDS = 30.0
_BACKLOG = 20_000
"""Events that a client may lag behind before it is dropped."""


@dataclass(frozen=True, slots=True)
class WatchOptions:
    """How a watch begins and ends."""

    revision: int | None
    """Begin after this revision; None: with the present state."""
    bookmarks: bool
    initial_bookmark: bool
    seconds: float

    @classmethod
    def of(cls, store: Store, query: Mapping[str, str]) -> "WatchOptions":
        """Return the options in a query.

        Raises:
            ApiError: 400 or 422, they contradict each other; 504, the revision lies in the future.
        """
        wanted = number(query, "resourceVersion") or None
        streaming = flag(query, "sendInitialEvents")
        if streaming and query.get("resourceVersionMatch") != "NotOlderThan":
            why = "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan"
            problem = errors.forbidden_field("resourceVersionMatch", why)
            raise errors.invalid("ListOptions", "meta.k8s.io", "", [problem])
        if not query.get("sendInitialEvents") and query.get("resourceVersionMatch"):
            why = "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided"
            problem = errors.forbidden_field("resourceVersionMatch", why)
            raise errors.invalid("ListOptions", "meta.k8s.io", "", [problem])
        if wanted and wanted > store.revision:
            raise errors.too_large_resource_version(wanted, store.revision)
        if query.get("sendInitialEvents") == "false" and wanted is None:
            wanted = store.revision
        bookmarks = flag(query, "allowWatchBookmarks")
        # Without a limit, watches of one client would all end at once after a restart; spread as the real server does.
        seconds = number(query, "timeoutSeconds") or random.uniform(1800, 3600)  # noqa: S311
        return cls(None if streaming else wanted, bookmarks, streaming and bookmarks, seconds)


class Watch:
    """One client's view of a table's changes."""

    def __init__(self, store: Store, selection: Selection, renderer: Renderer, options: WatchOptions) -> None:
        self._store = store
        self._table = store.table(selection.resource.storage)
        self._selection = selection
        self._renderer = renderer
        self._options = options
        self._pending: deque[Event] = deque()
        self._wake = asyncio.Event()
        self._lost = False
        self._heads = True

    async def lines(self) -> AsyncIterator[bytes]:
        """Yield chunks of whole lines until the time is up or the client lags too far behind."""
        deadline = asyncio.get_running_loop().time() + self._options.seconds
        self._table.listeners.add(self._notice)
        try:
            try:
                yield self._beginning()
            except ApiError as error:
                yield _line(b"ERROR", encode(error.status))
                return
            async for chunk in self._changes(deadline):
                yield chunk
        finally:
            self._table.listeners.discard(self._notice)

    def _notice(self, event: Event) -> None:
        if len(self._pending) >= _BACKLOG:
            self._lost = True
        else:
            self._pending.append(event)
        self._wake.set()

    def _beginning(self) -> bytes:
        options = self._options
        if options.revision is not None:
            return b"".join(self._lines_of(self._table.since(options.revision)))
        found = [
            self._line_of(b"ADDED", stored)
            for key, stored in sorted(self._table.objects.items())
            if self._selection.takes(key, stored.obj)
        ]
        if options.initial_bookmark:
            found.append(_line(b"BOOKMARK", self._renderer.bookmark(self._store.revision, initial_end=True)))
        return b"".join(found)

    async def _changes(self, deadline: float) -> AsyncIterator[bytes]:
        loop = asyncio.get_running_loop()
        while not self._lost:
            left = deadline - loop.time()
            try:
                async with asyncio.timeout(max(min(left, _BOOKMARK_SECONDS), 0)):
                    await self._wake.wait()
            except TimeoutError:
                if self._options.bookmarks:
                    yield _line(b"BOOKMARK", self._renderer.bookmark(self._store.revision, initial_end=False))
                if left <= _BOOKMARK_SECONDS:
                    return
                continue
            self._wake.clear()
            events = list(self._pending)
            self._pending.clear()
            if chunk := b"".join(self._lines_of(events)):
                yield chunk

    def _lines_of(self, events: list[Event]) -> list[bytes]:
        return [line for event in events if (line := self._translate(event))]

    def _translate(self, event: Event) -> bytes | None:
        """Return the line for an event; who no longer fits the selection counts as deleted, who now does as added."""
        if self._selection.everything:
            if self._selection.namespace and event.key[0] != self._selection.namespace:
                return None
            return self._line_of(event.type.encode(), event.now)
        now = event.type != "DELETED" and self._selection.takes(event.key, event.now.obj)
        before = event.before is not None and self._selection.takes(event.key, event.before.obj)
        if now:
            return self._line_of(b"MODIFIED" if before else b"ADDED", event.now)
        return self._line_of(b"DELETED", event.now if event.type == "DELETED" else _last(event)) if before else None

    def _line_of(self, kind: bytes, stored: Stored) -> bytes:
        line = _line(kind, self._renderer.stored(stored, heads=self._heads))
        self._heads = False
        return line


def _last(event: Event) -> Stored:
    """An object that left the selection is shown as it last was inside, under the revision of the change."""
    assert event.before is not None
    before = event.before.obj
    metadata = before["metadata"] | {"resourceVersion": str(event.now.revision)}
    return Stored(before | {"metadata": metadata}, event.now.revision)


def _line(kind: bytes, obj: bytes) -> bytes:
    return b'{"type":"' + kind + b'","object":' + obj + b"}\n"
