"""The unmodified kubectl that `make setup` installs next to the Python that runs the tests."""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

FOLDER = Path(sys.executable).parent
KUBECTL = FOLDER / "kubectl"


def environment(kubeconfig: Path, home: Path) -> dict[str, str]:
    """What kubectl is to see of the world: its own caches, one kubeconfig, and itself first on PATH."""
    path = f"{FOLDER}{os.pathsep}{os.environ['PATH']}"
    return {"PATH": path, "HOME": str(home), "KUBECONFIG": str(kubeconfig)}


def kubectl(*arguments: str, env: Mapping[str, str], stdin: str | None = None, fails: bool = False) -> str:
    """What kubectl prints; what it complains of where it is to fail. AssertionError where it does otherwise."""
    command = [str(KUBECTL), *arguments]
    done = subprocess.run(command, input=stdin, env=env, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode != 0) is fails, done.stderr
    return done.stderr if fails else done.stdout
