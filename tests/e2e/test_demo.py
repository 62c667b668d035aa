"""`make demo`, as a person runs it: train, serve, predict, retrain under traffic."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
SECONDS = 400


@pytest.fixture(scope="module")
def summary(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("demo")
    command = [sys.executable, "-m", "demo", "--dir", str(folder / "cluster"), "--summary", str(folder / "summary")]
    environment = os.environ | {"PYTHONPATH": str(ROOT / "examples")}
    told = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=SECONDS)
    assert told.returncode == 0, f"{told.stdout}\n{told.stderr}"
    found: dict[str, Any] = json.loads((folder / "summary").read_text())
    return found


def test_the_model_is_good(summary: dict[str, Any]) -> None:
    assert summary["valAccuracy"] >= 0.95


def test_rest_and_grpc_agree_with_each_other_and_with_the_label(summary: dict[str, Any]) -> None:
    prediction = summary["prediction"]

    assert prediction["rest"]["label"] == prediction["grpc"]["label"] == prediction["label"] == "malignant"
    assert prediction["rest"]["probability"] == pytest.approx(prediction["grpc"]["probability"], abs=1e-5)


def test_no_request_fails_while_version_2_takes_over(summary: dict[str, Any]) -> None:
    traffic = summary["traffic"]

    assert traffic["failures"] == []
    assert traffic["versions"].keys() == {"REST", "gRPC"}
    for answers in traffic["versions"].values():
        assert answers.keys() == {"1", "2"}
        assert min(answers.values()) > 100
