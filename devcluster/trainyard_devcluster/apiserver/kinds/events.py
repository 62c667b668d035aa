"""Events: one store, shown as core/v1 and as events.k8s.io/v1."""

from trainyard_devcluster.apiserver.values import Object

# (core/v1, events.k8s.io/v1)
_RENAMED = (
    ("involvedObject", "regarding"),
    ("message", "note"),
    ("reportingComponent", "reportingController"),
    ("source", "deprecatedSource"),
    ("firstTimestamp", "deprecatedFirstTimestamp"),
    ("lastTimestamp", "deprecatedLastTimestamp"),
    ("count", "deprecatedCount"),
)
_TO_NEW = dict(_RENAMED)
_TO_OLD = {new: old for old, new in _RENAMED}


def to_new(event: Object) -> Object:
    """Return a stored event as an `events.k8s.io/v1` one."""
    return {_TO_NEW.get(key, key): value for key, value in event.items()} | {"apiVersion": "events.k8s.io/v1"}


def to_old(event: Object) -> Object:
    """Return an `events.k8s.io/v1` event in its stored form, a `v1` one."""
    return {_TO_OLD.get(key, key): value for key, value in event.items()} | {"apiVersion": "v1"}


def default_event(event: Object) -> None:
    """Fill in what clients of either version look for."""
    event.setdefault("reportingComponent", (event.get("source") or {}).get("component", ""))
    event.setdefault("reportingInstance", "")
    event.setdefault("source", {})
    for field in ("firstTimestamp", "lastTimestamp", "eventTime"):
        event.setdefault(field, None)
