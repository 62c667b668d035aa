"""`make` finds a Python that will do, and says what is missing where there is none."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]


def a_python(folder: Path, name: str, version: str, *, venv: bool = True) -> Path:
    """Make a program that answers find-python's questions as a Python of that version would."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        "#!/bin/sh\n"
        'case "$2" in\n'
        f"*version_info*) echo {version} ;;\n"
        f"*sys.executable*) echo {path} ;;\n"
        f"*venv*) exit {0 if venv else 1} ;;\n"
        "esac\n"
    )
    path.chmod(0o755)
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    # The only programs on the path: a Python of this machine must not answer in place of these.
    for name in ("ls", "cat"):
        (tmp_path / name).symlink_to(shutil.which(name) or "")
    return tmp_path


def found(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": str(folder), "HOME": str(folder), "PYENV_ROOT": str(folder / "pyenv")}
    command = ["/bin/sh", str(ROOT / "tools/find-python"), *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True)


@pytest.mark.parametrize("version", ["3.11", "3.12", "3.13"])
def test_a_supported_version_is_found_by_its_own_name(folder: Path, version: str) -> None:
    python = a_python(folder, f"python{version}", version)

    assert found(folder).stdout.strip() == str(python)
    assert found(folder, version).stdout.strip() == str(python)


def test_a_python3_that_is_too_new_gives_way_to_one_that_will_do(folder: Path) -> None:
    a_python(folder, "python3", "3.14")
    python = a_python(folder, "python3.12", "3.12")

    assert found(folder).stdout.strip() == str(python)


def test_a_version_of_pyenv_that_is_not_chosen_is_found(folder: Path) -> None:
    python = a_python(folder, "pyenv/versions/3.13.2/bin/python3", "3.13")

    assert found(folder).stdout.strip() == str(python)


def test_a_program_can_be_named(folder: Path) -> None:
    a_python(folder, "python3", "3.11")
    python = a_python(folder, "opt/python", "3.13")

    assert found(folder, str(python)).stdout.strip() == str(python)


def test_a_missing_venv_module_is_named_with_the_package_that_brings_it(folder: Path) -> None:
    python = a_python(folder, "python3", "3.11", venv=False)

    refused = found(folder)

    assert (refused.returncode, refused.stdout) == (1, "")
    assert f"{python} has no venv module; on Debian and Ubuntu: apt install python3.11-venv" in refused.stderr


def test_what_was_found_and_will_not_do_is_listed(folder: Path) -> None:
    python = a_python(folder, "python3", "3.10")

    refused = found(folder)

    assert refused.returncode == 1
    assert "Trainyard expects Python 3.11 3.12 3.13 with the venv module and found" in refused.stderr
    assert f"{python} is Python 3.10" in refused.stderr
    assert "make PYTHON=" in refused.stderr


def test_the_python_of_these_tests_will_do() -> None:
    told = subprocess.run(
        [ROOT / "tools/find-python", sys.executable], env=os.environ, capture_output=True, text=True, check=True
    )

    assert told.stdout.strip() == sys.executable
