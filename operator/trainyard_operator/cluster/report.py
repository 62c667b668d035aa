"""The last step of every reconcile: one status write, and only then the events that tell of it."""

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Protocol

from trainyard_operator.cluster.errors import NotFound
from trainyard_operator.cluster.kinds import Kind
from trainyard_operator.cluster.port import Cluster, Event, Manifest
from trainyard_operator.runtime.reconciler import Key

logger = logging.getLogger(__name__)

Reported = Callable[[str, Event], None]
"""Told of the kind and the event, whenever one was emitted."""
EVENT_LIFE = timedelta(hours=1)
"""How long an API server keeps an event by default: what happened before that is not told again."""


class Status(Protocol):
    """What the status of either resource offers."""

    @property
    def phase(self) -> str:
        """The one-word summary."""

    def to_wire(self) -> Manifest:
        """Return the JSON form."""


@dataclass(frozen=True, slots=True)
class Change:
    """What a reconcile found out: the status before and after, and what to tell of the difference.

    Attributes:
        again: What the writer of the status before may have had to tell of it, and died.
    """

    before: Status
    after: Status
    events: Iterable[Event]
    again: Iterable[Event] = ()


@dataclass(frozen=True, slots=True)
class DeliveredEvents:
    """What this process has told so far.

    A status tells of itself only by being different from the one before, so whoever dies between its write and its
    events takes them along. Whoever comes to an object first therefore tells of the status it finds once more.

    Attributes:
        reported: Told of the kind and the event, whenever one was emitted.
        complete: The objects of which all is told.
    """

    reported: Reported = lambda *_: None
    complete: set[Key] = field(default_factory=set)


async def report(cluster: Cluster, kind: Kind, manifest: Manifest, change: Change, *, telling: DeliveredEvents) -> None:
    """Write the status if it differs, and only then emit the events."""
    metadata = {each: manifest["metadata"][each] for each in ("name", "namespace", "uid", "resourceVersion")}
    key = Key(kind.name, metadata["namespace"], metadata["name"])
    if key not in telling.complete:
        await _tell(cluster, manifest, change.again, telling=telling, again=True)
    if change.after != change.before:
        telling.complete.discard(key)
        try:
            await cluster.apply_status(kind, {"metadata": metadata, "status": change.after.to_wire()})
        except NotFound:
            return  # deleted meanwhile, and its children with it
        if change.after.phase != change.before.phase:
            about = _about(manifest)
            logger.info("%s %s/%s became %s", *about.values(), change.after.phase, extra=about)
        await _tell(cluster, manifest, change.events, telling=telling)
    telling.complete.add(key)


async def _tell(
    cluster: Cluster, manifest: Manifest, events: Iterable[Event], *, telling: DeliveredEvents, again: bool = False
) -> None:
    about = _about(manifest)
    for event in events:
        if await cluster.emit(manifest, event, again=again) or not again:
            logger.info("%s %s/%s: %s: %s", *about.values(), event.reason, event.message, extra=about)
            telling.reported(about["kind"], event)


def _about(manifest: Manifest) -> dict[str, str]:
    metadata = manifest["metadata"]
    return {"kind": manifest["kind"], "namespace": metadata["namespace"], "object": metadata["name"]}
