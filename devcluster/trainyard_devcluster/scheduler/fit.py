"""Whether a pod may run on a node: every check that Kubernetes' scheduler makes and that makes sense here."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction

from trainyard_devcluster import pods, quantity
from trainyard_devcluster.resources import Object, name_of
from trainyard_devcluster.selectors import matches_node
from trainyard_devcluster.taints import UNSCHEDULABLE_TAINT, untolerated

HARD_EFFECTS = frozenset({"NoSchedule", "NoExecute"})


@dataclass(slots=True)
class Room:
    """A node, and what the pods on it have taken."""

    node: Object
    used: dict[str, Fraction] = field(default_factory=dict)
    pods: int = 0
    host_ports: set[tuple[str, int]] = field(default_factory=set)

    def take(self, pod: Object) -> None:
        """Set a pod's requests aside."""
        for name, amount in pods.requests(pod).items():
            self.used[name] = self.used.get(name, Fraction(0)) + amount
        self.pods += 1
        self.host_ports.update(host_ports(pod))

    def allocatable(self, resource: str) -> Fraction:
        """How much of a resource pods may have in all."""
        return quantity.parse((self.node.get("status", {}).get("allocatable") or {}).get(resource, 0))


def rooms(nodes: Iterable[Object], running: Iterable[tuple[str, Object]]) -> list[Room]:
    """The nodes with the pods (node name, pod) that are on them or on their way to them."""
    by_name = {name_of(node): Room(node) for node in nodes}
    for node, pod in running:
        if node in by_name:
            by_name[node].take(pod)
    return [by_name[name] for name in sorted(by_name)]


def obstacles(pod: Object, room: Room) -> list[str]:
    """Why the pod cannot run on the node, in the words of Kubernetes' scheduler. Empty where it can."""
    return _placement_obstacles(pod, room) or _resource_obstacles(pods.requests(pod), room)


def load_after(pod: Object, room: Room) -> Fraction:
    """How full the node is with the pod on it: the mean of cpu and memory, from 0 to 1."""
    wanted = pods.requests(pod)
    shares = []
    for resource in ("cpu", "memory"):
        capacity = room.allocatable(resource)
        used = room.used.get(resource, Fraction(0)) + wanted.get(resource, Fraction(0))
        shares.append(used / capacity if capacity else Fraction(1))
    return sum(shares, Fraction(0)) / len(shares)


def host_ports(pod: Object) -> set[tuple[str, int]]:
    """The node's ports that the pod wants for itself."""
    return {
        (port.get("protocol", "TCP"), port["hostPort"])
        for container in pod["spec"].get("containers") or ()
        for port in container.get("ports") or ()
        if port.get("hostPort")
    }


def _placement_obstacles(pod: Object, room: Room) -> list[str]:
    spec, node = pod["spec"], room.node
    tolerations = spec.get("tolerations") or ()
    if node["spec"].get("unschedulable") and untolerated(
        [{"key": UNSCHEDULABLE_TAINT, "effect": "NoSchedule"}], tolerations, HARD_EFFECTS
    ):
        return ["node(s) were unschedulable"]
    if untolerated(node["spec"].get("taints") or (), tolerations, HARD_EFFECTS):
        return ["node(s) had untolerated taint(s)"]
    if not _is_wanted_node(spec, node):
        return ["node(s) didn't match Pod's node affinity/selector"]
    if host_ports(pod) & room.host_ports:
        return ["node(s) didn't have free ports for the requested pod ports"]
    return []


def _is_wanted_node(spec: Object, node: Object) -> bool:
    labels: Mapping[str, str] = node["metadata"].get("labels") or {}
    if any(labels.get(key) != value for key, value in (spec.get("nodeSelector") or {}).items()):
        return False
    affinity = (spec.get("affinity") or {}).get("nodeAffinity") or {}
    required = affinity.get("requiredDuringSchedulingIgnoredDuringExecution")
    return required is None or matches_node(required.get("nodeSelectorTerms") or (), labels, name_of(node))


def _resource_obstacles(wanted: Mapping[str, Fraction], room: Room) -> list[str]:
    found = ["Too many pods"] if room.pods + 1 > room.allocatable("pods") else []
    for resource, amount in sorted(wanted.items()):
        if amount > 0 and room.used.get(resource, Fraction(0)) + amount > room.allocatable(resource):
            found.append(f"Insufficient {resource}")
    return found
