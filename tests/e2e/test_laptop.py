"""`--local`: from a file to a prediction on this machine, without any cluster."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from support.pages import ROOT

SECONDS = 300
DATA = ROOT / "examples" / "quickstart" / "breast-cancer.csv"


def trainyard(*arguments: str, folder: Path) -> "subprocess.CompletedProcess[str]":
    environment = {name: value for name, value in os.environ.items() if name != "KUBECONFIG"}
    environment |= {"TRAINYARD_TRAINER_PYTHON": str(ROOT / ".venv" / "trainer" / "bin" / "python"), "COLUMNS": "80"}
    return subprocess.run(
        [sys.executable, "-m", "trainyard", *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=SECONDS,
    )


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which a model was trained."""
    folder = tmp_path_factory.mktemp("laptop")
    told = trainyard("train", str(DATA), "--label", "diagnosis", "--local", "--set", "fit.epochs=5", folder=folder)
    assert told.returncode == 0, told.stderr
    assert "breast-cancer-1, family mlp, up to 5 epochs, on this machine" in told.stdout
    assert "version 1 in " in told.stdout
    assert "(always saying benign: 0.627)" in " ".join(told.stdout.split())
    return folder


def test_a_model_trained_here_answers_here(trained: Path) -> None:
    told = trainyard("predict", "--local", "trainyard-out/breast-cancer", str(DATA), "-o", "json", folder=trained)

    assert told.returncode == 0, told.stderr
    answers = json.loads(told.stdout)["predictions"]
    assert len(answers) == 569
    truth = [line.rsplit(",", 1)[1] for line in DATA.read_text().splitlines()[1:]]
    right = sum(answer["label"] == label for answer, label in zip(answers, truth, strict=True))
    assert right / len(truth) > 0.9
    assert "not asked for by the model and left out: diagnosis" in told.stderr


def test_what_the_trainer_says_is_wrong_is_the_message(tmp_path: Path) -> None:
    told = trainyard(
        "train", str(DATA), "-l", "diagnosis", "--local", "--set", "data.features=[radius_meen]", folder=tmp_path
    )

    assert told.returncode == 3
    assert "did you mean 'radius_mean'" in told.stderr
    assert told.stderr.count("\n") == 1


def test_a_folder_without_a_model_says_what_is_expected(tmp_path: Path) -> None:
    told = trainyard("predict", "--local", str(tmp_path), "{}", folder=tmp_path)

    assert told.returncode == 2
    assert "holds no model version: expected a folder with saved_model.pb" in told.stderr
