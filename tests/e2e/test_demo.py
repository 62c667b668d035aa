"""`make demo KEEP=1` and `make demo-stop`, as a person runs them: train, serve, predict, retrain under traffic."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from support import kubectl
from support.processes import running
from trainyard_devcluster.strays import NODE_MARK, marked

ROOT = Path(__file__).parents[2]
SECONDS = 400


def demo(folder: Path, *options: str) -> str:
    """Run the demo in a folder; return what it printed."""
    command = [sys.executable, "-m", "demo", "--dir", str(folder / "cluster"), *options]
    # Where Python is told to look for the packages, the demo looks there too.
    path = os.pathsep.join(filter(None, [str(ROOT / "examples"), os.environ.get("PYTHONPATH")]))
    told = subprocess.run(
        command, cwd=ROOT, env=os.environ | {"PYTHONPATH": path}, capture_output=True, text=True, timeout=SECONDS
    )
    assert told.returncode == 0, f"{told.stdout}\n{told.stderr}"
    return told.stdout


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("demo")
    yield folder
    demo(folder, "--stop")


@pytest.fixture(scope="module")
def printed(folder: Path) -> str:
    return demo(folder, "--keep", "--summary", str(folder / "summary"))


@pytest.fixture(scope="module")
def summary(folder: Path, printed: str) -> dict[str, Any]:
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


def test_what_was_kept_can_be_looked_at_by_what_the_demo_printed(folder: Path, printed: str) -> None:
    while_it_runs, afterwards = re.findall(r"export KUBECONFIG=([^;\s]+)", printed)
    assert while_it_runs == afterwards
    told = kubectl.kubectl("get", "tj,ms", env=kubectl.environment(Path(afterwards), folder))

    assert re.search(r"trainingjob\S*/breast-cancer +Succeeded +100", told)
    assert re.search(r"trainingjob\S*/breast-cancer-2 +Succeeded +100", told)
    assert re.search(r"modelservice\S*/breast-cancer +True +2 +1/1 +Ready ", told)


def test_the_stop_leaves_nothing_running(folder: Path, printed: str) -> None:
    cluster = (folder / "cluster").resolve()
    pods = set(marked(NODE_MARK, str(cluster)))
    parts = set(_told_of(cluster)) - pods
    assert len(parts) == 5  # the launcher, the API server, the controllers, the scheduler and the node
    assert len(pods) >= 2  # the operator and a server

    said = demo(folder, "--stop")

    assert f"ended the devcluster with all its pods; removed {folder / 'cluster'}: " in said
    assert not (folder / "cluster").exists()
    assert "nothing to stop" in demo(folder, "--stop")
    assert not any(running(process) for process in parts | pods)
    assert (_told_of(cluster), list(marked(NODE_MARK, str(cluster)))) == ([], [])


def _told_of(cluster: Path) -> list[int]:
    """The processes that were told the cluster's folder."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if str(cluster).encode() in (process / "cmdline").read_bytes():
                found.append(int(process.name))
    return found
