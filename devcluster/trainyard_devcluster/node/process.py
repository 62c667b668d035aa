"""Local processes: started without a shell in a session of their own, and never outliving the node agent."""

import asyncio
import ctypes
import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)


class Process:
    """A running process, the leader of its own session; what is in its group ends with it.

    Made by `start`, in a running event loop.
    """

    def __init__(self, popen: "subprocess.Popen[bytes]") -> None:
        self._popen = popen
        self._transports: list[asyncio.ReadTransport] = []
        self.pid = popen.pid
        loop = asyncio.get_running_loop()
        self._exited: asyncio.Future[int] = loop.create_future()
        self._pidfd = os.pidfd_open(popen.pid)
        loop.add_reader(self._pidfd, self._reap)

    def _reap(self) -> None:
        asyncio.get_running_loop().remove_reader(self._pidfd)
        os.close(self._pidfd)
        self.kill_group()  # before the process is reaped, so that nobody else can have its number
        code = self._popen.wait()
        if not self._exited.done():
            self._exited.set_result(code if code >= 0 else 128 - code)

    @property
    def running(self) -> bool:
        """Whether it has not exited yet."""
        return not self._exited.done()

    async def connect(self, stdout: asyncio.Protocol, stderr: asyncio.Protocol) -> None:
        """Hand what the process writes to two protocols. The process is killed where this is cancelled."""
        loop = asyncio.get_running_loop()
        try:
            for protocol, pipe in ((stdout, self._popen.stdout), (stderr, self._popen.stderr)):
                transport, _ = await loop.connect_read_pipe(lambda protocol=protocol: protocol, pipe)  # type: ignore[misc]
                self._transports.append(transport)
        except BaseException:
            self.kill_group()
            self.disconnect()
            raise

    def disconnect(self) -> None:
        """Read no more of its output, whoever still holds the other ends of its pipes.

        A pipe that a transport reads is the transport's to close: its number may be another's a moment later.
        """
        for transport in self._transports:
            transport.close()
        for pipe in (self._popen.stdout, self._popen.stderr)[len(self._transports) :]:
            if pipe:
                pipe.close()

    async def wait(self) -> int:
        """Its exit code once it has exited: 128 + n where signal n ended it."""
        return await asyncio.shield(self._exited)

    def signal(self, number: int) -> None:
        """Send a signal to the process alone, as a container runtime does. Nothing happens once it has exited."""
        if self.running:
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def kill_group(self) -> None:
        """Kill the process and everything it started that did not leave its process group."""
        if self.running:
            with suppress(ProcessLookupError):
                os.killpg(self.pid, signal.SIGKILL)


def start(argv: Sequence[str], *, env: Mapping[str, str], cwd: Path) -> Process:
    """Start a process; `connect` its output next. OSError where it cannot be started."""
    return Process(
        subprocess.Popen(
            list(argv),
            env=dict(env),
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
            preexec_fn=_prepare,
        )
    )


def _prepare() -> None:
    # Runs between fork and exec. SIGPIPE and SIGINT may be ignored here and would stay so in the child.
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGPIPE):
        signal.signal(number, signal.SIG_DFL)
    os.umask(0o022)
