"""The README's commands for a real cluster, one after another, on a devcluster."""

import json
import re
import socket
from collections.abc import Iterator

import pytest

from support import kubectl
from support.devcluster import devcluster
from support.pages import ROOT, commands_in, run


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The environment of commands that reach a devcluster of these tests."""
    folder = tmp_path_factory.mktemp("readme")
    with devcluster(folder) as kubeconfig:
        yield kubectl.environment(kubeconfig, folder)


@pytest.fixture(scope="module")
def printed(cluster: dict[str, str]) -> dict[str, str]:
    """What each command printed."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
    commands = []
    for command in commands_in(ROOT / "README.md", "kubectl", "curl"):
        commands.append(command.replace("8001", port))
        if command.startswith("curl"):
            address = commands[-1].split()[-1]
            commands.append(f'curl --data \'{{"instances": [{{"radius_mean": "big"}}]}}\' {address}')
    return run(commands, cluster)


def test_get_shows_how_the_training_and_the_service_are(printed: dict[str, str]) -> None:
    table = printed["get"]

    assert re.search(r"trainingjob\S*/breast-cancer +Succeeded +100", table)
    assert re.search(r"modelservice\S*/breast-cancer +True +1 +1/1 +Ready ", table)
    assert "http://breast-cancer.default.svc:8501/v1/models/breast-cancer" in table


def test_a_row_sent_through_the_api_server_is_predicted(printed: dict[str, str]) -> None:
    (prediction,) = json.loads(printed["-d"])["predictions"]

    assert prediction["label"] == "malignant"
    assert prediction["probability"] > 0.5


def test_a_wrong_row_is_answered_with_the_reason(printed: dict[str, str]) -> None:
    assert "radius_mean" in json.loads(printed["--data"])["error"]


def test_removing_the_operator_leaves_the_kinds_of_the_users(printed: dict[str, str], cluster: dict[str, str]) -> None:
    assert 'deployment.apps "trainyard-operator" deleted' in printed["delete"]
    assert kubectl.kubectl("get", "trainingjobs", "--all-namespaces", env=cluster) == ""


def test_describe_tells_the_story(printed: dict[str, str]) -> None:
    told = printed["describe"]

    assert "TrainingStarted" in told
    assert "Succeeded" in told
