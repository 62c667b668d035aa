"""Status conditions: set one among the others, with its times."""

from collections.abc import Sequence
from datetime import datetime

from trainyard_devcluster.events import timestamp
from trainyard_devcluster.resources import Object


def with_condition(conditions: Sequence[Object], new: Object, now: datetime) -> list[Object]:
    """The conditions with one set. Its transition time is now only where its status changes."""
    old = next((entry for entry in conditions if entry["type"] == new["type"]), None)
    if old is None:
        return [*conditions, new | {"lastTransitionTime": timestamp(now)}]
    moved = {} if old.get("status") == new["status"] else {"lastTransitionTime": timestamp(now)}
    return [old | new | moved if entry is old else entry for entry in conditions]


def without_condition(conditions: Sequence[Object], kind: str) -> list[Object]:
    """The conditions without those of this type."""
    return [entry for entry in conditions if entry["type"] != kind]


def a_condition(kind: str, status: str, reason: str, message: str) -> Object:
    """A condition that has no times yet."""
    return {"type": kind, "status": status, "reason": reason, "message": message}
