"""How long a pod and its containers may take: deadlines and grace periods. Pure; seconds."""

from datetime import datetime

from trainyard_devcluster.resources import Object

DEFAULT_GRACE = 30.0
LEAST_GRACE = 1.0


def pod_grace(pod: Object, *, going: bool, vanished: bool) -> float:
    """How long the pod's processes get to end. `going`: it was deleted; `vanished`: nobody waits for it any more."""
    if vanished:
        return LEAST_GRACE
    asked = pod["metadata"].get("deletionGracePeriodSeconds") if going else None
    if asked is None:
        return float(pod["spec"].get("terminationGracePeriodSeconds", DEFAULT_GRACE))
    return max(float(asked), LEAST_GRACE)


def restart_grace(pod: Object, container: Object) -> float:
    """How long a container that a probe gives up gets to end."""
    for probe in ("livenessProbe", "startupProbe"):
        seconds = (container.get(probe) or {}).get("terminationGracePeriodSeconds")
        if seconds is not None:
            return float(seconds)
    return float(pod["spec"].get("terminationGracePeriodSeconds", DEFAULT_GRACE))


def time_left(pod: Object, started: datetime, now: datetime) -> float | None:
    """How long the pod may still run; None where it has no deadline."""
    deadline = pod["spec"].get("activeDeadlineSeconds")
    return None if deadline is None else max(0.0, float(deadline) - (now - started).total_seconds())
