"""The command and the library on a cluster, as the tutorial and the notebook have it."""

import contextlib
import io
import json
import os
import re
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from rich.console import Console

from support import kubectl
from support.kube_api import Api
from support.operator_process import OperatorProcess
from support.pages import ROOT, commands_in
from trainyard import Client, Failed
from trainyard.cli.app import main
from trainyard.cli.context import Context

pytestmark = pytest.mark.usefixtures("cluster_crds", "trainyard_images", "pods_in_reach")

TUTORIAL = ROOT / "docs" / "tutorials" / "three-commands.md"
NOTEBOOK = ROOT / "examples" / "notebook" / "first-model.ipynb"
THREE_COMMANDS_SECONDS = 180
COMMAND_SECONDS = 300
LARGE_ROWS = 60_000


@pytest.fixture
def own_kubeconfig(kubeconfig: Path, namespace: str, tmp_path: Path) -> Path:
    """The cluster's kubeconfig, in the test's namespace."""
    document = yaml.safe_load(kubeconfig.read_text())
    for context in document["contexts"]:
        context["context"]["namespace"] = namespace
    file = tmp_path / "kubeconfig"
    file.write_text(yaml.safe_dump(document))
    return file


@pytest.fixture
def shell(own_kubeconfig: Path, tmp_path: Path) -> dict[str, str]:
    """The environment of a terminal that has `trainyard`, and `kubectl` with its plugin, on its PATH."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in ("trainyard", "kubectl-trainyard"):
        program = folder / name
        program.write_text(f"#!{sys.executable}\nimport sys\nfrom trainyard.cli import main\nsys.exit(main())\n")
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
    environment = kubectl.environment(own_kubeconfig, tmp_path)
    return environment | {"PATH": f"{folder}{os.pathsep}{environment['PATH']}", "COLUMNS": "80"}


@pytest.fixture
def run(own_kubeconfig: Path) -> Callable[..., tuple[int, str, str]]:
    """Runs a command in this process; returns its exit code, what it printed, and what it complained of."""

    def command(*arguments: str) -> tuple[int, str, str]:
        shared = Context()
        out, err = io.StringIO(), io.StringIO()
        shared.out = Console(file=out, width=200, color_system=None, markup=False)
        shared.err = Console(file=err, width=200, color_system=None, markup=False)
        code = main(["--kubeconfig", str(own_kubeconfig), *arguments], shared)
        return code, out.getvalue(), err.getvalue()

    return command


@pytest.fixture
def client(own_kubeconfig: Path) -> Client:
    return Client(kubeconfig=own_kubeconfig)


def a_table(folder: Path, rows: int, name: str = "line.csv") -> Path:
    path = folder / name
    lines = [f"{n % 97},{n * 7 % 13},{'ab'[n % 2]}" for n in range(rows)]
    path.write_text("x,y,kind\n" + "\n".join(lines) + "\n")
    return path


def test_the_tutorial_goes_from_a_file_to_a_prediction_in_three_commands(
    shell: dict[str, str], operator: OperatorProcess, default_class: str
) -> None:
    commands = commands_in(TUTORIAL, "trainyard")
    assert [command.split()[1] for command in commands[:3]] == ["train", "deploy", "predict"]
    printed: dict[str, str] = {}
    began = time.monotonic()
    seconds = 0.0

    for command in commands:
        told = subprocess.run(
            ["bash", "-c", command], cwd=ROOT, env=shell, capture_output=True, text=True, timeout=COMMAND_SECONDS
        )
        assert told.returncode == 0, f"{command}\n{told.stdout}\n{told.stderr}"
        printed.setdefault(command.split()[1], told.stdout)
        if command == commands[2]:
            seconds = time.monotonic() - began

    print(f"from a file to a prediction in {seconds:.1f} s")
    assert seconds < THREE_COMMANDS_SECONDS
    assert "better than always saying benign" in " ".join(printed["train"].split())
    assert "version 1 answers on 1/1 pods" in printed["deploy"]
    assert re.search(r"-> +malignant", printed["predict"])
    assert re.search(r"breast-cancer-1 +Succeeded", printed["list"])
    for command in ("list", "show", "curve"):
        assert max(map(len, printed[command].splitlines())) <= 80
    assert (
        subprocess.run(
            ["kubectl", "trainyard", "list", "-o", "name"],
            env=shell,
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        ).stdout
        == ""
    )


def test_a_large_file_goes_to_the_claim_and_the_model_comes_back(
    client: Client,
    run: Callable[..., tuple[int, str, str]],
    operator: OperatorProcess,
    default_class: str,
    tmp_path: Path,
    api: Api,
) -> None:
    path = a_table(tmp_path, LARGE_ROWS * 3)
    assert path.stat().st_size > 900_000

    code, out, err = run("train", str(path), "--label", "kind", "--set", "fit.epochs=1", "--set", "fit.batchSize=4096")
    assert code == 0, err
    assert "MB to claim models" in out

    code, card, err = run("card", "line-1")
    assert code == 0, err
    assert card.startswith("# line")
    code, out, err = run("download", "line-1", "--output-folder", str(tmp_path / "copy"))
    assert code == 0, err
    manifest = json.loads((tmp_path / "copy" / "trainyard.json").read_text())
    assert manifest["data"]["rows"] == LARGE_ROWS * 3
    job = client.job("line-1")
    assert job.read_history().series("loss") != []
    assert "history.csv" in [file.name for file in job.model.logs(job.uid, tmp_path / "logs")]
    left = [each["metadata"]["name"] for each in api.list("batch/v1", "Job")]
    assert [name for name in left if "courier" in name] == []


def test_a_training_that_fails_raises_the_message_and_the_command_ends_with_code_3(
    client: Client,
    run: Callable[..., tuple[int, str, str]],
    operator: OperatorProcess,
    default_class: str,
    tmp_path: Path,
) -> None:
    path = a_table(tmp_path, 50)

    code, _, err = run("train", str(path), "--label", "kind", "--set", "data.label=knid", "--no-follow")
    assert code == 0, err
    job = client.job("line-1")

    with pytest.raises(Failed, match=r"training line-1 failed: BadInput: .*did you mean 'kind'"):
        job.wait(timeout=COMMAND_SECONDS)
    code, _, err = run("watch", "line-1")
    assert code == 3
    assert err.startswith("trainyard: training line-1 failed: BadInput:")
    assert "BadInput" in run("show", "line-1")[1]
    assert "knid" in run("logs", "line-1")[1]


def test_what_the_api_server_refuses_is_one_line(
    run: Callable[..., tuple[int, str, str]], default_class: str, tmp_path: Path
) -> None:
    path = a_table(tmp_path, 50)

    code, _, err = run("train", str(path), "--label", "kind", "--set", "fit.loss=huber", "--no-follow")

    assert code == 2
    assert "a loss has to fit the task" in err
    assert "<nil>" not in err
    assert err.count("\n") == 1


def test_a_training_is_suspended_and_goes_on(
    client: Client, operator: OperatorProcess, default_class: str, tmp_path: Path
) -> None:
    job = client.train(a_table(tmp_path, 400), label="kind", fit={"epochs": 100_000, "batch_size": 1, "stop_when": {}})
    _until(job.changes(timeout=COMMAND_SECONDS), lambda seen: seen.phase == "Running")

    job.suspend()
    _until(job.changes(timeout=COMMAND_SECONDS), lambda seen: seen.phase == "Suspended")
    job.resume()
    _until(job.changes(timeout=COMMAND_SECONDS), lambda seen: seen.phase == "Running")

    job.delete()


def test_the_doctor_knows_the_cluster(run: Callable[..., tuple[int, str, str]]) -> None:
    _, out, _ = run("doctor", "-o", "json")

    texts = [finding["text"] for finding in json.loads(out)]
    assert any(text.startswith("Kubernetes 1.") for text in texts)
    assert "CRD trainingjobs.trainyard.dev has every field of this client" in texts
    assert any(text.startswith("you may train, read logs and predict") for text in texts)


def test_the_notebook_runs_from_its_first_cell_to_its_last(
    own_kubeconfig: Path, operator: OperatorProcess, default_class: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBECONFIG", str(own_kubeconfig))
    monkeypatch.chdir(NOTEBOOK.parent)
    cells = json.loads(NOTEBOOK.read_text())["cells"]
    code = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    assert code
    names: dict[str, Any] = {}

    with contextlib.redirect_stdout(io.StringIO()):
        for cell in code:
            exec(compile(cell, str(NOTEBOOK), "exec"), names)

    assert names["service"].is_ready
    assert {row["label"] for row in names["answers"]} <= {"benign", "malignant"}


def _until(changes: Iterator[Any], holds: Callable[[Any], bool]) -> None:
    assert any(holds(seen) for seen in changes)
