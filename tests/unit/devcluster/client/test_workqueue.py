import asyncio

import pytest

from trainyard_devcluster.client import ApiError
from trainyard_devcluster.workqueue import FIRST_BACKOFF_SECONDS, LAST_BACKOFF_SECONDS, WorkQueue, work


async def test_a_key_added_twice_is_worked_on_once() -> None:
    queue: WorkQueue[str] = WorkQueue()
    for key in ("a", "b", "a"):
        queue.add(key)
    assert [await queue.get(), await queue.get()] == ["a", "b"]


async def test_a_key_added_while_it_is_worked_on_comes_again_only_afterwards() -> None:
    queue: WorkQueue[str] = WorkQueue()
    queue.add("a")
    assert await queue.get() == "a"
    queue.add("a")
    queue.add("b")
    assert await queue.get() == "b"
    queue.done("a")
    assert await queue.get() == "a"


async def test_delays_double_with_every_failure_and_start_anew_after_a_success() -> None:
    queue: WorkQueue[str] = WorkQueue()
    assert [queue.retry("a") for _ in range(3)] == pytest.approx([FIRST_BACKOFF_SECONDS * n for n in (1, 2, 4)])
    for _ in range(40):
        last = queue.retry("a")
    assert last == LAST_BACKOFF_SECONDS
    queue.succeeded("a")
    assert queue.retry("a") == FIRST_BACKOFF_SECONDS
    queue.close()


async def test_of_several_delays_the_earliest_counts() -> None:
    queue: WorkQueue[str] = WorkQueue()
    queue.add_after("a", 60)
    queue.add_after("a", 0.001)
    queue.add_after("a", 60)
    async with asyncio.timeout(5):
        assert await queue.get() == "a"
    queue.close()


async def test_workers_leave_a_namespace_that_is_ending_alone(caplog: pytest.LogCaptureFixture) -> None:
    queue: WorkQueue[str] = WorkQueue()
    calls: list[str] = []
    finished = asyncio.Event()

    async def sync(key: str) -> None:
        calls.append(key)
        if key == "last":
            finished.set()
            return
        cause = {"reason": "NamespaceTerminating"}
        raise ApiError(403, {"message": "no", "details": {"causes": [cause]}})

    queue.add("ending")
    queue.add_after("last", 0.05)
    task = asyncio.create_task(work(queue, sync, name="test"))
    async with asyncio.timeout(5):
        await finished.wait()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert calls == ["ending", "last"]
    assert caplog.text == ""


async def test_workers_try_a_failed_key_again_and_survive_any_error(caplog: pytest.LogCaptureFixture) -> None:
    queue: WorkQueue[str] = WorkQueue()
    calls: list[str] = []
    finished = asyncio.Event()

    async def sync(key: str) -> None:
        calls.append(key)
        if len(calls) < 3:
            raise ValueError("not yet")
        finished.set()

    queue.add("a")
    task = asyncio.create_task(work(queue, sync, name="test"))
    async with asyncio.timeout(5):
        await finished.wait()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert calls == ["a", "a", "a"]
    assert "not yet" in caplog.text
