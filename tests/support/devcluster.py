"""A devcluster for tests: started in a folder, ended with the tests, shared by the workers of pytest-xdist."""

import fcntl
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

IMAGES = Path(__file__).parents[2] / "examples/demo/images.yaml"
START_SECONDS = 90.0
STOP_SECONDS = 60.0
LOOK_SECONDS = 0.05


@contextmanager
def devcluster(folder: Path, *options: str) -> Iterator[Path]:
    """Run a devcluster in a folder and yield its kubeconfig. Options are those of `up`."""
    process = start(folder, options)
    try:
        yield wait_until_ready(folder, process)
    finally:
        process.terminate()
        process.wait(STOP_SECONDS)


@contextmanager
def given_or_devcluster(folder: Path, *options: str) -> Iterator[Path]:
    """Yield the kubeconfig that KUBECONFIG names, else that of a devcluster of one's own."""
    if given := os.environ.get("KUBECONFIG"):
        yield Path(given)
        return
    with devcluster(folder, *options) as kubeconfig:
        yield kubeconfig


@contextmanager
def shared(folder: Path, *options: str) -> Iterator[Path]:
    """Like `devcluster`, but one for all processes that name the same folder: the first starts it, the last ends it."""
    folder.mkdir(parents=True, exist_ok=True)
    with _locked(folder) as users:
        if not users:
            process = start(folder, options, outlive=True)
            wait_until_ready(folder, process)
            (folder / "pid").write_text(str(process.pid))
            process.returncode = 0  # whoever leaves last ends it: nothing for this process to wait for
        _write_users(folder, [*users, os.getpid()])
    try:
        yield folder / "cluster" / "kubeconfig"
    finally:
        with _locked(folder) as users:
            users.remove(os.getpid())
            _write_users(folder, users)
            if not users:
                _stop(folder)


def start(folder: Path, options: Sequence[str], *, outlive: bool = False) -> "subprocess.Popen[bytes]":
    """Start a devcluster whose state is in `folder`/cluster and whose output is in `folder`/up.log."""
    folder.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "trainyard_devcluster", "up", "--dir", str(folder / "cluster")]
    command += ["--images", str(IMAGES), *([] if outlive else ["--with-parent"]), *options]
    environment = {"TRAINYARD_OPERATOR_PYTHON": sys.executable} | os.environ
    with (folder / "up.log").open("wb") as output:
        return subprocess.Popen(
            command, stdout=output, stderr=subprocess.STDOUT, start_new_session=True, env=environment
        )


def wait_until_ready(folder: Path, process: "subprocess.Popen[bytes]") -> Path:
    """Return the kubeconfig once the cluster has said that it is ready. AssertionError where it does not."""
    log, deadline = folder / "up.log", time.monotonic() + START_SECONDS
    while "export KUBECONFIG=" not in log.read_text():
        said = f"it said: {log.read_text()[-4000:]}"
        assert process.poll() is None, f"the devcluster ended with exit code {process.returncode}; {said}"
        assert time.monotonic() < deadline, f"the devcluster was not ready after {START_SECONDS} s; {said}"
        time.sleep(LOOK_SECONDS)
    return folder / "cluster" / "kubeconfig"


def _stop(folder: Path) -> None:
    os.kill(int((folder / "pid").read_text()), signal.SIGTERM)
    # The launcher holds this lock to its end; whoever waits here may not be its parent.
    with (folder / "cluster" / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)


@contextmanager
def _locked(folder: Path) -> Iterator[list[int]]:
    """The processes that use the shared cluster, while nobody else can change that."""
    with (folder / "users.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        users = folder / "users"
        known = [int(word) for word in users.read_text().split()] if users.exists() else []
        yield [pid for pid in known if Path(f"/proc/{pid}").exists()]


def _write_users(folder: Path, users: Sequence[int]) -> None:
    (folder / "users").write_text(" ".join(map(str, users)))
