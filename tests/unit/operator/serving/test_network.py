"""Who reaches the servers, where somebody asks for a NetworkPolicy."""

from typing import Any

import kubernetes_validate
import pytest

from support.serving import a_model_service
from trainyard_api.traffic import Traffic
from trainyard_operator.cluster.client import without_nulls
from trainyard_operator.cluster.port import Manifest
from trainyard_operator.serving.network import OPERATOR, network_policy

OWNER = a_model_service().build()
SHOP = {"app": "shop"}
GRPC, REST = {"port": 8500, "protocol": "TCP"}, {"port": 8501, "protocol": "TCP"}


def a_policy(*peers: Manifest, operator_namespace: str | None = "trainyard-system") -> Manifest:
    traffic = Traffic.model_validate({"networkPolicy": True, "allowFrom": list(peers)})
    made: Manifest = without_nulls(network_policy(OWNER, traffic, operator_namespace=operator_namespace))
    kubernetes_validate.validate(made, "1.29", strict=True)
    return made


def test_the_operator_may_ask_in_any_case() -> None:
    spec = a_policy()["spec"]

    assert spec["podSelector"]["matchLabels"] == {"trainyard.dev/model-service": "churn"}
    assert spec["policyTypes"] == ["Ingress"]
    system = {"matchLabels": {"kubernetes.io/metadata.name": "trainyard-system"}}
    peer = {"namespaceSelector": system, "podSelector": {"matchLabels": OPERATOR}}
    assert spec["ingress"][0] == {"from": [peer], "ports": [REST, GRPC]}


@pytest.mark.parametrize(
    ("fields", "namespace", "ports"),
    [
        pytest.param({}, "team", [REST], id="of its own namespace, by REST"),
        pytest.param({"namespace": "infra", "grpcHostname": "g.example.com"}, "infra", [REST, GRPC], id="elsewhere"),
    ],
)
def test_the_pods_of_the_gateway_get_in(fields: Manifest, namespace: str, ports: list[Manifest]) -> None:
    gateway = {"name": "edge", "hostname": "models.example.com"} | fields
    traffic = Traffic.model_validate({"networkPolicy": True, "gateway": gateway, "allowFrom": [{"podLabels": SHOP}]})

    rule = network_policy(OWNER, traffic, operator_namespace=None)["spec"]["ingress"][1]

    place = {"matchLabels": {"kubernetes.io/metadata.name": namespace}}
    pods = {"matchLabels": {"gateway.networking.k8s.io/gateway-name": "edge"}}
    assert rule == {"from": [{"namespaceSelector": place, "podSelector": pods}], "ports": ports}


def test_an_operator_that_runs_outside_is_looked_for_everywhere() -> None:
    assert a_policy(operator_namespace=None)["spec"]["ingress"][0]["from"][0]["namespaceSelector"] == {}


@pytest.mark.parametrize(
    ("peers", "rules"),
    [
        pytest.param([], [{"from": [{"podSelector": {}}], "ports": [REST, GRPC]}], id="all of the own namespace"),
        pytest.param(
            [{"podLabels": {"app": "shop"}}, {"namespaceLabels": {"team": "a"}, "ports": ["rest"]}],
            [
                {"from": [{"podSelector": {"matchLabels": {"app": "shop"}}}], "ports": [REST, GRPC]},
                {"from": [{"namespaceSelector": {"matchLabels": {"team": "a"}}}], "ports": [REST]},
            ],
            id="chosen ones",
        ),
    ],
)
def test_clients_are(peers: list[Manifest], rules: list[dict[str, Any]]) -> None:
    assert a_policy(*peers)["spec"]["ingress"][1:] == rules
