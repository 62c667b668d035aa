"""Starts the devcluster for the demo, and ends it unless it is to be kept."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from demo.session import DemoError

IMAGES = Path(__file__).parent / "images.yaml"
_PID_FILE = "demo.pid"
_LOG_FILE = "demo.log"
_STOP_SECONDS = 20


@dataclass(frozen=True, slots=True)
class Launched:
    """A devcluster that was started a moment ago."""

    folder: Path
    process: subprocess.Popen[bytes]

    async def ready(self) -> Path:
        """Return the kubeconfig once the node is ready.

        Raises:
            DemoError: the devcluster ended, or took longer than a minute.
        """
        log = self.folder / _LOG_FILE
        for _ in range(600):
            if "export KUBECONFIG=" in log.read_text():
                return self.folder / "kubeconfig"
            if self.process.poll() is not None:
                break
            await asyncio.sleep(0.1)
        raise DemoError(f"the devcluster did not start; the end of its output: {log.read_text()[-2000:]}")


@contextmanager
def launched(folder: Path, *, keep: bool) -> Iterator[Launched]:
    """Start a devcluster in an empty folder; end it afterwards, unless all went well and it is to be kept."""
    if folder.exists() and any(folder.iterdir()) and not (folder / _LOG_FILE).exists():
        raise DemoError(f"{folder} holds something else; give the demo an empty folder with --dir")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    command = [sys.executable, "-m", "trainyard_devcluster", "up", "--dir", str(folder), "--images", str(IMAGES)]
    with (folder / _LOG_FILE).open("wb") as log:
        # A session of its own, so that Ctrl-C reaches the demo alone and a kept cluster outlives the terminal.
        process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, start_new_session=True)
    (folder / _PID_FILE).write_text(str(process.pid))
    kept = False
    try:
        yield Launched(folder, process)
        kept = keep
    finally:
        if not kept:
            stop(folder)
            process.wait()


def remove(folder: Path) -> str:
    """End what runs in a demo's folder, remove the folder, and say so."""
    ended = stop(folder)
    done = ["ended the devcluster with all its pods"] if ended else []
    if (folder / _LOG_FILE).exists():
        size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file() and not file.is_symlink())
        shutil.rmtree(folder, ignore_errors=True)
        done.append(f"removed {folder}: {size / 1e6:.0f} MB of objects, logs and models")
    return "; ".join(done) or f"nothing to stop: no demo runs in {folder}"


def stop(folder: Path) -> bool:
    """End the devcluster that an earlier demo left running in this folder; return whether there was one."""
    file = folder / _PID_FILE
    if not file.exists():
        return False
    pid = int(file.read_text())
    file.unlink()
    if not _is_devcluster(pid):
        return False
    os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + _STOP_SECONDS
    while _is_devcluster(pid) and time.monotonic() < deadline:
        with contextlib.suppress(ChildProcessError):
            os.waitpid(pid, os.WNOHANG)
        time.sleep(0.1)
    return True


def _is_devcluster(pid: int) -> bool:
    # The number may belong to another process by now.
    try:
        return b"trainyard_devcluster" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False
