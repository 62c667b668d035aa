"""What a pod's status says, in words."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from fractions import Fraction
from typing import Any

from trainyard_devcluster import quantity
from trainyard_devcluster.events import parse_timestamp
from trainyard_devcluster.resources import Object

TERMINAL_PHASES = frozenset({"Succeeded", "Failed"})


def phase(pod: Object) -> str:
    """The pod's phase; Pending where nobody has said anything yet."""
    return str(pod.get("status", {}).get("phase") or "Pending")


def is_terminal(pod: Object) -> bool:
    """Whether the pod has run to its end and will not run again."""
    return phase(pod) in TERMINAL_PHASES


def is_terminating(pod: Object) -> bool:
    """Whether somebody has asked for the object to be deleted."""
    return "deletionTimestamp" in pod["metadata"]


def is_active(pod: Object) -> bool:
    """Whether the pod runs or is going to, with nobody having asked it to stop."""
    return not is_terminal(pod) and not is_terminating(pod)


def condition(obj: Object, kind: str) -> Object | None:
    """The object's status condition of this type."""
    for entry in obj.get("status", {}).get("conditions") or ():
        if entry.get("type") == kind:
            return dict(entry)
    return None


def is_ready(pod: Object) -> bool:
    """Whether the pod passes its readiness probes."""
    ready = condition(pod, "Ready")
    return ready is not None and ready.get("status") == "True"


def available_at(pod: Object, min_ready_seconds: int) -> datetime | None:
    """When the pod counts as available, which may be in the future; None where it is not ready."""
    ready = condition(pod, "Ready")
    if ready is None or ready.get("status") != "True":
        return None
    since = ready.get("lastTransitionTime") or pod["metadata"]["creationTimestamp"]
    return parse_timestamp(since) + timedelta(seconds=min_ready_seconds)


def requests(pod: Object) -> dict[str, Fraction]:
    """The resources that the scheduler sets aside for the pod, in base units.

    Init containers run one after the other before the rest, so the largest of them counts; those that restart always
    run beside everything after them, so they add up.
    """
    spec = pod["spec"]
    running: dict[str, Fraction] = {}
    peak: dict[str, Fraction] = {}
    for container in spec.get("initContainers") or ():
        own = _container_requests(container)
        if container.get("restartPolicy") == "Always":
            running = _sum(running, own)
            peak = _max(peak, running)
        else:
            peak = _max(peak, _sum(running, own))
    for container in spec.get("containers") or ():
        running = _sum(running, _container_requests(container))
    return _sum(_max(peak, running), _parsed(spec.get("overhead") or {}))


def _container_requests(container: Mapping[str, Any]) -> dict[str, Fraction]:
    resources = container.get("resources") or {}
    # Where only a limit is given the API server fills in the request; an object may come from before that.
    return _parsed((resources.get("limits") or {}) | (resources.get("requests") or {}))


def _parsed(quantities: Mapping[str, Any]) -> dict[str, Fraction]:
    return {name: quantity.parse(value) for name, value in quantities.items()}


def _sum(left: Mapping[str, Fraction], right: Mapping[str, Fraction]) -> dict[str, Fraction]:
    return {name: left.get(name, Fraction(0)) + right.get(name, Fraction(0)) for name in {*left, *right}}


def _max(left: Mapping[str, Fraction], right: Mapping[str, Fraction]) -> dict[str, Fraction]:
    return {name: max(left.get(name, Fraction(0)), right.get(name, Fraction(0))) for name in {*left, *right}}
