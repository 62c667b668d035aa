"""The EndpointSlices that a Service should have."""

import hashlib
import json
from collections.abc import Sequence

from trainyard_devcluster.controllers.endpoints.members import Member, Ports, is_headless
from trainyard_devcluster.controllers.pod_template import owner_reference
from trainyard_devcluster.resources import Object, name_of, namespace_of

SERVICE_LABEL = "kubernetes.io/service-name"
MANAGED_BY_LABEL = "endpointslice.kubernetes.io/managed-by"
MANAGED_BY = "endpointslice-controller.k8s.io"
HEADLESS_LABEL = "service.kubernetes.io/headless"
MAX_ENDPOINTS = 100


def desired(service: Object, found: Sequence[Member]) -> list[Object]:
    """One slice for each set of ports, more where there are many pods, and an empty one where there are none.

    Their names follow from their contents' shape, so that writing them twice writes the same ones.
    """
    by_ports: dict[Ports, list[Member]] = {}
    for member in found:
        by_ports.setdefault(member.ports, []).append(member)
    return [
        _slice(service, ports, group[start : start + MAX_ENDPOINTS], start)
        for ports, group in (by_ports or {(): []}).items()
        for start in range(0, max(1, len(group)), MAX_ENDPOINTS)
    ]


def _slice(service: Object, ports: Ports, group: Sequence[Member], start: int) -> Object:
    labels = (service["metadata"].get("labels") or {}) | {
        SERVICE_LABEL: name_of(service),
        MANAGED_BY_LABEL: MANAGED_BY,
    }
    if is_headless(service):
        labels[HEADLESS_LABEL] = ""
    digest = hashlib.sha256(json.dumps([ports, start]).encode()).hexdigest()[:5]
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "name": f"{name_of(service)}-{digest}",
            "namespace": namespace_of(service),
            "labels": labels,
            "ownerReferences": [owner_reference(service)],
        },
        "addressType": "IPv4",
        "endpoints": [_endpoint(service, member) for member in group],
        "ports": [_port(*port) for port in ports],
    }


def _endpoint(service: Object, member: Member) -> Object:
    optional = {"hostname": member.hostname(service), "nodeName": member.pod["spec"].get("nodeName")}
    return {
        "addresses": [member.address],
        "conditions": {"ready": member.ready, "serving": member.serving, "terminating": member.terminating},
        "targetRef": member.target(),
    } | {key: value for key, value in optional.items() if value}


def _port(name: str, protocol: str, number: int, application: str | None) -> Object:
    return {"name": name, "protocol": protocol, "port": number} | ({"appProtocol": application} if application else {})
