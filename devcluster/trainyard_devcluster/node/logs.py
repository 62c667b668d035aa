"""Container logs, in the format that container runtimes write: time, stream, whole or partial line."""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

LONGEST_LINE = 16 * 1024
_CHUNK = 64 * 1024


@dataclass(frozen=True, slots=True)
class LogOptions:
    """What `kubectl logs` can ask for."""

    follow: bool = False
    timestamps: bool = False
    tail_lines: int | None = None
    since: datetime | None = None
    limit_bytes: int | None = None


class ContainerLog:
    """The log of one run of a container: written here, read by any number of readers."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        self._file = path.open("ab", buffering=0)
        self._open_streams = 0
        self._drained = asyncio.Event()
        self._grown: set[asyncio.Event] = set()
        self.closed = False

    def stream(self, name: str) -> asyncio.Protocol:
        """A protocol for one of the process's pipes, `stdout` or `stderr`."""
        self._open_streams += 1
        return _Stream(lambda line, whole: self._write(name, line, whole), self._stream_ended)

    async def drain(self, seconds: float) -> None:
        """Wait until the process's pipes are at their end, at most so long, then close the log."""
        try:
            async with asyncio.timeout(seconds):
                await self._drained.wait()
        except TimeoutError:
            pass  # something that left the process group still holds a pipe
        self.close()

    def close(self) -> None:
        """No more lines will come."""
        if not self.closed:
            self.closed = True
            self._file.close()
            self._notify()

    def subscribe(self) -> asyncio.Event:
        """An event that is set whenever the log grows or closes."""
        event = asyncio.Event()
        self._grown.add(event)
        return event

    def unsubscribe(self, event: asyncio.Event) -> None:
        """Forget a subscriber."""
        self._grown.discard(event)

    def _write(self, stream: str, line: bytes, whole: bool) -> None:
        if not self.closed:
            time = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f000Z")
            self._file.write(f"{time} {stream} {'F' if whole else 'P'} ".encode() + line + b"\n")
            self._notify()

    def _stream_ended(self) -> None:
        self._open_streams -= 1
        if not self._open_streams:
            self._drained.set()

    def _notify(self) -> None:
        for event in self._grown:
            event.set()


class _Stream(asyncio.Protocol):
    def __init__(self, write: Callable[[bytes, bool], None], ended: Callable[[], None]) -> None:
        self._write = write
        self._ended = ended
        self._rest = b""

    def data_received(self, data: bytes) -> None:
        *lines, rest = (self._rest + data).split(b"\n")
        for line in lines:
            self._write(line, True)
        while len(rest) >= LONGEST_LINE:
            self._write(rest[:LONGEST_LINE], False)
            rest = rest[LONGEST_LINE:]
        self._rest = rest

    def connection_lost(self, exc: Exception | None) -> None:
        if self._rest:
            self._write(self._rest, False)
        self._ended()


@dataclass(frozen=True, slots=True)
class LogFile:
    """Where a log is, and the one who writes it, if it still runs."""

    path: Path
    live: ContainerLog | None


async def read(path: Path, options: LogOptions, live: ContainerLog | None = None) -> AsyncIterator[bytes]:
    """The log's text, in pieces. Follows `live` to its end where asked to."""
    left = options.limit_bytes
    async for piece in _pieces(path, options, live):
        if left is not None:
            piece = piece[:left]
            left -= len(piece)
        yield piece
        if left == 0:
            return


async def _pieces(path: Path, options: LogOptions, live: ContainerLog | None) -> AsyncIterator[bytes]:
    grown = live.subscribe() if live and options.follow else None
    try:
        with path.open("rb") as file:
            file.seek(tail_offset(path, options.tail_lines))
            while True:
                # In this order: what is written between the look and the read only makes for one more round.
                at_end = grown is None or (live is not None and live.closed)
                if grown is not None:
                    grown.clear()
                while lines := file.readlines(_CHUNK):
                    yield b"".join(_shown(line, options) for line in lines)
                if at_end or grown is None:
                    return
                await grown.wait()
    finally:
        if live and grown:
            live.unsubscribe(grown)


def _shown(record: bytes, options: LogOptions) -> bytes:
    time, _, rest = record.partition(b" ")
    _, _, rest = rest.partition(b" ")
    flag, _, text = rest.partition(b" ")
    if options.since is not None and _parsed(time) < options.since:
        return b""
    text = text if flag == b"F" else text.removesuffix(b"\n")
    return time + b" " + text if options.timestamps else text


def _parsed(time: bytes) -> datetime:
    return datetime.fromisoformat(time.decode()[:26] + "+00:00")


def tail_offset(path: Path, lines: int | None) -> int:
    """Where the last `lines` lines of a log begin. Partial records count with the line that they belong to."""
    if lines is None:
        return 0
    size = path.stat().st_size
    if lines == 0:
        return size
    with path.open("rb") as file:
        end, tail = size, b""
        while end:
            start = max(0, end - _CHUNK)
            file.seek(start)
            tail, end = file.read(end - start) + tail, start
            records = tail.split(b"\n")[:-1]
            # The first record may be cut off, so it does not count unless the file begins with it.
            starts = [i for i in range(len(records)) if (i or not start) and (i == 0 or _whole(records[i - 1]))]
            if len(starts) > lines or (not start and len(starts) >= lines):
                return size - len(b"\n".join(records[starts[-lines] :])) - 1
    return 0


def _whole(record: bytes) -> bool:
    return record[:64].split(b" ", 3)[2:3] == [b"F"]


def last_text(path: Path, *, lines: int, size: int) -> str:
    """The end of a log without times: at most so many lines and bytes."""
    with path.open("rb") as file:
        file.seek(tail_offset(path, lines))
        text = b"".join(_shown(record, LogOptions()) for record in file)
    return text[-size:].decode(errors="replace")
