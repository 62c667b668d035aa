"""A watch that is cut, blinded, sent away and lied to still ends up with what the server has."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from trainyard_operator.cluster.errors import ApiError, ConnectionLost, Forbidden, NotFound, Unavailable
from trainyard_operator.cluster.kinds import JOB, Kind
from trainyard_operator.cluster.reflector import Reflector
from trainyard_operator.cluster.store import StoreChange

Manifest = dict[str, Any]
LABELS = {"app.kubernetes.io/managed-by": "trainyard"}


def a_job(name: str = "a", *, at: int = 1) -> Manifest:
    metadata = {"name": name, "namespace": "team", "uid": f"uid-{name}", "resourceVersion": str(at), "labels": LABELS}
    return {"kind": "Job", "metadata": metadata}


def an_event(kind: str, manifest: Manifest) -> bytes:
    return json.dumps({"type": kind, "object": manifest}).encode() + b"\n"


def a_bookmark(at: int) -> bytes:
    return an_event("BOOKMARK", {"kind": "Job", "metadata": {"resourceVersion": str(at)}})


def an_error(code: int) -> bytes:
    return an_event("ERROR", {"kind": "Status", "code": code, "message": f"HTTP {code}"})


@dataclass
class Script:
    """Answers lists and watches as laid out; when nothing is left, the watch just goes on."""

    lists: list[tuple[list[Manifest], str] | ApiError]
    watches: list[list[bytes | ApiError]] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    at_rest: asyncio.Event = field(default_factory=asyncio.Event)

    async def snapshot(
        self, kind: Kind, namespace: str | None = None, *, labels: Mapping[str, str] | None = None
    ) -> tuple[list[Manifest], str]:
        self.asked.append("list")
        answer = self.lists.pop(0)
        if isinstance(answer, ApiError):
            raise answer
        return answer

    async def watch(
        self, kind: Kind, namespace: str | None, *, labels: Mapping[str, str], version: str
    ) -> AsyncIterator[bytes]:
        self.asked.append(f"watch from {version}")
        if not self.watches:
            self.at_rest.set()
            await asyncio.Event().wait()
        for line in self.watches.pop(0):
            if isinstance(line, ApiError):
                raise line
            yield line


@dataclass
class Watched:
    reflector: Reflector
    changes: list[str]
    relists: list[int]
    pauses: list[float]

    @property
    def names(self) -> list[str]:
        return [each["metadata"]["name"] for each in self.reflector.store.select("team", {})]


async def watched(script: Script) -> Watched:
    """Run a reflector until the script is at its end."""
    changes: list[str] = []
    relists: list[int] = []
    pauses: list[float] = []

    def on_change(kind: Kind, change: StoreChange) -> None:
        changes.append(f"{'-' if change.gone else '+'}{change.manifest['metadata']['name']}")

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)
        await asyncio.sleep(0)

    reflector = Reflector(
        script, JOB, None, LABELS, on_change=on_change, on_relist=lambda: relists.append(1), sleep=sleep
    )
    task = asyncio.create_task(reflector.run())
    resting = asyncio.create_task(script.at_rest.wait())
    await asyncio.wait([task, resting], timeout=5, return_when=asyncio.FIRST_COMPLETED)
    assert script.at_rest.is_set(), f"the reflector did not come to rest: {script.asked}"
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    return Watched(reflector, changes, relists, pauses)


async def test_it_lists_once_and_then_follows_the_watch() -> None:
    events = [an_event("ADDED", a_job("b", at=3)), an_event("DELETED", a_job("a", at=4)), a_bookmark(9)]
    script = Script(lists=[([a_job("a")], "2")], watches=[events])

    result = await watched(script)

    assert script.asked == ["list", "watch from 2", "watch from 9"]
    assert result.names == ["b"]
    assert result.changes == ["+b", "-a"]
    assert result.reflector.problem is None


async def test_before_the_first_list_nothing_is_to_be_relied_on() -> None:
    reflector = Reflector(Script(lists=[]), JOB, None, LABELS)
    assert reflector.problem == "it has not been listed yet"
    assert not reflector.tried.is_set()
    assert not reflector.is_reliable()


async def test_what_vanished_while_nobody_watched_is_noticed_in_the_next_list() -> None:
    script = Script(
        lists=[([a_job("a"), a_job("b")], "2"), ([a_job("b"), a_job("c", at=7)], "8")], watches=[[an_error(410)]]
    )

    result = await watched(script)

    assert script.asked == ["list", "watch from 2", "list", "watch from 8"]
    assert result.names == ["b", "c"]
    assert sorted(result.changes) == ["+c", "-a"]
    assert len(result.relists) == 1


async def test_a_list_of_what_is_known_wakes_nobody() -> None:
    listed = ([a_job("a"), a_job("b")], "2")
    result = await watched(Script(lists=[listed, listed], watches=[[an_error(410)]]))
    assert result.changes == []


@pytest.mark.parametrize(
    "cut",
    [
        pytest.param([ConnectionLost("reset")], id="reset"),
        pytest.param([a_bookmark(2)], id="ended by the server"),
        pytest.param([an_event("ADDED", a_job("b", at=3))[:20]], id="cut in a line"),
        pytest.param([b"<html>please log in</html>\n"], id="a page"),
        pytest.param([b"null\n"], id="null"),
        pytest.param([b'{"type": "ADDED"}\n'], id="without an object"),
        pytest.param([an_event("ADDED", {"kind": "Secret", "metadata": {}})], id="of another kind"),
        pytest.param([an_event("ADDED", {"kind": "Job", "metadata": {"resourceVersion": "3"}})], id="without a name"),
        pytest.param([], id="empty"),
    ],
)
async def test_a_watch_that_is_cut_once_goes_on_where_it_was_without_a_word(
    caplog: pytest.LogCaptureFixture, cut: list[bytes | ApiError]
) -> None:
    script = Script(lists=[([a_job("a")], "2")], watches=[cut, [an_event("ADDED", a_job("b", at=3))]])

    result = await watched(script)

    assert script.asked[:3] == ["list", "watch from 2", "watch from 2"]
    assert result.names == ["a", "b"]
    assert caplog.records == []


async def test_a_server_that_is_away_for_long_is_one_warning_and_one_line_when_it_is_back(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    down = Unavailable("connection refused")
    script = Script(
        lists=[([a_job("a")], "2"), *[down] * 8, ([a_job("a")], "3")], watches=[[ConnectionLost("reset")], [down]]
    )

    result = await watched(script)

    assert [(record.levelname, record.getMessage()) for record in caplog.records] == [
        ("WARNING", "The watch of jobs was lost, and is tried again: connection refused"),
        ("INFO", "The watch of jobs is back"),
    ]
    assert result.reflector.problem is None
    assert max(result.pauses) <= 30
    assert result.pauses[-1] > result.pauses[0]


async def test_while_it_is_away_its_store_is_not_to_be_relied_on() -> None:
    seen: list[str | None] = []

    async def sleep(_: float) -> None:
        seen.append(reflector.problem)
        if len(seen) == 3:
            raise asyncio.CancelledError

    script = Script(
        lists=[([], "1"), *[Forbidden("forbidden: namespace team", code=403)] * 3], watches=[[an_error(410)]]
    )
    reflector = Reflector(script, JOB, "team", LABELS, sleep=sleep)
    with pytest.raises(asyncio.CancelledError):
        await reflector.run()
    assert seen == [None, "forbidden: namespace team", "forbidden: namespace team"]


async def test_an_answer_410_to_the_watch_itself_is_a_new_list_too() -> None:
    script = Script(lists=[([a_job("a")], "2"), ([], "5")], watches=[[ApiError("too old resource version", code=410)]])
    assert (await watched(script)).names == []


async def test_a_kind_that_the_cluster_may_lack_has_no_objects_until_there_is_one() -> None:
    async def sleep(_: float) -> None:
        await asyncio.sleep(0)

    script = Script(lists=[NotFound("no such kind", code=404)] * 2 + [([a_job("a")], "5")])
    reflector = Reflector(script, JOB, "team", LABELS, sleep=sleep, optional=True)
    task = asyncio.create_task(reflector.run())
    await reflector.tried.wait()
    assert (reflector.is_reliable(), len(reflector.store)) == (True, 0)

    await script.at_rest.wait()
    task.cancel()

    assert script.asked == ["list", "list", "list", "watch from 5"]
    assert (reflector.is_reliable(), len(reflector.store)) == (True, 1)
