"""The tutorial's commands, one after another, on a devcluster, as its reader types them."""

import json
from collections.abc import Iterator

import pytest
import yaml

from support import kubectl
from support.devcluster import devcluster
from support.pages import ROOT, blocks, commands_in, run

PAGE = ROOT / "docs" / "tutorials" / "first-model.md"


@pytest.fixture(scope="module")
def printed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """What each command printed."""
    folder = tmp_path_factory.mktemp("tutorial")
    with devcluster(folder) as kubeconfig:
        environment = kubectl.environment(kubeconfig, folder)
        yield {command: "".join(run([command], environment).values()) for command in commands_in(PAGE, "kubectl")}


def output(printed: dict[str, str], words: str) -> str:
    """What the only command with these words printed."""
    (found,) = [text for command, text in printed.items() if words in command]
    return found


def test_the_model_is_as_good_as_the_tutorial_says(printed: dict[str, str]) -> None:
    assert float(output(printed, "metrics.val_accuracy")) > 0.95


def test_the_row_is_predicted(printed: dict[str, str]) -> None:
    (prediction,) = json.loads(output(printed, "create --raw"))["predictions"]

    assert prediction["label"] == "malignant"


def test_the_service_moves_to_the_second_version(printed: dict[str, str]) -> None:
    assert "condition met" in output(printed, "modelVersion}'=2")


def test_the_mistake_is_told_as_the_tutorial_shows_it(printed: dict[str, str]) -> None:
    shown = blocks(PAGE, "text")[-1].strip().removesuffix("…").strip()

    assert output(printed, "failure.message").startswith(shown)


def test_nothing_of_the_example_is_left(printed: dict[str, str]) -> None:
    deleted = output(printed, "delete -k examples/quickstart")

    assert 'persistentvolumeclaim "models" deleted' in deleted
    assert 'modelservice.trainyard.dev "breast-cancer" deleted' in deleted


def test_the_resources_shown_are_those_of_the_quickstart() -> None:
    files = [ROOT / "examples" / "quickstart" / name for name in ("trainingjob.yaml", "modelservice.yaml")]

    assert [yaml.safe_load(block) for block in blocks(PAGE, "yaml")] == [
        yaml.safe_load(file.read_text()) for file in files
    ]
