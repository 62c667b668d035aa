"""One version, in pyproject.toml: what writes it out says the same, and one command changes all of it."""

import re
import shutil
import subprocess
import sys
from datetime import date
from importlib.metadata import version
from pathlib import Path

import pytest
import yaml

from tools.version import bumped_files, project_version, written_files
from trainyard_operator.settings import Settings

ROOT = Path(__file__).parents[3]
IMAGE = re.compile(r"\btrainyard/(?:operator|trainer):(\d+\.\d+\.\d+)")


def test_every_file_that_names_the_version_names_that_of_the_project() -> None:
    files = written_files(ROOT, project_version(ROOT))

    assert {path.name for path in files} >= {"Chart.yaml", "deployment.yaml", "data.yaml", "users.yaml"}
    assert {path: path.read_text() for path in files} == files


def test_the_chart_has_the_version_of_the_project() -> None:
    chart = yaml.safe_load((ROOT / "charts/trainyard/Chart.yaml").read_text())

    assert chart["version"] == chart["appVersion"] == project_version(ROOT)


def test_the_operator_starts_images_of_its_own_version() -> None:
    settings = Settings()

    assert version("trainyard-operator") == project_version(ROOT), "run `make setup`"
    assert settings.trainer_image == f"trainyard/trainer:{project_version(ROOT)}"
    assert settings.operator_image == f"trainyard/operator:{project_version(ROOT)}"


def test_no_other_file_writes_the_tag_of_an_image() -> None:
    tracked = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True)
    paths = [ROOT / name for name in tracked.stdout.split("\0") if Path(name).suffix in {".md", ".py", ".txt", ".yaml"}]
    named = {
        path: set(IMAGE.findall(path.read_text())) - {"1.2.3"}  # stands for any version in tests
        for path in paths
        if path.exists()
    }

    assert {path for path, versions in named.items() if versions} <= set(written_files(ROOT, "0.0.0"))


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    for folder in ("charts", "docs", "examples", "manifests"):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    for file in ("pyproject.toml", "CHANGELOG.md", "README.md"):
        shutil.copy(ROOT / file, tmp_path)
    return tmp_path


def test_a_bump_changes_every_place_and_opens_a_section_of_the_changelog(checkout: Path) -> None:
    command = [sys.executable, "-m", "tools.version", "12.0.3", "--root", str(checkout)]

    subprocess.run(command, cwd=ROOT, check=True)

    assert project_version(checkout) == "12.0.3"
    files = written_files(checkout, "12.0.3")
    assert files.keys() == {checkout / path.relative_to(ROOT) for path in written_files(ROOT, "0.0.0")}
    assert {path: path.read_text() for path in files} == files
    assert re.search(
        r"^## \[Unreleased\]\n\n## \[12\.0\.3\] - \d{4}-\d\d-\d\d\n",
        (checkout / "CHANGELOG.md").read_text(),
        re.MULTILINE,
    )


def test_a_bump_touches_nothing_but_versions(checkout: Path) -> None:
    old = project_version(checkout)
    for path, text in bumped_files(checkout, "12.0.3", date(2030, 1, 2)).items():
        if path.name != "CHANGELOG.md":
            assert text.replace("12.0.3", old) == path.read_text(), path


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        pytest.param("1.2", "expected three numbers like 0.2.0, got '1.2'", id="two numbers"),
        pytest.param("v1.2.3", "got 'v1.2.3'", id="a tag"),
        pytest.param(project_version(ROOT), "already", id="the same"),
    ],
)
def test_a_bump_to_what_is_no_new_version_is_refused(checkout: Path, argument: str, message: str) -> None:
    command = [sys.executable, "-m", "tools.version", argument, "--root", str(checkout)]

    refused = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)

    assert refused.returncode == 2
    assert message in refused.stderr
