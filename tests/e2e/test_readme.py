"""The README's commands for a real cluster, one after another, on a devcluster."""

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from support import kubectl as program
from support.devcluster import devcluster

ROOT = Path(__file__).parents[2]
SECONDS = 300


def commands() -> list[str]:
    """Return the lines of the README's shell blocks that use kubectl."""
    blocks = re.findall(r"```sh\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    return [line for block in blocks for line in block.splitlines() if line.startswith("kubectl")]


@pytest.fixture(scope="module")
def printed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """What each command printed."""
    folder = tmp_path_factory.mktemp("readme")
    with devcluster(folder) as kubeconfig:
        environment = program.environment(kubeconfig, folder)
        output = {}
        for command in commands():
            told = subprocess.run(
                ["bash", "-c", command], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=SECONDS
            )
            assert told.returncode == 0, f"{command}\n{told.stdout}\n{told.stderr}"
            output[command.split()[1]] = told.stdout
        yield output


def test_get_shows_how_the_training_and_the_service_are(printed: dict[str, str]) -> None:
    table = printed["get"]

    assert re.search(r"trainingjob\S*/breast-cancer +Succeeded +100", table)
    assert re.search(r"modelservice\S*/breast-cancer +True +1 +1/1 +Ready ", table)
    assert "http://breast-cancer.default.svc:8501/v1/models/breast-cancer" in table


def test_a_row_sent_through_the_api_server_is_predicted(printed: dict[str, str]) -> None:
    (prediction,) = json.loads(printed["create"])["predictions"]

    assert prediction["label"] == "malignant"
    assert prediction["probability"] > 0.5


def test_describe_tells_the_story(printed: dict[str, str]) -> None:
    told = printed["describe"]

    assert "TrainingStarted" in told
    assert "Succeeded" in told
