"""Events for people: few, and the same one again only raises its count."""

import hashlib
import logging
from collections import OrderedDict
from dataclasses import dataclass, replace
from typing import Protocol

from trainyard_api.names import FIELD_MANAGER
from trainyard_api.times import Clock, to_rfc3339, utc_now
from trainyard_operator.cluster.errors import AlreadyExists, ApiError
from trainyard_operator.cluster.kinds import EVENT, Kind
from trainyard_operator.cluster.port import Event, Manifest

logger = logging.getLogger(__name__)

_REMEMBERED = 4096
_MESSAGE_LIMIT = 1024  # the API server's own


class _Writer(Protocol):
    async def apply(self, kind: Kind, manifest: Manifest) -> Manifest: ...

    async def create(self, kind: Kind, manifest: Manifest) -> Manifest: ...


@dataclass(frozen=True, slots=True)
class _Series:
    first: str
    count: int


class EventRecorder:
    """Writes core/v1 Events, which `kubectl describe` and events.k8s.io both show.

    The name of an event follows from the object, its reason and its message: a reconcile that repeats itself, in this
    process or after a restart, updates one event and does not flood.
    """

    def __init__(self, cluster: _Writer, clock: Clock = utc_now) -> None:
        self._cluster = cluster
        self._clock = clock
        self._series: OrderedDict[str, _Series] = OrderedDict()

    async def record(self, regarding: Manifest, event: Event, *, again: bool = False) -> bool:
        """Write the event; with `again`, only where it is not there. Return whether it was written.

        Best effort: what goes wrong is logged and forgotten.
        """
        metadata = regarding["metadata"]
        identity = "\0".join((metadata["uid"], event.type, event.reason, event.message))
        name = f"{metadata['name'][:200]}.{hashlib.sha256(identity.encode()).hexdigest()[:16]}"
        now = to_rfc3339(self._clock())
        series = self._count(f"{metadata['namespace']}/{name}", now)
        manifest = manifest_of(regarding, event, name, first=series.first, last=now) | {"count": series.count}
        try:
            await (self._cluster.create(EVENT, manifest) if again else self._cluster.apply(EVENT, manifest))
        except AlreadyExists:
            return False
        except ApiError as error:
            logger.warning("Event %s was not recorded: %s", event.reason, error)
            return False
        return True

    def _count(self, name: str, now: str) -> _Series:
        series = self._series.pop(name, _Series(now, 0))
        self._series[name] = series = replace(series, count=series.count + 1)
        if len(self._series) > _REMEMBERED:
            self._series.popitem(last=False)
        return series


def manifest_of(regarding: Manifest, event: Event, name: str, *, first: str, last: str) -> Manifest:
    metadata = regarding["metadata"]
    return {
        "apiVersion": EVENT.api_version,
        "kind": EVENT.name,
        "metadata": {"name": name, "namespace": metadata["namespace"]},
        "involvedObject": {
            "apiVersion": regarding["apiVersion"],
            "kind": regarding["kind"],
            "namespace": metadata["namespace"],
            "name": metadata["name"],
            "uid": metadata["uid"],
        },
        "type": event.type,
        "reason": event.reason,
        "message": event.message[:_MESSAGE_LIMIT],
        "source": {"component": FIELD_MANAGER},
        "reportingComponent": f"{FIELD_MANAGER}.dev/operator",
        "reportingInstance": FIELD_MANAGER,
        "action": "Reconcile",
        "firstTimestamp": first,
        "lastTimestamp": last,
    }
