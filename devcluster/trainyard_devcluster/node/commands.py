"""Commands beside a container's process: exec probes and lifecycle hooks."""

import asyncio
from collections.abc import Mapping
from pathlib import Path

from trainyard_devcluster.node import process

LONGEST_OUTPUT = 10 * 1024


class _Output(asyncio.Protocol):
    def __init__(self) -> None:
        self.text = b""
        self.ended = asyncio.Event()

    def data_received(self, data: bytes) -> None:
        self.text = (self.text + data)[:LONGEST_OUTPUT]

    def connection_lost(self, exc: Exception | None) -> None:
        self.ended.set()


async def run(argv: list[str], *, env: Mapping[str, str], cwd: Path) -> tuple[int, str]:
    """Run a command to its end; returns its exit code and what it wrote. It is killed where the caller gives up."""
    stdout, stderr = _Output(), _Output()
    try:
        running = process.start(argv, env=env, cwd=cwd)
    except OSError as error:
        return 127, f"{argv[0]}: {error.strerror or error}"
    try:
        await running.connect(stdout, stderr)
        code = await running.wait()
    finally:
        if running.running:  # the caller gave up
            running.kill_group()
            running.disconnect()
            await running.wait()
    await asyncio.gather(stdout.ended.wait(), stderr.ended.wait())
    return code, (stdout.text + stderr.text).decode(errors="replace").strip()
