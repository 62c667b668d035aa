"""Who reaches the servers of a ModelService: a NetworkPolicy, where one is asked for."""

from collections.abc import Sequence

from trainyard_api.names import COMPONENT_LABEL, GRPC_PORT, NAME_LABEL, REST_PORT
from trainyard_api.traffic import Peer, Traffic
from trainyard_operator.cluster.kinds import NETWORK_POLICY
from trainyard_operator.cluster.port import Manifest
from trainyard_operator.serving import identity
from trainyard_operator.workloads.identity import child

_PORTS = {"rest": REST_PORT, "grpc": GRPC_PORT}
_NAMESPACE_NAME = "kubernetes.io/metadata.name"
OPERATOR = {NAME_LABEL: "trainyard", COMPONENT_LABEL: "operator"}
"""Labels of the operator's pods, in the manifests and in the chart."""


def network_policy(owner: Manifest, traffic: Traffic, *, operator_namespace: str | None) -> Manifest:
    """Return the NetworkPolicy of a ModelService.

    Args:
        operator_namespace: Where the operator runs; None where it does not know, because it runs outside.
    """
    name = owner["metadata"]["name"]
    asked_by_operator = {"from": [_operator(operator_namespace)], "ports": _ports(["grpc"])}
    anybody_here = {"from": [{"podSelector": {}}], "ports": _ports(list(_PORTS))}
    clients = [{"from": [_peer(peer)], "ports": _ports(peer.ports)} for peer in traffic.allow_from] or [anybody_here]
    return child(NETWORK_POLICY, name, owner, identity.labels(name)) | {
        "spec": {
            "podSelector": {"matchLabels": identity.service_pods(name)},
            "policyTypes": ["Ingress"],
            "ingress": [asked_by_operator, *clients],
        }
    }


def _operator(namespace: str | None) -> Manifest:
    place = {"matchLabels": {_NAMESPACE_NAME: namespace}} if namespace else {}
    return {"namespaceSelector": place, "podSelector": {"matchLabels": OPERATOR}}


def _peer(peer: Peer) -> Manifest:
    return {
        "namespaceSelector": {"matchLabels": peer.namespace_labels} if peer.namespace_labels else None,
        "podSelector": {"matchLabels": peer.pod_labels} if peer.pod_labels else None,
    }


def _ports(names: Sequence[str]) -> list[Manifest]:
    return [{"port": _PORTS[name], "protocol": "TCP"} for name in dict.fromkeys(names)]
