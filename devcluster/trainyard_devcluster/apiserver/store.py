"""The objects, their versions, and a bounded memory of what happened to them.

Stored objects are never modified: a change stores a new dict. So a list, a watch event and an answer may share one, and
its JSON is made once.
"""

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Literal

from trainyard_devcluster.apiserver.errors import expired
from trainyard_devcluster.apiserver.values import Object, encode

Key = tuple[str, str]
"""Namespace ("" for cluster-scoped objects) and name."""
EventType = Literal["ADDED", "MODIFIED", "DELETED"]


class Stored:
    """One version of one object."""

    __slots__ = ("_json", "obj", "revision")

    def __init__(self, obj: Object, revision: int) -> None:
        self.obj = obj
        self.revision = revision
        self._json: bytes | None = None

    @property
    def json(self) -> bytes:
        """The object's JSON, made on first use."""
        if self._json is None:
            self._json = encode(self.obj)
        return self._json


@dataclass(frozen=True, slots=True)
class Event:
    """A change: what is there now (for a deletion: what was), and what was before."""

    type: EventType
    key: Key
    now: Stored
    before: Stored | None


Listener = Callable[[Event], None]


@dataclass(slots=True)
class Table:
    """All objects of one resource."""

    objects: dict[Key, Stored] = field(default_factory=dict)
    events: deque[Event] = field(default_factory=deque)
    listeners: set[Listener] = field(default_factory=set)
    forgotten: int = 0
    """Revision of the newest event that is no longer remembered."""

    def since(self, revision: int) -> list[Event]:
        """Return the events after a revision, oldest first.

        Raises:
            ApiError: 410, some of them are forgotten.
        """
        if revision < self.forgotten:
            raise expired(f"too old resource version: {revision} ({self.forgotten})")
        found: list[Event] = []
        for event in reversed(self.events):
            if event.now.revision <= revision:
                break
            found.append(event)
        found.reverse()
        return found

    def at(self, revision: int) -> dict[Key, Stored]:
        """Return the objects as they were at a revision.

        Raises:
            ApiError: 410, it is too long ago.
        """
        objects = dict(self.objects)
        for event in reversed(self.since(revision)):
            if event.before is None:
                del objects[event.key]
            else:
                objects[event.key] = event.before
        return objects


class Store:
    """Tables by resource, under one revision counter.

    Args:
        revision: where to begin; a restarted server begins beyond its predecessor, so that clients learn by 410 that
            their versions are gone.
        memory: how many events each table remembers.
    """

    def __init__(self, revision: int = 1, memory: int = 2000) -> None:
        self.revision = revision
        self._origin = revision
        self._memory = memory
        self._tables: dict[str, Table] = {}

    def table(self, name: str) -> Table:
        """Return the table of a resource, made on first use."""
        found = self._tables.get(name)
        if found is None:
            found = self._tables[name] = Table(forgotten=self._origin)
        return found

    def drop(self, name: str) -> None:
        """Delete every object of a resource."""
        for namespace, title in list(self.table(name).objects):
            self.delete(name, (namespace, title))

    def get(self, name: str, key: Key) -> Stored | None:
        """Return one object, or None."""
        return self.table(name).objects.get(key)

    def put(self, name: str, key: Key, obj: Object) -> Stored:
        """Store an object under a new revision, written into it, and tell the listeners."""
        table = self.table(name)
        before = table.objects.get(key)
        self.revision += 1
        obj["metadata"]["resourceVersion"] = str(self.revision)
        now = table.objects[key] = Stored(obj, self.revision)
        self._publish(table, Event("MODIFIED" if before else "ADDED", key, now, before))
        return now

    def delete(self, name: str, key: Key) -> Stored:
        """Delete an object; the last version carries the revision of its deletion."""
        table = self.table(name)
        before = table.objects.pop(key)
        self.revision += 1
        metadata = before.obj["metadata"] | {"resourceVersion": str(self.revision)}
        last = Stored(before.obj | {"metadata": metadata}, self.revision)
        self._publish(table, Event("DELETED", key, last, before))
        return last

    def objects(self, name: str, namespace: str | None = None) -> Iterator[Object]:
        """Yield the objects of a resource, all or those of one namespace."""
        for key, stored in self.table(name).objects.items():
            if namespace is None or key[0] == namespace:
                yield stored.obj

    def _publish(self, table: Table, event: Event) -> None:
        table.events.append(event)
        if len(table.events) > self._memory:
            table.forgotten = table.events.popleft().now.revision
        for listener in tuple(table.listeners):
            listener(event)
