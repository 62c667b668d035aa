"""The Endpoints object of a Service: older than EndpointSlices, and still read by some."""

from collections.abc import Sequence

from trainyard_devcluster.controllers.endpoints.members import Member, Ports, is_headless
from trainyard_devcluster.resources import Object, name_of, namespace_of

HEADLESS_LABEL = "service.kubernetes.io/headless"
MANAGED_BY_LABEL = "endpoints.kubernetes.io/managed-by"
MANAGED_BY = "endpoint-controller"


def desired(service: Object, found: Sequence[Member]) -> Object:
    """The Endpoints of the Service. Pods that are going away are not among them."""
    labels = (service["metadata"].get("labels") or {}) | {MANAGED_BY_LABEL: MANAGED_BY}
    if is_headless(service):
        labels[HEADLESS_LABEL] = ""
    staying = [member for member in found if member.ready or not member.terminating]
    by_ports: dict[Ports, list[Member]] = {}
    for member in staying:
        by_ports.setdefault(member.ports, []).append(member)
    subsets = [_subset(service, ports, group) for ports, group in by_ports.items()]
    identity = {"name": name_of(service), "namespace": namespace_of(service), "labels": labels}
    return {"apiVersion": "v1", "kind": "Endpoints", "metadata": identity} | ({"subsets": subsets} if subsets else {})


def _subset(service: Object, ports: Ports, group: Sequence[Member]) -> Object:
    sides = {
        "addresses": [_address(service, member) for member in group if member.ready],
        "notReadyAddresses": [_address(service, member) for member in group if not member.ready],
        "ports": [
            {"name": name, "port": number, "protocol": protocol} if name else {"port": number, "protocol": protocol}
            for name, protocol, number, _ in ports
        ],
    }
    return {key: value for key, value in sides.items() if value}


def _address(service: Object, member: Member) -> Object:
    optional = {"hostname": member.hostname(service), "nodeName": member.pod["spec"].get("nodeName")}
    known = {key: value for key, value in optional.items() if value}
    return {"ip": member.address, "targetRef": member.target()} | known
