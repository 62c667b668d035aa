"""A container's variables."""

import base64
from typing import Any

import pytest

from trainyard_devcluster.node.env import ConfigError, environment, expand, service_links

OBJECTS: dict[tuple[str, str], dict[str, Any]] = {
    ("ConfigMap", "settings"): {
        "kind": "ConfigMap",
        "metadata": {"namespace": "ns"},
        "data": {"LEVEL": "debug", "not a name": "x", "1st": "y"},
    },
    ("Secret", "keys"): {
        "kind": "Secret",
        "metadata": {"namespace": "ns"},
        "data": {"TOKEN": base64.b64encode(b"s3cret").decode()},
    },
}


def variables(container: dict[str, Any], **base: str) -> dict[str, str]:
    return environment(
        container, base, lookup=lambda kind, name: OBJECTS.get((kind, name)), field=lambda source: str(source)
    )


@pytest.mark.parametrize(
    ("text", "expanded"),
    [
        ("$(A)", "1"),
        ("x$(A)y$(B)", "x1y2"),
        ("$$(A)", "$(A)"),
        ("$$$(A)", "$1"),
        ("$(UNKNOWN)", "$(UNKNOWN)"),
        ("$A ${A} $(A", "$A ${A} $(A"),
        ("$(D)", "$(A)"),
        ("cost: 5$", "cost: 5$"),
    ],
)
def test_references_are_expanded_once_as_kubernetes_does(text: str, expanded: str) -> None:
    assert expand(text, {"A": "1", "B": "2", "D": "$(A)"}) == expanded


def test_a_value_may_use_the_variables_before_it_but_not_those_after() -> None:
    container = {
        "env": [
            {"name": "A", "value": "$(B)-$(BASE)"},
            {"name": "B", "value": "b"},
            {"name": "C", "value": "$(B)/$(A)"},
        ]
    }
    assert variables(container, BASE="0") == {"BASE": "0", "A": "$(B)-0", "B": "b", "C": "b/$(B)-0"}


def test_env_from_comes_first_with_its_prefix_and_without_what_cannot_be_a_name() -> None:
    container = {
        "envFrom": [{"prefix": "S_", "configMapRef": {"name": "settings"}}, {"secretRef": {"name": "keys"}}],
        "env": [{"name": "TOKEN", "value": "mine"}, {"name": "COPY", "value": "$(S_LEVEL)"}],
    }
    assert variables(container) == {"S_LEVEL": "debug", "S_1st": "y", "TOKEN": "mine", "COPY": "debug"}


def test_values_come_from_keys_and_fields() -> None:
    container = {
        "env": [
            {"name": "L", "valueFrom": {"configMapKeyRef": {"name": "settings", "key": "LEVEL"}}},
            {"name": "T", "valueFrom": {"secretKeyRef": {"name": "keys", "key": "TOKEN"}}},
            {"name": "F", "valueFrom": {"fieldRef": {"fieldPath": "x"}}},
            {"name": "O", "valueFrom": {"secretKeyRef": {"name": "no", "key": "k", "optional": True}}},
        ]
    }
    assert variables(container) == {"L": "debug", "T": "s3cret", "F": "{'fieldRef': {'fieldPath': 'x'}}"}


@pytest.mark.parametrize(
    ("container", "message"),
    [
        ({"envFrom": [{"configMapRef": {"name": "no"}}]}, 'configmap "no" not found'),
        (
            {"env": [{"name": "A", "valueFrom": {"secretKeyRef": {"name": "no", "key": "k"}}}]},
            'secret "no" not found',
        ),
        (
            {"env": [{"name": "A", "valueFrom": {"secretKeyRef": {"name": "keys", "key": "no"}}}]},
            "couldn't find key no in Secret ns/keys",
        ),
    ],
)
def test_what_is_missing_is_named_as_the_kubelet_names_it(container: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        variables(container)
    assert str(caught.value) == message


def test_services_are_announced_in_the_style_of_links() -> None:
    service = {
        "metadata": {"name": "my-db"},
        "spec": {"clusterIP": "10.0.0.5", "ports": [{"port": 5432, "name": "sql-a"}, {"port": 80, "protocol": "TCP"}]},
    }
    headless = {"metadata": {"name": "h"}, "spec": {"clusterIP": "None", "ports": [{"port": 1}]}}
    links = service_links([service, headless])
    assert links["MY_DB_SERVICE_HOST"] == "10.0.0.5"
    assert links["MY_DB_SERVICE_PORT"] == "5432"
    assert links["MY_DB_SERVICE_PORT_SQL_A"] == "5432"
    assert links["MY_DB_PORT"] == "tcp://10.0.0.5:5432"
    assert links["MY_DB_PORT_80_TCP"] == "tcp://10.0.0.5:80"
    assert links["MY_DB_PORT_80_TCP_ADDR"] == "10.0.0.5"
    assert not any(name.startswith("H_") for name in links)
