"""A node's health, and the taints that follow from it."""

from collections.abc import Sequence
from datetime import datetime

from trainyard_devcluster import pods
from trainyard_devcluster.controllers.conditions import a_condition, with_condition
from trainyard_devcluster.events import parse_timestamp, timestamp
from trainyard_devcluster.resources import Object
from trainyard_devcluster.taints import NOT_READY_TAINT, UNREACHABLE_TAINT, UNSCHEDULABLE_TAINT, Toleration, tolerates

_PRESSURE_TAINTS = {
    "MemoryPressure": "node.kubernetes.io/memory-pressure",
    "DiskPressure": "node.kubernetes.io/disk-pressure",
    "PIDPressure": "node.kubernetes.io/pid-pressure",
    "NetworkUnavailable": "node.kubernetes.io/network-unavailable",
}
_LOST_TAINTS = frozenset({NOT_READY_TAINT, UNREACHABLE_TAINT})
_OWN_TAINTS = frozenset({*_LOST_TAINTS, UNSCHEDULABLE_TAINT, *_PRESSURE_TAINTS.values()})
ADMITTED_SECONDS = 300
"""How long pods tolerate a lost node where nothing else is said: Kubernetes' DefaultTolerationSeconds."""
_LOST_MESSAGE = "Kubelet stopped posting node status."


def last_sign_of_life(node: Object, lease: Object | None) -> datetime:
    """When the node was last heard of: by its lease, its status, or its registration."""
    ready = pods.condition(node, "Ready") or {}
    signs = [
        (lease or {}).get("spec", {}).get("renewTime"),
        ready.get("lastHeartbeatTime"),
        node["metadata"]["creationTimestamp"],
    ]
    return max(parse_timestamp(sign) for sign in signs if sign)


def conditions_of_lost(node: Object, now: datetime) -> list[Object]:
    """The conditions of a node that is silent: nobody knows."""
    conditions: list[Object] = list(node.get("status", {}).get("conditions") or ())
    for kind in ("Ready", "MemoryPressure", "DiskPressure", "PIDPressure"):
        known = next((entry for entry in conditions if entry["type"] == kind), None)
        if known is None or known["status"] != "Unknown":
            lost = a_condition(kind, "Unknown", "NodeStatusUnknown", _LOST_MESSAGE)
            conditions = with_condition(conditions, lost, now)
    return conditions


def taints(node: Object, now: datetime) -> list[Object]:
    """The node's taints as its conditions and its spec want them; taints that others set stay."""
    present: list[Object] = list(node["spec"].get("taints") or ())
    wanted = _wanted(node)
    kept = [entry for entry in present if entry["key"] not in _OWN_TAINTS or _identity(entry) in wanted]
    known = {_identity(entry) for entry in kept}
    added: list[Object] = [
        {"key": key, "effect": effect} | ({"timeAdded": timestamp(now)} if effect == "NoExecute" else {})
        for key, effect in wanted
        if (key, effect) not in known
    ]
    return kept + added


def eviction_delay(taint: Object, tolerations: Sequence[Toleration], default: float) -> float | None:
    """Seconds that a pod may stay on a node with this NoExecute taint; None for ever.

    `default` stands in for the tolerations that the API server gives pods which say nothing of nodes being lost, so
    that nobody has to wait for five minutes to see what becomes of them.
    """
    times = [entry.get("tolerationSeconds") for entry in tolerations if tolerates(entry, taint)]
    if taint["key"] in _LOST_TAINTS:
        times = [default if seconds == ADMITTED_SECONDS else seconds for seconds in times] or [default]
    if not times:
        return 0.0
    limited = [float(seconds) for seconds in times if seconds is not None]
    return max(0.0, min(limited)) if limited else None


def _wanted(node: Object) -> list[tuple[str, str]]:
    status = (pods.condition(node, "Ready") or {}).get("status")
    wanted = []
    if status != "True":
        key = NOT_READY_TAINT if status == "False" else UNREACHABLE_TAINT
        # A node that has said nothing yet keeps new pods away, but there is nothing on it to evict.
        wanted = [(NOT_READY_TAINT, "NoSchedule")] if status is None else [(key, "NoSchedule"), (key, "NoExecute")]
    for kind, key in _PRESSURE_TAINTS.items():
        if (pods.condition(node, kind) or {}).get("status") == "True":
            wanted.append((key, "NoSchedule"))
    if node["spec"].get("unschedulable"):
        wanted.append((UNSCHEDULABLE_TAINT, "NoSchedule"))
    return wanted


def _identity(taint: Object) -> tuple[str, str]:
    return taint["key"], taint["effect"]
