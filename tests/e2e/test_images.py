"""The images, made by carrying out their Dockerfiles without a container engine: what comes out runs."""

import re
import subprocess
from pathlib import Path

import pytest

from support.dockerfile import ROOT, Image, context_files, instructions, replay
from tools.version import project_version

LARGEST_OPERATOR = 200 * 2**20  # most of it is the Kubernetes client


def base_python(program: str) -> str:
    """Return a Python of this machine with the version of the base image."""
    base = next(step for step in instructions(program) if step.name == "FROM").words[0]
    (version,) = re.findall(r"^python:(\d\.\d+)-slim$", base)
    found = subprocess.run([ROOT / "tools/find-python", version], capture_output=True, text=True)
    if found.returncode:
        pytest.skip(f"needs the base image's Python {version}: {found.stderr}")
    return found.stdout.strip()


@pytest.fixture(scope="module")
def operator(tmp_path_factory: pytest.TempPathFactory) -> Image:
    return replay("operator", tmp_path_factory.mktemp("operator"), base_python("operator"))


def test_the_operators_image_runs_the_operator(operator: Image) -> None:
    told = operator.run("--help")

    assert (told.returncode, told.stderr) == (0, "")
    assert f"trainyard/trainer:{project_version(ROOT)}" in told.stdout


def test_the_operators_image_fetches_models(operator: Image) -> None:
    told = operator.run("--help", module="trainyard_fetcher")

    assert (told.returncode, told.stderr) == (0, "")
    assert "--source" in told.stdout


def test_the_operators_image_holds_every_file_of_its_packages(operator: Image) -> None:
    (packages,) = (operator.root / "venv/lib").glob("python*/site-packages")
    files = [Path(name).relative_to(Path(name).parts[0]) for name in context_files() if "/trainyard_" in name]
    files = [file for file in files if file.parts[0] != "trainyard_trainer"]

    assert files
    assert [file for file in files if not (packages / file).exists()] == []


def test_the_operators_image_is_small_and_holds_no_other_package(operator: Image) -> None:
    (packages,) = (operator.root / "venv/lib").glob("python*/site-packages")

    assert {path.name for path in packages.glob("trainyard_*") if path.suffix != ".dist-info"} == {
        "trainyard_api", "trainyard_fetcher", "trainyard_operator",
    }  # fmt: skip
    assert not [name for name in ("tensorflow", "numpy", "pip") if (packages / name).exists()]
    files = (path for path in (operator.root / "venv").rglob("*") if path.is_file() and not path.is_symlink())
    assert sum(path.stat().st_size for path in files) < LARGEST_OPERATOR


@pytest.mark.thorough
def test_the_trainers_image_asks_for_a_spec_and_fetches_from_stores(tmp_path: Path) -> None:
    trainer = replay("trainer", tmp_path, base_python("trainer"))

    refused = trainer.run()
    helped = trainer.run("--help", module="trainyard_fetcher")

    assert refused.returncode == 2
    assert "TRAINYARD_SPEC" in refused.stdout + refused.stderr
    assert helped.returncode == 0, helped.stderr
