"""Who reaches the servers of a ModelService: a NetworkPolicy, where one is asked for."""

from collections.abc import Sequence

from trainyard_api.names import COMPONENT_LABEL, GRPC_PORT, NAME_LABEL, REST_PORT
from trainyard_api.traffic import Gateway, Peer, Traffic
from trainyard_operator.cluster.kinds import NETWORK_POLICY
from trainyard_operator.cluster.port import Manifest
from trainyard_operator.serving import identity
from trainyard_operator.workloads.identity import child

_PORTS = {"rest": REST_PORT, "grpc": GRPC_PORT}
_NAMESPACE_NAME = "kubernetes.io/metadata.name"
_GATEWAY_NAME = "gateway.networking.k8s.io/gateway-name"
OPERATOR = {NAME_LABEL: "trainyard", COMPONENT_LABEL: "operator"}
"""Labels of the operator's pods, in the manifests and in the chart."""


def network_policy(owner: Manifest, traffic: Traffic, *, operator_namespace: str | None) -> Manifest:
    """Return the NetworkPolicy of a ModelService.

    Args:
        operator_namespace: Where the operator runs; None where it does not know, because it runs outside.
    """
    name = owner["metadata"]["name"]
    # It asks for the state of models, sends golden requests, and reads the metrics of canaries.
    asked_by_operator = {"from": [_operator(operator_namespace)], "ports": _ports(list(_PORTS))}
    anybody_here = {"from": [{"podSelector": {}}], "ports": _ports(list(_PORTS))}
    clients = [{"from": [_peer(peer)], "ports": _ports(peer.ports)} for peer in traffic.allow_from] or [anybody_here]
    return child(NETWORK_POLICY, name, owner, identity.labels(name)) | {
        "spec": {
            "podSelector": {"matchLabels": identity.service_pods(name)},
            "policyTypes": ["Ingress"],
            "ingress": [asked_by_operator, *_gateway(owner, traffic.gateway), *clients],
        }
    }


def _gateway(owner: Manifest, gateway: Gateway | None) -> list[Manifest]:
    """Let in the pods of the Gateway, by the label that its implementation gives them (GEP-1762)."""
    if gateway is None:
        return []
    place = {_NAMESPACE_NAME: gateway.namespace or owner["metadata"]["namespace"]}
    peer = {"namespaceSelector": {"matchLabels": place}, "podSelector": {"matchLabels": {_GATEWAY_NAME: gateway.name}}}
    return [{"from": [peer], "ports": _ports(["rest", "grpc"] if gateway.grpc_hostname else ["rest"])}]


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
