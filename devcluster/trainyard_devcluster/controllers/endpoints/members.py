"""Which pods stand behind a Service, at which ports, and in what state."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, TypeAlias

from trainyard_devcluster import pods
from trainyard_devcluster.resources import Object, name_of, namespace_of, uid_of
from trainyard_devcluster.selectors import matches_labels

Ports: TypeAlias = tuple[tuple[str, str, int, str | None], ...]
"""Name, protocol, number and application protocol of each port."""


@dataclass(frozen=True, slots=True)
class Member:
    """One pod behind a Service."""

    pod: Object
    ports: Ports
    serving: bool
    ready: bool
    terminating: bool

    @property
    def address(self) -> str:
        """The pod's IP address."""
        return str(self.pod["status"]["podIP"])

    def hostname(self, service: Object) -> str | None:
        """The name that the pod has below the Service's, if any."""
        spec = self.pod["spec"]
        return spec.get("hostname") if spec.get("subdomain") == name_of(service) else None

    def target(self) -> Object:
        """A reference to the pod."""
        return {"kind": "Pod", "namespace": namespace_of(self.pod), "name": name_of(self.pod), "uid": uid_of(self.pod)}


def members(service: Object, candidates: Iterable[Object]) -> list[Member]:
    """The pods that the Service selects and that have an address, in the order of their names."""
    selected = [pod for pod in candidates if _belongs(service, pod)]
    return [_member(service, pod) for pod in sorted(selected, key=name_of)]


def has_selector(service: Object) -> bool:
    """Whether the Service's endpoints are found for it; otherwise somebody writes them by hand."""
    return bool(service["spec"].get("selector")) and service["spec"].get("type") != "ExternalName"


def is_headless(service: Object) -> bool:
    """Whether the Service has no address of its own."""
    return str(service["spec"].get("clusterIP")) == "None"


def _belongs(service: Object, pod: Object) -> bool:
    return (
        bool(pod.get("status", {}).get("podIP"))
        and not pods.is_terminal(pod)
        and matches_labels(service["spec"].get("selector"), pod["metadata"].get("labels"))
    )


def _member(service: Object, pod: Object) -> Member:
    serving = pods.is_ready(pod)
    terminating = pods.is_terminating(pod)
    always = bool(service["spec"].get("publishNotReadyAddresses"))
    found = (_resolved(port, pod) for port in service["spec"].get("ports") or ())
    return Member(
        pod=pod,
        ports=tuple(port for port in found if port is not None),
        serving=serving,
        ready=always or (serving and not terminating),
        terminating=terminating,
    )


def _resolved(port: dict[str, Any], pod: Object) -> tuple[str, str, int, str | None] | None:
    protocol = port.get("protocol", "TCP")
    number = _number(port.get("targetPort") or port["port"], protocol, pod)
    return None if number is None else (port.get("name", ""), protocol, number, port.get("appProtocol"))


def _number(target: int | str, protocol: str, pod: Object) -> int | None:
    if isinstance(target, int):
        return target
    for container in [*(pod["spec"].get("containers") or ()), *(pod["spec"].get("initContainers") or ())]:
        for port in container.get("ports") or ():
            if port.get("name") == target and port.get("protocol", "TCP") == protocol:
                return int(port["containerPort"])
    return None
