"""What a container learns about its own pod."""

import pytest

from trainyard_devcluster.node.env import ConfigError
from trainyard_devcluster.node.fields import PodFacts, field_value, resource_value

FACTS = PodFacts("127.64.0.2", "127.0.0.1", {"cpu": "4", "memory": "8Gi"})
POD = {
    "metadata": {
        "name": "p",
        "namespace": "ns",
        "uid": "u",
        "labels": {"app": "a", "x.io/y": 'q"\n'},
        "annotations": {"note": "n"},
    },
    "spec": {
        "nodeName": "node",
        "serviceAccountName": "sa",
        "containers": [
            {"name": "main", "resources": {"limits": {"cpu": "1500m"}, "requests": {"memory": "1Gi"}}},
            {"name": "side"},
        ],
    },
}


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("metadata.name", "p"),
        ("metadata.namespace", "ns"),
        ("metadata.uid", "u"),
        ("metadata.labels['app']", "a"),
        ("metadata.labels['missing']", ""),
        ("metadata.annotations['note']", "n"),
        ("metadata.labels", 'app="a"\nx.io/y="q\\"\\n"'),
        ("spec.nodeName", "node"),
        ("spec.serviceAccountName", "sa"),
        ("status.podIP", "127.64.0.2"),
        ("status.hostIP", "127.0.0.1"),
    ],
)
def test_fields_have_values(path: str, value: str) -> None:
    assert field_value(POD, path, FACTS) == value


def test_an_unknown_field_is_refused() -> None:
    with pytest.raises(ConfigError, match="unsupported fieldPath"):
        field_value(POD, "status.mood", FACTS)


@pytest.mark.parametrize(
    ("container", "reference", "value"),
    [
        ("main", {"resource": "limits.cpu"}, "2"),
        ("main", {"resource": "limits.cpu", "divisor": "1m"}, "1500"),
        ("main", {"resource": "requests.cpu", "divisor": "1m"}, "1500"),
        ("main", {"resource": "requests.memory", "divisor": "1Mi"}, "1024"),
        ("main", {"resource": "limits.memory", "divisor": "1Gi"}, "8"),
        ("side", {"resource": "requests.cpu"}, "0"),
        ("side", {"resource": "limits.cpu", "containerName": "main", "divisor": "0"}, "2"),
    ],
)
def test_resources_are_counted_in_units_of_the_divisor(container: str, reference: dict[str, str], value: str) -> None:
    assert resource_value(POD, container, reference, FACTS) == value
