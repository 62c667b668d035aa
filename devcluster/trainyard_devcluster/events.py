"""Kubernetes events: what a person sees in `kubectl describe`."""

import logging
from collections import OrderedDict
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TypeAlias
from uuid import uuid4

from trainyard_devcluster.client import ApiError, Client, NotFoundError
from trainyard_devcluster.resources import EVENTS, Object, name_of, namespace_of, uid_of

log = logging.getLogger(__name__)

Clock: TypeAlias = Callable[[], datetime]

REMEMBERED_EVENTS = 1024


def utc_now() -> datetime:
    """The time, with its zone."""
    return datetime.now(UTC)


def timestamp(moment: datetime) -> str:
    """A moment as the API writes `metav1.Time`: RFC 3339 in UTC, whole seconds."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def parse_timestamp(text: str) -> datetime:
    """A moment from `metav1.Time` or `metav1.MicroTime`."""
    return datetime.fromisoformat(text)


class Recorder:
    """Writes events on behalf of one component. The same event again raises its count instead of making a new one."""

    def __init__(self, client: Client, component: str, *, host: str = "", clock: Clock = utc_now) -> None:
        self._client = client
        self._source = {"component": component} | ({"host": host} if host else {})
        self._clock = clock
        self._known: OrderedDict[tuple[str, ...], tuple[str, int]] = OrderedDict()

    async def normal(self, about: Object, reason: str, message: str) -> None:
        """Record something that happened as intended."""
        await self.record("Normal", about, reason, message)

    async def warning(self, about: Object, reason: str, message: str) -> None:
        """Record something that a person may have to act on."""
        await self.record("Warning", about, reason, message)

    async def record(self, kind: str, about: Object, reason: str, message: str) -> None:
        """Write an event about an object. Failures are logged only: no work depends on an event."""
        message = message[:1024]
        identity = (uid_of(about), kind, reason, message)
        try:
            await self._write(identity, kind, about, reason, message)
        except ApiError as error:
            log.debug("event %s about %s: %s", reason, name_of(about), error)

    async def _write(self, identity: tuple[str, ...], kind: str, about: Object, reason: str, message: str) -> None:
        now = timestamp(self._clock())
        namespace = namespace_of(about) or "default"
        if known := self._known.get(identity):
            name, count = known[0], known[1] + 1
            try:
                await self._client.patch(EVENTS, name, {"count": count, "lastTimestamp": now}, namespace)
            except NotFoundError:
                del self._known[identity]
            else:
                self._known[identity] = (name, count)
                return
        event = {
            "metadata": {"name": f"{name_of(about)}.{uuid4().hex[:16]}", "namespace": namespace},
            "involvedObject": _reference(about),
            "type": kind,
            "reason": reason,
            "message": message,
            "source": self._source,
            "reportingComponent": self._source["component"],
            "reportingInstance": self._source.get("host", ""),
            "firstTimestamp": now,
            "lastTimestamp": now,
            "count": 1,
        }
        await self._client.create(EVENTS, event)
        self._known[identity] = (event["metadata"]["name"], 1)  # type: ignore[index]
        while len(self._known) > REMEMBERED_EVENTS:
            self._known.popitem(last=False)


def _reference(about: Object) -> Object:
    metadata = about["metadata"]
    reference = {key: metadata[key] for key in ("name", "namespace", "uid", "resourceVersion") if metadata.get(key)}
    return {"apiVersion": about["apiVersion"], "kind": about["kind"]} | reference
