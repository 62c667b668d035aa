"""What a node says about itself."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from trainyard_devcluster.node.registration import labels, node_status
from trainyard_devcluster.node.settings import Settings, parse

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


@pytest.mark.parametrize("words", ["--cpu lots", "--resource x", "--label =b"])
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
