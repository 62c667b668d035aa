"""Local processes: how they start, end, and never outlive whoever started them."""

import asyncio
import gc
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from support.eventually import eventually
from support.processes import running
from trainyard_devcluster.node import commands, process
from trainyard_devcluster.strays import kill_marked


class Output(asyncio.Protocol):
    """Collects what a process writes."""

    def __init__(self) -> None:
        self.text = b""
        self.ended = asyncio.Event()
        self.grown = asyncio.Event()

    def data_received(self, data: bytes) -> None:
        self.text += data
        self.grown.set()

    def connection_lost(self, exc: Exception | None) -> None:
        self.ended.set()


async def start(*argv: str, cwd: Path, env: dict[str, str] | None = None) -> tuple[process.Process, Output, Output]:
    out, err = Output(), Output()
    env = {"PATH": os.defpath} | (env or {})
    started = process.start(argv, env=env, cwd=cwd)
    await started.connect(out, err)
    return started, out, err


async def test_a_process_runs_in_a_clean_environment(tmp_path: Path) -> None:
    started, out, err = await start("sh", "-c", 'echo "$A:$HOME"; echo no >&2; exit 7', cwd=tmp_path, env={"A": "1"})
    assert await started.wait() == 7
    await asyncio.gather(out.ended.wait(), err.ended.wait())
    assert (out.text, err.text) == (b"1:\n", b"no\n")
    assert not started.running
    started.signal(signal.SIGTERM)  # nothing is there to get it


async def test_a_process_leads_a_session_of_its_own(tmp_path: Path) -> None:
    started, _, _ = await start("sleep", "60", cwd=tmp_path)
    assert os.getsid(started.pid) == started.pid
    started.kill_group()
    await started.wait()


@pytest.mark.parametrize(("number", "code"), [(signal.SIGKILL, 137), (signal.SIGTERM, 143)])
async def test_a_signal_shows_in_the_exit_code(tmp_path: Path, number: int, code: int) -> None:
    started, _, _ = await start("sleep", "60", cwd=tmp_path)
    started.signal(number)
    assert await started.wait() == code


async def test_the_whole_group_can_be_killed(tmp_path: Path) -> None:
    started, out, _ = await start("sh", "-c", "sleep 60 & echo $!; wait", cwd=tmp_path)
    await out.grown.wait()
    started.kill_group()
    assert await started.wait() == 137
    await eventually(lambda: not running(out.text))


async def test_what_left_its_group_is_found_by_its_mark(tmp_path: Path) -> None:
    mark = {"TEST_MARK": str(tmp_path)}
    stray = "import os; os.setsid(); print(os.getpid(), flush=True); import time; time.sleep(60)"
    started, out, _ = await start("sh", "-c", f"{sys.executable} -c '{stray}' & wait", cwd=tmp_path, env=mark)
    await out.grown.wait()
    started.kill_group()
    await started.wait()
    assert int(out.text) in kill_marked("TEST_MARK", str(tmp_path))
    await eventually(lambda: not running(out.text))


async def test_what_cannot_be_started_says_so(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        await start("no-such-program", cwd=tmp_path)


def test_a_process_dies_with_the_one_that_started_it(tmp_path: Path) -> None:
    parent = textwrap.dedent(f"""
        import asyncio, pathlib
        from trainyard_devcluster.node import process
        async def main():
            env, cwd = {{"PATH": "/bin:/usr/bin"}}, pathlib.Path({str(tmp_path)!r})
            running = process.start(["sleep", "60"], env=env, cwd=cwd)
            print(running.pid, flush=True)
            await running.wait()
        asyncio.run(main())
    """)
    with subprocess.Popen([sys.executable, "-c", parent], stdout=subprocess.PIPE) as agent:
        assert agent.stdout is not None
        pid = agent.stdout.readline()
        agent.kill()
    asyncio.run(eventually(lambda: not running(pid)))


@pytest.mark.parametrize("turns", range(6))
async def test_a_command_given_up_at_any_moment_leaves_no_pipe_behind(tmp_path: Path, turns: int) -> None:
    gc.collect()  # what an earlier test forgot is not this one's
    opened = set(os.listdir("/proc/self/fd"))
    probe = asyncio.create_task(commands.run(["sleep", "60"], env={"PATH": os.defpath}, cwd=tmp_path))
    for _ in range(turns):
        await asyncio.sleep(0)
    probe.cancel()
    with pytest.raises(asyncio.CancelledError):
        await probe
    await asyncio.sleep(0)
    gc.collect()  # a transport that was forgotten warns now
    assert set(os.listdir("/proc/self/fd")) <= opened
