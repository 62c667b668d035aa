"""Keeps a store like the API server: lists once, then watches, and lists again where the watch lost the thread.

kopf, which watches our own resources, misses deletions across a second list. Children are decided on, so here what a
list no longer has is reported as gone.
"""

import asyncio
import json
import logging
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from trainyard_operator.cluster.errors import ApiError, ConnectionLost, NotFound, Unavailable
from trainyard_operator.cluster.kinds import Kind
from trainyard_operator.cluster.port import Manifest
from trainyard_operator.cluster.store import Store, StoreChange

logger = logging.getLogger(__name__)

_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 30.0
_CHANGES = ("ADDED", "MODIFIED", "DELETED")
_EXPIRED = 410
"""The API server no longer knows the version from which the watch was to go on."""
_LASTED = 1.0
"""Seconds that a watch lasts if anybody means it."""


class Source(Protocol):
    """Lists and watches."""

    async def snapshot(
        self, kind: Kind, namespace: str | None = None, *, labels: Mapping[str, str] | None = None
    ) -> tuple[list[Manifest], str]:
        """Return all objects and the version of the list."""
        ...

    def watch(
        self, kind: Kind, namespace: str | None, *, labels: Mapping[str, str], version: str
    ) -> AsyncIterator[bytes]:
        """Yield the events since a version, each as a line of JSON."""
        ...


@dataclass(slots=True)
class Reflector:
    """One watch, and what it has told so far.

    Attributes:
        namespace: The namespace to watch; None stands for all of them.
        labels: The labels of the objects to watch.
        on_change: Told of every change after the first list.
        on_relist: Told of every list after the first.
        problem: Why the store cannot be relied on; None while it can.
        tried: Set once the first list came, or failed.
        optional: Whether the API server may not know the kind, and then there are none of it.
    """

    source: Source
    kind: Kind
    namespace: str | None
    labels: Mapping[str, str]
    on_change: Callable[[Kind, StoreChange], None] = lambda *_: None
    on_relist: Callable[[], None] = lambda: None
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    store: Store = field(default_factory=Store)
    problem: str | None = "it has not been listed yet"
    tried: asyncio.Event = field(default_factory=asyncio.Event)
    optional: bool = False
    _version: str = ""
    _failures: int = 0
    _lost: bool = False
    _listed: bool = False

    def is_reliable(self) -> bool:
        """Return whether the store has what the API server has, or had a moment ago."""
        return self.problem is None

    def __str__(self) -> str:
        return self.kind.plural if self.namespace is None else f"{self.kind.plural} in namespace {self.namespace!r}"

    async def run(self) -> None:
        """Watch until cancelled; no failure ends it."""
        while True:
            try:
                if not self._version:
                    await self._list()
                if self._version:
                    await self._follow()
                else:  # there is no such kind, so far
                    await self.sleep(_LONGEST_PAUSE)
            except ApiError as error:
                self.tried.set()
                await self.sleep(self._fail(error) * (0.5 + random.random() / 2))  # noqa: S311

    async def _list(self) -> None:
        try:
            manifests, version = await self.source.snapshot(self.kind, self.namespace, labels=self.labels)
        except NotFound:
            if not self.optional:
                raise
            manifests, version = [], ""
        changes, first = self.store.listed(manifests, version), not self._listed
        self._version, self._listed = version, bool(version)
        self._recover()
        self.tried.set()
        if not first:
            for change in changes:
                self.on_change(self.kind, change)
            self.on_relist()

    async def _follow(self) -> None:
        """Watch until the server ends the watch, which it does every few minutes, or until the connection breaks."""
        began, count = asyncio.get_running_loop().time(), 0
        try:
            async for line in self.source.watch(self.kind, self.namespace, labels=self.labels, version=self._version):
                self._take(line)
                count += 1
                self._recover()
        except ConnectionLost:
            if asyncio.get_running_loop().time() - began > _LASTED:
                self._failures = 0
            raise
        if not count and asyncio.get_running_loop().time() - began < _LASTED:
            raise Unavailable("the watch ended at once, without a word")

    def _take(self, line: bytes) -> None:
        event = _event(line, self.kind)
        manifest = event["object"]
        if event["type"] in _CHANGES and (change := self.store.saw(manifest, gone=event["type"] == "DELETED")):
            self.on_change(self.kind, change)
        self._version = manifest["metadata"]["resourceVersion"]

    def _fail(self, error: ApiError) -> float:
        """Return the seconds to wait."""
        if error.code == _EXPIRED:
            self._version = ""
            return _FIRST_PAUSE
        self._failures += 1
        # A connection that breaks now and then is part of life: the watch goes on where it was.
        if self._failures > 1 or not self._version:
            if not self._lost:
                logger.warning("The watch of %s was lost, and is tried again: %s", self, error)
            self.problem, self._version, self._lost = str(error), "", True
        return float(min(_LONGEST_PAUSE, _FIRST_PAUSE * 2 ** min(self._failures - 1, 10)))

    def _recover(self) -> None:
        if self._lost:
            logger.info("The watch of %s is back", self)
        self.problem, self._failures, self._lost = None, 0, False


def _event(line: bytes, kind: Kind) -> Manifest:
    """Return an event of a watch.

    Raises:
        ApiError: it is none, or one that tells of an error.
    """
    try:
        event = json.loads(line)
    except (ValueError, RecursionError):
        event = None
    if not isinstance(event, dict) or not isinstance(event.get("object"), dict):
        raise Unavailable(f"expected an event of a watch, got {line[:200].decode(errors='replace')!r}")
    about = event["object"]
    if event.get("type") == "ERROR":
        code = about.get("code")
        message = str(about.get("message") or "the watch was ended with an error")
        raise Unavailable(message, code=code if isinstance(code, int) else 0)
    metadata = about.get("metadata")
    needed = ("name", "namespace", "resourceVersion") if event.get("type") in _CHANGES else ("resourceVersion",)
    if (
        about.get("kind") != kind.name
        or not isinstance(metadata, dict)
        or not all(isinstance(metadata.get(field_), str) for field_ in needed)
    ):
        raise Unavailable(f"expected a {kind.name} in an event of a watch, got {about.get('kind')!r}")
    return dict(event)
