"""The examples do what they say, with the very files a person would apply."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml

from support.documentation import DOCS, spec_in
from support.pages import blocks
from support.trainer_runs import run
from trainyard_api import names
from trainyard_api.program import Task
from trainyard_trainer.reporting.progress_server import TrainingProgress
from trainyard_trainer.reporting.result import ModelVersion, termination_message
from trainyard_trainer.spec import parse_job
from trainyard_trainer.tasks.metrics import metric_names

EXAMPLES = Path(__file__).parents[3] / "examples"


def train(spec: Path, data: Path, folder: Path) -> dict[str, Any]:
    """Run the trainer as a person on a laptop would; returns its report."""
    env = os.environ | {names.DATA_DIR_ENV: str(data), names.TERMINATION_MESSAGE_ENV: str(folder / "report")}
    done = subprocess.run(
        [sys.executable, "-m", "trainyard_trainer", str(spec)], cwd=folder, env=env, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
    return dict(json.loads((folder / "report").read_text()))


@pytest.mark.thorough
def test_dense_100_trains_on_generated_rows(tmp_path: Path) -> None:
    example, data = EXAMPLES / "dense-100", tmp_path / "dense-100.parquet"
    subprocess.run([sys.executable, str(example / "generate.py"), "--rows", "4000", str(data)], check=True)

    report = train(example / "trainingjob.yaml", data, tmp_path)

    assert report["steps"] == 10 * 113
    assert report["metrics"]["val_accuracy"] > 0.7
    manifest = json.loads((tmp_path / "trainyard-out" / "dense-100" / "1" / names.MANIFEST_FILE).read_text())
    assert len(manifest["signatures"]["serving_default"]["inputs"]) == 100


def test_dense_100_is_the_network_it_says() -> None:
    spec = yaml.safe_load((EXAMPLES / "dense-100" / "trainingjob.yaml").read_text())["spec"]

    assert spec["program"]["keras"] == {
        "family": "mlp",
        "task": "binaryClassification",
        "hidden": [128, 64],
        "activation": "relu",
    }
    assert (spec["fit"]["epochs"], spec["fit"]["batchSize"]) == (10, 32)
    assert spec["fit"]["optimizer"]["name"] == "adam"


@pytest.mark.parametrize(
    ("page", "name", "reason"),
    [("how-to/stopping.md", "patient", "EarlyStopping"), ("how-to/auto.md", "measured", "MaxEpochs")],
)
def test_an_example_of_a_guide_trains_as_it_says(page: str, name: str, reason: str, tmp_path: Path) -> None:
    spec = spec_in(page, name)

    result = run(spec, tmp_path, {names.DATA_DIR_ENV: str(EXAMPLES / "quickstart" / "breast-cancer.csv")})

    assert (result.code, result.report["reason"]) == (0, reason), result.stderr
    assert result.report["metrics"]["val_accuracy"] > 0.9
    training = json.loads((tmp_path / "store" / name / "1" / names.MANIFEST_FILE).read_text())["training"]
    settled = result.the("settings")
    assert {each: training[each] for each in ("batchSize", "precision", "jitCompile")}.items() <= settled.items()


def test_the_commands_for_a_laptop_leave_a_model_where_the_page_says(tmp_path: Path) -> None:
    install, train = blocks(DOCS / "how-to/laptop.md", "sh")
    (tmp_path / "examples").symlink_to(EXAMPLES)
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])

    done = subprocess.run(["bash", "-c", train], cwd=tmp_path, env=os.environ | {"PATH": path}, capture_output=True)

    assert install == 'pip install ".[trainer]"\n'
    assert (done.returncode, done.stderr) == (0, b"")
    manifest = json.loads((tmp_path / "trainyard-out" / "breast-cancer" / "1" / names.MANIFEST_FILE).read_text())
    assert manifest["metrics"]["val_accuracy"] > 0.93


@pytest.mark.parametrize("page", sorted(DOCS.rglob("*.md")), ids=lambda page: str(page.relative_to(DOCS)))
def test_every_training_job_in_the_documentation_is_a_good_one(page: Path) -> None:
    for text in blocks(page, "yaml"):
        for document in yaml.safe_load_all(text):
            if document.get("kind") == "TrainingJob":
                assert parse_job(document).model_name


def test_the_documentation_names_every_metric() -> None:
    page = (DOCS / "reference/families.md").read_text()

    for task in get_args(Task):
        rows = [line for line in page.splitlines() if line.startswith(f"| {task} ")]
        assert any(row.endswith(f"| {', '.join(metric_names(task, validation=True))} |") for row in rows)


def test_the_contract_shows_a_report_as_the_trainer_writes_it() -> None:
    page = (DOCS / "reference/trainer-contract.md").read_text()
    manifest, report, progress = (json.loads(each) for each in re.findall(r"```json\n(.*?)```", page, re.DOTALL))

    assert report.keys() == json.loads(termination_message("x", "y", TrainingProgress())).keys()
    assert progress.keys() == TrainingProgress().to_wire().keys()
    assert report["model"].keys() == ModelVersion("a", 1, "b", 1).to_wire().keys()
    assert manifest["kind"] == "ModelManifest"
