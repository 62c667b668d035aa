"""Two trainers that train one model, as processes that can be stopped, killed, and frozen."""

import json
import socket
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from support.trainer_runs import SpecBuilder, start, write_mixed_rows


@dataclass
class Pair:
    """Two workers and what they say."""

    processes: "list[subprocess.Popen[str]]"
    folders: list[Path]

    def wait_for(self, worker: int, event: str) -> dict[str, Any]:
        return wait_for(self.processes[worker], event)

    def codes(self) -> list[int]:
        for process in self.processes:
            process.communicate(timeout=180)
        return [process.returncode for process in self.processes]

    def report(self, worker: int) -> dict[str, Any]:
        return dict(json.loads((self.folders[worker] / "termination-log").read_text()))


def wait_for(process: "subprocess.Popen[str]", event: str) -> dict[str, Any]:
    """Return what a trainer says of an event."""
    assert process.stdout is not None
    for line in process.stdout:
        found: dict[str, Any] = json.loads(line)
        if found["event"] == event:
            return found
    raise AssertionError(f"{process.args!r} ended without {event!r}")


def write_rows(path: Path) -> Path:
    """Write rows for batches of which the last is short, with numbers, categories and an easy label."""
    return write_mixed_rows(path, 641, lambda a, b, c, rng: a + (c == "x") > 0.3)


def tf_configs(count: int) -> list[str]:
    """Return TF_CONFIG for each of some workers on this machine."""
    with ExitStack() as probes:
        servers = [probes.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        cluster = {"worker": [f"localhost:{server.getsockname()[1]}" for server in servers]}
    return [json.dumps({"cluster": cluster, "task": {"type": "worker", "index": index}}) for index in range(count)]


@contextmanager
def two_workers(spec: SpecBuilder, folder: Path, extra: dict[str, str] | None = None) -> Iterator[Pair]:
    """Start two workers; only the chief sees the store in `folder`."""
    folders = [folder, folder / "other"]
    folders[1].mkdir(exist_ok=True)
    processes = [
        start(spec, each, {"TF_CONFIG": config} | (extra or {}))
        for each, config in zip(folders, tf_configs(2), strict=True)
    ]
    try:
        yield Pair(processes, folders)
    finally:
        for process in processes:
            process.kill()
            process.communicate()
