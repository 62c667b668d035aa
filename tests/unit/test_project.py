"""What holds of the repository as a whole."""

import csv
import json
import re
import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml

from support.pages import blocks
from support.pod_security import violations

ROOT = Path(__file__).parents[2]
QUICKSTART = ROOT / "examples" / "quickstart"


def test_the_operator_folder_is_no_package() -> None:
    # With an __init__.py it could be imported in place of the standard library's `operator`.
    assert not (ROOT / "operator" / "__init__.py").exists()


def test_the_quickstart_request_is_the_first_row_of_its_data() -> None:
    with (QUICKSTART / "breast-cancer.csv").open() as file:
        row = next(csv.DictReader(file))
    row.pop("diagnosis")

    assert json.loads((QUICKSTART / "request.json").read_text()) == {
        "instances": [{name: float(value) for name, value in row.items()}]
    }


def test_the_operator_needs_no_tensorflow() -> None:
    pinned = (ROOT / "requirements" / "operator.txt").read_text()

    assert re.search(r"^kopf==", pinned, re.MULTILINE)
    assert not re.search(r"^(tensorflow|keras|numpy|pyarrow)", pinned, re.MULTILINE)


def tracked_files() -> list[str]:
    tracked = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True)
    return [name for name in tracked.stdout.split("\0") if name]


def pinned_in(file: str) -> set[str]:
    return set(re.findall(r"^([a-z0-9._-]+)==", (ROOT / "requirements" / file).read_text(), re.MULTILINE))


def test_what_stores_are_tested_with_is_in_no_image() -> None:
    assert {"moto", "botocore", "gcp-storage-emulator"} <= pinned_in("trainer-dev.txt")
    for file in ("operator.txt", "trainer.txt", "trainer-gpu.txt"):
        assert not {"moto", "boto3", "botocore", "gcp-storage-emulator"} & pinned_in(file)


# What a page may tell people to install: this project, and what it depends on.
INSTALL = re.compile(r"\b(?:pip|pipx|uv tool|uv pip) install ((?:[^\n`&|;#]|\\\n)+)")


def installed_by(text: str) -> set[str]:
    """Return the packages that the commands of a text install by name."""
    names = set()
    for command in INSTALL.findall(text):
        words = iter(re.sub(r"\\\n|\\n|[\\\"',]", " ", command).split())
        for word in words:
            if word in ("-r", "--requirement", "-c", "--constraint", "-e", "--editable", "--index-url"):
                next(words, None)
            elif not word.startswith(("-", ".", "/")) and not word.endswith(".whl"):
                names.add(re.split(r"[\[<>=~!; ]", word)[0].lower().replace("_", "-"))
    return names


@pytest.mark.parametrize(
    ("text", "names"),
    [
        pytest.param("pip install ours", {"ours"}, id="a name"),
        pytest.param('run `pip install "ours[extra]>=2" other`.', {"ours", "other"}, id="quoted, with an extra"),
        pytest.param("pip install -r requirements.txt .", set(), id="files"),
        pytest.param("pip install --no-deps dist/ours-1-py3-none-any.whl", set(), id="a wheel"),
        pytest.param('"!pip install -q ours\\n",', {"ours"}, id="a notebook"),
        pytest.param("uv tool install ours && ours", {"ours"}, id="uv"),
    ],
)
def test_a_package_that_a_text_tells_to_install_is_found(text: str, names: set[str]) -> None:
    assert installed_by(text) == names


def test_no_page_tells_people_to_install_a_package_that_is_not_ours() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    dependencies = [
        *project["dependencies"],
        *(name for extra in project["optional-dependencies"].values() for name in extra),
    ]
    known = {re.split(r"[\[<>=~!; ]", name)[0].lower() for name in dependencies} | {project["name"]}
    suffixes = {".ipynb", ".md", ".rst", ".txt"}
    pages = [ROOT / name for name in tracked_files() if Path(name).suffix in suffixes and "requirements" not in name]

    assert {"README.md", "NOTES.txt", "signing.md"} <= {page.name for page in pages}
    named = {page: installed_by(page.read_text()) for page in pages if page.exists()}
    assert any(named.values())
    assert {str(page): names - known for page, names in named.items() if names - known} == {}


def test_tensorflow_is_pinned_once() -> None:
    both = {"tensorflow", "tensorflow-cpu"}

    assert pinned_in("trainer.txt") & both == pinned_in("trainer-dev.txt") & both == {"tensorflow-cpu"}
    assert pinned_in("trainer-gpu.txt") & both == {"tensorflow"}
    assert not pinned_in("operator-dev.txt") & both


def test_every_make_target_the_readme_names_exists() -> None:
    targets = set(re.findall(r"^([a-z0-9-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = set(re.findall(r"\bmake ([a-z0-9-]+)", (ROOT / "README.md").read_text()))

    assert named
    assert named <= targets


def test_a_benchmark_that_misses_its_mark_does_not_keep_the_others_from_running(tmp_path: Path) -> None:
    python = tmp_path / "python"
    python.write_text(f'#!/bin/sh\necho "$1" >> {tmp_path}/run\nexit 1\n')
    python.chmod(0o755)
    command = ["make", "--assume-old", "setup", "bench", f"OPERATOR={tmp_path}", f"TRAINER={tmp_path}"]

    told = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)

    assert told.returncode != 0
    ran = [Path(line).stem for line in (tmp_path / "run").read_text().split()]
    assert {"flow", "modelserver", "trainer", "memory"} <= set(ran)
    assert f"not as good as wanted: {' '.join(ran)}\n" in told.stdout


def test_the_pod_that_writes_the_data_of_dense_100_may_run_where_pods_are_restricted() -> None:
    job = yaml.safe_load((ROOT / "examples" / "dense-100" / "data.yaml").read_text())

    assert violations(job["spec"]["template"]["spec"]) == []


def test_no_tracked_file_is_large() -> None:
    files = [ROOT / name for name in tracked_files()]

    assert [file for file in files if file.exists() and file.stat().st_size > 300_000] == []


def test_the_resources_in_the_readme_are_those_of_the_quickstart() -> None:
    (shown,) = blocks(ROOT / "README.md", "yaml")

    assert list(yaml.safe_load_all(shown)) == [
        yaml.safe_load((QUICKSTART / name).read_text()) for name in ("trainingjob.yaml", "modelservice.yaml")
    ]


def test_every_page_the_readme_points_to_exists() -> None:
    links = re.findall(r"\]\(([^)#]+)\)", (ROOT / "README.md").read_text())

    assert [link for link in links if not link.startswith("http") and not (ROOT / link).exists()] == []
