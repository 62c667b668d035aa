"""The last step of every reconcile: one status write, and only then the events that tell of it."""

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Protocol

from trainyard_operator.cluster.errors import NotFound
from trainyard_operator.cluster.kinds import Kind
from trainyard_operator.cluster.port import Cluster, Event, Manifest

logger = logging.getLogger(__name__)

Reported = Callable[[str, Event], None]
"""Told of the kind and the event, whenever one was emitted."""


class Status(Protocol):
    """What the status of either resource offers."""

    @property
    def phase(self) -> str:
        """The one-word summary."""

    def to_wire(self) -> Manifest:
        """Return the JSON form."""


@dataclass(frozen=True, slots=True)
class Change:
    """What a reconcile found out: the status before and after, and what to tell of the difference."""

    before: Status
    after: Status
    events: Iterable[Event]


async def report(cluster: Cluster, kind: Kind, manifest: Manifest, change: Change, *, reported: Reported) -> None:
    """Write the status if it differs, and only then emit the events."""
    if change.after == change.before:
        return
    metadata = {key: manifest["metadata"][key] for key in ("name", "namespace", "uid", "resourceVersion")}
    try:
        await cluster.apply_status(kind, {"metadata": metadata, "status": change.after.to_wire()})
    except NotFound:
        return  # deleted meanwhile, and its children with it
    about = {"kind": kind.name, "namespace": metadata["namespace"], "object": metadata["name"]}
    if change.after.phase != change.before.phase:
        logger.info("%s %s/%s became %s", *about.values(), change.after.phase, extra=about)
    for event in change.events:
        logger.info("%s %s/%s: %s: %s", *about.values(), event.reason, event.message, extra=about)
        await cluster.emit(manifest, event)
        reported(kind.name, event)
