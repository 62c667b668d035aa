"""The workflows run what `.ci/run` and `make` run, with actions that nobody can exchange."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[3]
WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yaml"))


def steps(name: str) -> list[dict[str, Any]]:
    workflow = yaml.safe_load((ROOT / ".github/workflows" / f"{name}.yaml").read_text())
    return [step for job in workflow["jobs"].values() for step in job["steps"]]


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_every_action_is_pinned_by_its_commit_and_says_its_version(path: Path) -> None:
    used = re.findall(r"uses: (.*)", path.read_text())

    assert used
    assert [line for line in used if not re.fullmatch(r"[\w-]+/[\w/-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", line)] == []


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_a_workflow_starts_with_the_right_to_read_alone(path: Path) -> None:
    assert yaml.safe_load(path.read_text())["permissions"] == {"contents": "read"}


def test_ci_runs_what_people_run() -> None:
    assert [step["run"] for step in steps("ci") if "run" in step] == [".ci/run"]


def test_every_night_kills_and_damages_trainings() -> None:
    assert [step["run"] for step in steps("thorough") if "run" in step] == ["make test-thorough"]


def test_ci_has_the_oldest_and_the_newest_python() -> None:
    versions = [step["with"]["python-version"] for step in steps("ci") if "python-version" in step.get("with", {})]
    used = re.findall(r"PYTHON=(3\.\d+)", (ROOT / ".ci/run").read_text())

    assert sorted(used) == sorted(versions) == ["3.11", "3.13"]


def test_a_release_says_where_its_images_come_from_and_what_is_in_them() -> None:
    (build,) = [step for step in steps("release") if "build-push-action" in step.get("uses", "")]

    assert (build["with"]["provenance"], build["with"]["sbom"]) == ("mode=max", True)
    assert "BASE=${{ needs.version.outputs.base }}" in build["with"]["build-args"]


def test_a_release_builds_the_images_of_make_images() -> None:
    release = yaml.safe_load((ROOT / ".github/workflows/release.yaml").read_text())
    built = {
        (entry["program"], entry["lock"], entry["suffix"])
        for entry in release["jobs"]["images"]["strategy"]["matrix"]["include"]
    }

    assert built == {
        ("operator", "operator.txt", ""),
        ("trainer", "trainer.txt", ""),
        ("trainer", "trainer-gpu.txt", "-gpu"),
    }


def test_the_commit_hooks_use_the_tools_of_make_lint() -> None:
    (repository,) = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]

    assert repository["repo"] == "local"
    assert all(".venv/operator/bin/" in hook["entry"] for hook in repository["hooks"])
