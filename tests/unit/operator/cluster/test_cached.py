"""Reads that cost nothing, and writes that are known at once."""

import pytest

from support.fake_cluster import FakeCluster
from support.watching import Watching
from trainyard_operator.cluster.errors import Conflict, NotFound
from trainyard_operator.cluster.kinds import CONFIG_MAP, JOB

LABELS = {"app.kubernetes.io/managed-by": "trainyard"}
A_JOB = {"metadata": {"name": "a", "namespace": "team", "labels": LABELS}, "spec": {}}


async def test_what_is_watched_is_read_without_a_call() -> None:
    cluster = FakeCluster()
    cluster.put(JOB, A_JOB)
    watching = Watching(cluster)

    assert [each["metadata"]["name"] for each in await watching.port.select(JOB, "team", labels=LABELS)] == ["a"]
    assert (await watching.port.get(JOB, "team", "a"))["metadata"]["name"] == "a"
    assert cluster.calls == []


async def test_what_must_be_certain_is_asked_of_the_server() -> None:
    cluster = FakeCluster()
    watching = Watching(cluster)
    cluster.put(JOB, A_JOB)

    assert len(await watching.port.select(JOB, "team", labels=LABELS, live=True)) == 1
    assert await watching.port.get(JOB, "team", "a", live=True)
    assert cluster.calls == [("list", "jobs"), ("get", "jobs")]
    assert len(await watching.port.select(JOB, "team", labels=LABELS)) == 1


async def test_what_the_watch_knows_nothing_of_is_looked_for_and_only_the_server_says_that_it_is_gone() -> None:
    cluster = FakeCluster()
    watching = Watching(cluster)
    cluster.put(JOB, A_JOB)
    assert await watching.port.get(JOB, "team", "a")

    with pytest.raises(NotFound):
        await watching.port.get(JOB, "team", "b")
    assert cluster.calls == [("get", "jobs"), ("get", "jobs")]


async def test_while_a_watch_is_lost_everything_is_read_from_the_server() -> None:
    cluster = FakeCluster()
    cluster.put(JOB, A_JOB)
    watching = Watching(cluster)
    watching.reliable = False

    await watching.port.select(JOB, "team", labels=LABELS)
    await watching.port.get(JOB, "team", "a")

    assert cluster.calls == [("list", "jobs"), ("get", "jobs")]


async def test_objects_that_are_not_watched_are_neither_answered_from_the_cache_nor_kept() -> None:
    cluster = FakeCluster()
    cluster.put(CONFIG_MAP, {"metadata": {"name": "rows", "namespace": "team"}, "data": {"x": "1"}})
    watching = Watching(cluster)
    for _ in range(2):
        await watching.port.get(CONFIG_MAP, "team", "rows")
        await watching.port.select(CONFIG_MAP, "team")
    assert cluster.calls == [("get", "configmaps"), ("list", "configmaps")] * 2


async def test_an_own_write_is_read_back_before_its_event_comes() -> None:
    cluster = FakeCluster()
    watching = Watching(cluster)
    created = await watching.port.create(JOB, A_JOB)
    assert await watching.port.get(JOB, "team", "a") == created

    applied = await watching.port.apply(JOB, created | {"spec": {"suspend": True}})
    assert (await watching.port.get(JOB, "team", "a"))["spec"] == applied["spec"] == {"suspend": True}

    await watching.port.apply_status(JOB, {"metadata": applied["metadata"], "status": {"active": 1}})
    assert (await watching.port.get(JOB, "team", "a"))["status"] == {"active": 1}

    await watching.port.delete(JOB, "team", "a", uid=created["metadata"]["uid"])
    assert await watching.port.select(JOB, "team", labels=LABELS) == []


async def test_what_somebody_was_faster_to_change_is_read_anew() -> None:
    cluster = FakeCluster()
    stale = cluster.put(JOB, A_JOB)
    watching = Watching(cluster)
    cluster.put(JOB, stale | {"spec": {"suspend": True}})

    with pytest.raises(Conflict):
        await watching.port.apply(JOB, stale | {"spec": {"suspend": False}})

    assert (await watching.port.get(JOB, "team", "a"))["spec"] == {"suspend": True}
