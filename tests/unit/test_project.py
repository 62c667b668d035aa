"""What holds of the repository as a whole."""

import csv
import json
import re
import subprocess
from pathlib import Path

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


def pinned_in(file: str) -> set[str]:
    return set(re.findall(r"^([a-z0-9._-]+)==", (ROOT / "requirements" / file).read_text(), re.MULTILINE))


def test_what_stores_are_tested_with_is_in_no_image() -> None:
    assert {"moto", "botocore", "gcp-storage-emulator"} <= pinned_in("trainer-dev.txt")
    for file in ("operator.txt", "trainer.txt", "trainer-gpu.txt"):
        assert not {"moto", "boto3", "botocore", "gcp-storage-emulator"} & pinned_in(file)


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
    tracked = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True)
    files = [ROOT / name for name in tracked.stdout.split("\0") if name]

    assert [file for file in files if file.exists() and file.stat().st_size > 300_000] == []


def test_the_resources_in_the_readme_are_those_of_the_quickstart() -> None:
    (shown,) = blocks(ROOT / "README.md", "yaml")

    assert list(yaml.safe_load_all(shown)) == [
        yaml.safe_load((QUICKSTART / name).read_text()) for name in ("trainingjob.yaml", "modelservice.yaml")
    ]


def test_every_page_the_readme_points_to_exists() -> None:
    links = re.findall(r"\]\(([^)#]+)\)", (ROOT / "README.md").read_text())

    assert [link for link in links if not link.startswith("http") and not (ROOT / link).exists()] == []
