"""The devcluster's API server as a process of its own."""

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

START_SECONDS = 90.0
STOP_SECONDS = 10.0


@contextmanager
def api_server(folder: Path) -> Iterator[Path]:
    """Run a server over a folder; yields its kubeconfig once it listens, and sees it end well."""
    kubeconfig = folder / "kubeconfig"
    before = kubeconfig.stat().st_mtime_ns if kubeconfig.exists() else 0
    command = [sys.executable, "-m", "trainyard_devcluster.apiserver", "--dir", str(folder)]
    with subprocess.Popen(command) as process:
        try:
            _wait_until_listening(process, kubeconfig, before)
            yield kubeconfig
        finally:
            process.terminate()
            code = process.wait(STOP_SECONDS)
    assert code == 0, f"the API server exited with {code}"


def _wait_until_listening(process: subprocess.Popen[bytes], kubeconfig: Path, before: int) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not kubeconfig.exists() or kubeconfig.stat().st_mtime_ns == before:
        assert process.poll() is None, f"the API server exited with {process.returncode} instead of listening"
        assert time.monotonic() < deadline, "the API server does not listen"
        time.sleep(0.01)
