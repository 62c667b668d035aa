"""The last step of every reconcile: one status write, and only then its events."""

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Protocol

from trainyard_operator.cluster.errors import Invalid, NotFound
from trainyard_operator.cluster.kinds import Kind
from trainyard_operator.cluster.port import Cluster, Event, Manifest
from trainyard_operator.runtime.reconciler import Key
from trainyard_operator.workloads.text import clean

logger = logging.getLogger(__name__)

Reported = Callable[[str, Event], None]
"""Called with the kind and the event, whenever one was emitted."""
EVENT_LIFE = timedelta(hours=1)
"""How long an API server keeps an event by default: what happened before that is not told again."""


class ResourceStatus(Protocol):
    """What the status of either resource offers."""

    @property
    def phase(self) -> str:
        """The one-word summary."""

    def to_wire(self) -> Manifest:
        """Return the JSON form."""

    def minimal(self, why: str) -> "ResourceStatus":
        """Return what has to be known, with `why` it is no more than that."""


@dataclass(frozen=True, slots=True)
class Change:
    """What a reconcile found out: the status before and after, and what to tell of the difference.

    Attributes:
        again: Events of the status before. If its writer died before emitting them, they are emitted now.
    """

    before: ResourceStatus
    after: ResourceStatus
    events: Iterable[Event]
    again: Iterable[Event] = ()


@dataclass(frozen=True, slots=True)
class DeliveredEvents:
    """The objects whose events this process has delivered.

    Events follow from a change of status. If the operator dies between a status write and its events, they are lost:
    so a process that sees an object for the first time emits the events of the status it finds once more.

    Attributes:
        reported: Called with the kind and the event, whenever one was emitted.
        complete: The objects with no event outstanding.
    """

    reported: Reported = lambda *_: None
    complete: set[Key] = field(default_factory=set)


async def report(
    cluster: Cluster, kind: Kind, manifest: Manifest, change: Change, *, delivered: DeliveredEvents
) -> None:
    """Write the status if it differs, and only then emit the events."""
    metadata = {
        field_name: manifest["metadata"][field_name] for field_name in ("name", "namespace", "uid", "resourceVersion")
    }
    key = Key(kind.name, metadata["namespace"], metadata["name"])
    if key not in delivered.complete:
        await _emit(cluster, manifest, change.again, delivered=delivered, again=True)
    if change.after != change.before:
        delivered.complete.discard(key)
        try:
            await _write(cluster, kind, metadata, change.after)
        except NotFound:
            return  # deleted meanwhile, and its children with it
        if change.after.phase != change.before.phase:
            about = _about(manifest)
            logger.info("%s %s/%s became %s", *about.values(), change.after.phase, extra=about)
        await _emit(cluster, manifest, change.events, delivered=delivered)
    delivered.complete.add(key)


async def _write(cluster: Cluster, kind: Kind, metadata: Manifest, status: ResourceStatus) -> None:
    """Write a status; one that is refused gives way to one that says no more than has to be said.

    It can hold what a program reported. That must never keep a training from ending, nor a service from being followed.
    """
    try:
        await cluster.apply_status(kind, {"metadata": metadata, "status": status.to_wire()})
    except Invalid as error:
        logger.warning("The API server refuses the status of %s: %s", metadata["name"], error)
        least = status.minimal(f"the API server refuses the full status: {clean(str(error), 300)}")
        await cluster.apply_status(kind, {"metadata": metadata, "status": least.to_wire()})


async def _emit(
    cluster: Cluster, manifest: Manifest, events: Iterable[Event], *, delivered: DeliveredEvents, again: bool = False
) -> None:
    about = _about(manifest)
    for event in events:
        if await cluster.emit(manifest, event, again=again) or not again:
            logger.info("%s %s/%s: %s: %s", *about.values(), event.reason, event.message, extra=about)
            delivered.reported(about["kind"], event)


def _about(manifest: Manifest) -> dict[str, str]:
    metadata = manifest["metadata"]
    return {"kind": manifest["kind"], "namespace": metadata["namespace"], "object": metadata["name"]}
