"""Container logs as they are written and read."""

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from support.eventually import eventually
from trainyard_devcluster.node.logs import LONGEST_LINE, ContainerLog, LogOptions, last_text, read


def a_log(path: Path, *chunks: bytes) -> Path:
    """A finished log of these pieces of output."""
    log = ContainerLog(path)
    stream = log.stream("stdout")
    for chunk in chunks:
        stream.data_received(chunk)
    stream.connection_lost(None)
    log.close()
    return path


async def text(path: Path, **options: object) -> str:
    return b"".join([piece async for piece in read(path, LogOptions(**options))]).decode()  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("chunks", "options", "shown"),
    [
        ([b"a\nb\n"], {}, "a\nb\n"),
        ([b"a", b"b\nc"], {}, "ab\nc"),
        ([b"a\nb\nc\n"], {"tail_lines": 2}, "b\nc\n"),
        ([b"a\nb\n"], {"tail_lines": 9}, "a\nb\n"),
        ([b"a\nb\n"], {"tail_lines": 0}, ""),
        ([b"a\nb\nc"], {"tail_lines": 1}, "c"),
        ([b"abc\ndef\n"], {"limit_bytes": 5}, "abc\nd"),
        ([b"\n\n"], {}, "\n\n"),
        ([], {}, ""),
        ([b"x" * 3 * LONGEST_LINE + b"\ny\n"], {"tail_lines": 2}, "x" * 3 * LONGEST_LINE + "\ny\n"),
        ([b"x" * 9 * LONGEST_LINE + b"\ny\n"], {"tail_lines": 1}, "y\n"),
    ],
)
async def test_a_log_gives_back_what_was_written(
    tmp_path: Path, chunks: list[bytes], options: dict[str, object], shown: str
) -> None:
    assert await text(a_log(tmp_path / "0.log", *chunks), **options) == shown


async def test_lines_carry_their_time_where_asked_and_can_be_chosen_by_it(tmp_path: Path) -> None:
    before = datetime.now(UTC)
    path = a_log(tmp_path / "0.log", b"a\n")
    time, _, line = (await text(path, timestamps=True)).partition(" ")
    assert line == "a\n"
    assert before <= datetime.fromisoformat(time[:26] + "+00:00") <= datetime.now(UTC)
    assert await text(path, since=before - timedelta(seconds=1)) == "a\n"
    assert await text(path, since=datetime.now(UTC) + timedelta(seconds=1)) == ""


async def test_a_log_can_be_followed_to_its_end(tmp_path: Path) -> None:
    log = ContainerLog(tmp_path / "0.log")
    stream = log.stream("stdout")
    stream.data_received(b"first\n")
    seen: list[bytes] = []

    async def follow() -> None:
        async for piece in read(log.path, LogOptions(follow=True), log):
            seen.append(piece)

    following = asyncio.create_task(follow())
    await eventually(lambda: b"".join(seen) == b"first\n")
    stream.data_received(b"second\n")
    await eventually(lambda: b"".join(seen) == b"first\nsecond\n")
    stream.connection_lost(None)
    await log.drain(1)
    await following


async def test_the_end_of_a_log_serves_as_a_message(tmp_path: Path) -> None:
    path = a_log(tmp_path / "0.log", b"".join(b"line %d\n" % n for n in range(200)))
    message = last_text(path, lines=80, size=2048)
    assert message.startswith("line 120\n")
    assert message.endswith("line 199\n")
    assert len(last_text(path, lines=80, size=10)) == 10
