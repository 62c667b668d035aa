"""The operator as a process of the test's own, which can be killed and started again."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

_START_SECONDS = 120.0
_STOP_SECONDS = 30.0


class OperatorProcess:
    """Serves one namespace, so that it leaves everything else on the cluster alone.

    Args:
        name: Tells several of one test apart.
        flags: Further settings.
    """

    def __init__(
        self, kubeconfig: Path, namespace: str, folder: Path, *, name: str = "operator", flags: Sequence[str] = ()
    ) -> None:
        self.log = folder / f"{name}.log"
        self._environment = os.environ | {"KUBECONFIG": str(kubeconfig), "PYTHONUNBUFFERED": "1"}
        self._command = [
            sys.executable, "-m", "trainyard_operator", "--namespaces", namespace,
            "--host", "127.0.0.1", "--port", "0", "--progress-interval", "0.5", "--drain", "3", *flags,
        ]  # fmt: skip
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, and wait until it says so."""
        began = self.log.stat().st_size if self.log.exists() else 0
        with self.log.open("ab") as output:
            self._process = subprocess.Popen(self._command, env=self._environment, stdout=output, stderr=output)
        deadline = time.monotonic() + _START_SECONDS
        while b"Serving metrics" not in self.log.read_bytes()[began:]:
            assert self._process.poll() is None, f"the operator ended: {self.log.read_text()}"
            assert time.monotonic() < deadline, f"the operator did not start: {self.log.read_text()}"
            time.sleep(0.02)

    def kill(self) -> None:
        """End it at once, as `kill -9` does."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()
        self._process = None

    def stop(self) -> int:
        """Ask it to end; return its exit code."""
        assert self._process is not None
        self._process.terminate()
        code = self._process.wait(_STOP_SECONDS)
        self._process = None
        return code

    @property
    def is_running(self) -> bool:
        """Whether it was started and has not been ended by the test."""
        return self._process is not None


@contextmanager
def running_operator(
    kubeconfig: Path, namespace: str, folder: Path, *, name: str = "operator", flags: Sequence[str] = ()
) -> Iterator[OperatorProcess]:
    """Start an operator, and make sure that it ends."""
    operator = OperatorProcess(kubeconfig, namespace, folder, name=name, flags=flags)
    operator.start()
    try:
        yield operator
    finally:
        if operator.is_running:
            operator.kill()
