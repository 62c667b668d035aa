"""What a node says about itself."""

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from support.eventually import eventually
from support.kube_stub import KubeStub
from trainyard_devcluster.node.registration import FALLBACK_CIDR, Registration, labels, node_status
from trainyard_devcluster.node.settings import Settings, parse
from trainyard_devcluster.resources import NODES, Object

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)


def test_the_command_line_becomes_a_node() -> None:
    words = "--kubeconfig k --name n --cpu 3 --memory 5Gi --gpus 2 --resource example.com/x=4 --label a=b"
    settings = parse(words.split())
    assert settings.capacity.pop("ephemeral-storage").endswith("Ki")
    assert settings.capacity == {
        "cpu": "3",
        "memory": "5Gi",
        "pods": "110",
        "nvidia.com/gpu": "2",
        "example.com/x": "4",
    }
    assert labels(settings)["kubernetes.io/hostname"] == "n"
    assert labels(settings)["a"] == "b"
    assert settings.pod_cidr is None
    assert parse([*words.split(), "--pod-cidr", "10.244.1.0/24"]).pod_cidr == "10.244.1.0/24"


@pytest.mark.parametrize(
    "words", ["--cpu lots", "--resource x", "--label =b", "--pod-cidr 10.0.0.1/8", "--pod-cidr 10.0.0.0/31"]
)
def test_nonsense_is_refused(words: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse(["--kubeconfig", "k", *words.split()])
    assert "expected" in capsys.readouterr().err


def test_the_status_says_ready_and_where_the_logs_are() -> None:
    settings = Settings(Path("k"), "n", Path("d"), capacity={"cpu": "1"})
    status = node_status(settings, 10250, {}, NOW)
    assert status["daemonEndpoints"] == {"kubeletEndpoint": {"Port": 10250}}
    assert {"type": "InternalIP", "address": "127.0.0.1"} in status["addresses"]
    assert status["allocatable"] == {"cpu": "1"}
    ready = next(each for each in status["conditions"] if each["type"] == "Ready")
    assert ready["status"] == "True"
    later = node_status(settings, 10250, status, NOW + timedelta(minutes=1))
    again = next(each for each in later["conditions"] if each["type"] == "Ready")
    assert again["lastTransitionTime"] == ready["lastTransitionTime"]
    assert again["lastHeartbeatTime"] != ready["lastHeartbeatTime"]


def a_node(**spec: object) -> Object:
    return {"metadata": {"name": "n"}, "spec": spec}


async def range_of(stub: KubeStub, wanted: str | None = None, patience: float = 10) -> str:
    """The pod addresses of a node that joins."""
    settings = Settings(Path("k"), "n", Path("d"), pod_cidr=wanted, pod_cidr_patience=patience)
    async with stub.serve() as client:
        registration = Registration(client, settings)
        await registration.register()
        return await registration.pod_cidr()


async def test_a_node_waits_for_the_pod_addresses_that_the_cluster_gives_it() -> None:
    stub = KubeStub()
    joining = asyncio.create_task(range_of(stub))
    await eventually(lambda: stub.get(NODES, "n"))
    stub.put(NODES, a_node(podCIDR="10.244.3.0/24"))
    assert await joining == "10.244.3.0/24"


async def test_a_node_with_pod_addresses_of_its_own_says_so_and_does_not_wait() -> None:
    stub = KubeStub()
    assert await range_of(stub, "10.244.7.0/24", patience=0) == "10.244.7.0/24"
    assert stub.objects["nodes", "", "n"]["spec"] == {"podCIDR": "10.244.7.0/24", "podCIDRs": ["10.244.7.0/24"]}


async def test_a_node_that_is_taken_over_may_still_be_given_pod_addresses() -> None:
    stub = KubeStub()
    stub.put(NODES, a_node())
    assert await range_of(stub, "10.244.7.0/24", patience=0) == "10.244.7.0/24"


async def test_a_node_keeps_the_pod_addresses_that_it_has(caplog: pytest.LogCaptureFixture) -> None:
    stub = KubeStub()
    stub.put(NODES, a_node(podCIDR="10.244.3.0/24"))
    assert await range_of(stub, "10.244.7.0/24", patience=0) == "10.244.3.0/24"
    assert "node n has the podCIDR 10.244.3.0/24 already" in caplog.text


async def test_a_cluster_that_gives_no_pod_addresses_is_named_with_the_remedy(
    caplog: pytest.LogCaptureFixture,
) -> None:
    assert await range_of(KubeStub(), patience=0.01) == FALLBACK_CIDR
    assert "gave node n no podCIDR within 0.01 s" in caplog.text
    assert "start the node agent with --pod-cidr" in caplog.text
