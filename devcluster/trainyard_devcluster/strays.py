"""Processes of pods, found by a variable in their environment however far they have strayed from their parent."""

import os
import signal
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

CONTAINER_MARK = "DEVCLUSTER_CONTAINER"
"""The variable that tells which container a process is of."""
NODE_MARK = "DEVCLUSTER_NODE"
"""The variable that tells which node agent, by its folder, started it."""


def marked(variable: str, value: str) -> Iterator[int]:
    """Yield the id of every process, but this one, that was started with `variable=value` in its environment."""
    marker = f"{variable}={value}".encode()
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        with suppress(OSError):
            if marker in (entry / "environ").read_bytes().split(b"\0"):
                yield int(entry.name)


def kill_marked(variable: str, value: str) -> list[int]:
    """Kill every process that was started with `variable=value` in its environment; returns their ids.

    This finds what left its process group, and what an agent that was killed left behind.
    """
    killed = []
    for process in marked(variable, value):
        with suppress(OSError):
            os.kill(process, signal.SIGKILL)
            killed.append(process)
    return killed
