import asyncio
from collections.abc import AsyncIterator, Callable

import pytest

from trainyard_devcluster.client import Client
from trainyard_devcluster.informer import Informer
from trainyard_devcluster.resources import PODS, Object

from .conftest import ScriptedApi, a_pod


class Followed:
    """An informer that runs, and the changes that it told of as short words."""

    def __init__(self, client: Client) -> None:
        self.informer = Informer(client, PODS, indexes={"node": lambda pod: [pod["spec"]["nodeName"]]})
        self.changes: list[str] = []
        self._changed = asyncio.Event()
        self.informer.on_change(self._note)

    def _note(self, old: Object | None, new: Object | None) -> None:
        sides = [side["metadata"] if side else None for side in (old, new)]
        words = [f"{side['name']}@{side['resourceVersion']}" if side else "-" for side in sides]
        self.changes.append(" > ".join(words))
        self._changed.set()

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(5):
            while not condition():
                self._changed.clear()
                await self._changed.wait()


@pytest.fixture
async def followed(client: Client, api: ScriptedApi) -> AsyncIterator[Followed]:
    followed = Followed(client)
    task = asyncio.create_task(followed.informer.run())
    yield followed
    api.events.put_nowait(None)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_handlers_hear_of_the_list_first_and_then_of_every_change(api: ScriptedApi, followed: Followed) -> None:
    api.items, api.version = [a_pod("a", 1)], 3
    await followed.informer.synced.wait()
    api.emit("ADDED", a_pod("b", 4))
    api.emit("MODIFIED", a_pod("a", 5))
    api.emit("BOOKMARK", {"metadata": {"resourceVersion": "6"}})
    api.emit("DELETED", a_pod("b", 7))
    await followed.until(lambda: len(followed.changes) == 4)
    assert followed.changes == ["- > a@1", "- > b@4", "a@1 > a@5", "b@7 > -"]
    assert [pod["metadata"]["name"] for pod in followed.informer] == ["a"]


async def test_a_new_watch_starts_where_the_last_one_ended(api: ScriptedApi, followed: Followed) -> None:
    await followed.informer.synced.wait()
    api.emit("BOOKMARK", {"metadata": {"resourceVersion": "40"}})
    api.events.put_nowait(None)
    api.emit("ADDED", a_pod("a", 41))
    await followed.until(lambda: len(followed.changes) == 1)
    watches = [path for _, path, _, _ in api.requests if "watch=true" in path]
    assert "resourceVersion=1&" in watches[0]
    assert "resourceVersion=40&" in watches[1]


async def test_what_was_deleted_while_the_watch_was_too_old_is_told_as_deleted(
    api: ScriptedApi, followed: Followed
) -> None:
    api.items, api.version = [a_pod("a", 1), a_pod("b", 2)], 2
    await followed.informer.synced.wait()
    api.items, api.version = [a_pod("b", 2), a_pod("c", 8)], 9
    api.emit("ERROR", {"code": 410, "message": "too old"})
    await followed.until(lambda: "- > c@8" in followed.changes)
    assert followed.changes == ["- > a@1", "- > b@2", "a@1 > -", "- > c@8"]


async def test_an_object_made_anew_under_its_old_name_is_a_deletion_and_an_addition(
    api: ScriptedApi, followed: Followed
) -> None:
    api.items = [a_pod("a", 1, uid="first")]
    await followed.informer.synced.wait()
    api.items, api.version = [a_pod("a", 5, uid="second")], 5
    api.emit("ERROR", {"code": 410})
    await followed.until(lambda: len(followed.changes) == 3)
    assert followed.changes == ["- > a@1", "a@1 > -", "- > a@5"]


async def test_our_own_write_is_seen_at_once_and_the_watch_does_not_repeat_it(
    api: ScriptedApi, followed: Followed
) -> None:
    await followed.informer.synced.wait()
    followed.informer.observe(a_pod("a", 4))
    assert followed.informer.get("default", "a") == a_pod("a", 4)
    api.emit("ADDED", a_pod("a", 4))
    api.emit("MODIFIED", a_pod("a", 6))
    await followed.until(lambda: "a@4 > a@6" in followed.changes)
    assert followed.changes == ["- > a@4", "a@4 > a@6"]


async def test_an_answer_that_the_watch_has_overtaken_does_not_bring_a_deleted_object_back(
    api: ScriptedApi, followed: Followed
) -> None:
    await followed.informer.synced.wait()
    api.emit("ADDED", a_pod("a", 4))
    api.emit("DELETED", a_pod("a", 5))
    await followed.until(lambda: "a@5 > -" in followed.changes)
    followed.informer.observe(a_pod("a", 4))
    assert list(followed.informer) == []


async def test_an_index_follows_the_object(api: ScriptedApi, followed: Followed) -> None:
    api.items = [a_pod("a", 1)]
    await followed.informer.synced.wait()
    assert [pod["metadata"]["name"] for pod in followed.informer.by_index("node", "")] == ["a"]
    api.emit("MODIFIED", a_pod("a", 2, node="n1"))
    await followed.until(lambda: "a@1 > a@2" in followed.changes)
    assert followed.informer.by_index("node", "") == []
    assert followed.informer.by_index("node", "n1") == [a_pod("a", 2, node="n1")]


async def test_a_server_that_is_down_at_the_start_is_waited_for(api: ScriptedApi, client: Client) -> None:
    api.refusal = (503, {"message": "starting"})
    informer = Informer(client, PODS)
    task = asyncio.create_task(informer.run())
    async with asyncio.timeout(5):
        await api.refused.wait()
        assert not informer.synced.is_set()
        api.refusal = None
        await informer.synced.wait()
    api.events.put_nowait(None)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
