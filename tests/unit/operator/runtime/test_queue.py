import asyncio
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainyard_operator.runtime.metrics import Metrics
from trainyard_operator.runtime.queue import WorkQueue
from trainyard_operator.runtime.reconciler import Key

A, B = Key("TrainingJob", "team", "a"), Key("TrainingJob", "team", "b")


def a_queue() -> WorkQueue:
    return WorkQueue(Metrics("test"))


async def test_a_key_that_waits_is_not_queued_twice() -> None:
    queue = a_queue()
    for key in (A, B, A):
        queue.add(key)

    assert [await queue.get(), await queue.get()] == [A, B]
    assert len(queue) == 0


async def test_a_key_added_while_it_is_worked_on_is_worked_on_again_but_not_at_the_same_time() -> None:
    queue = a_queue()
    queue.add(A)
    await queue.get()
    queue.add(A)
    queue.add(A)
    assert len(queue) == 0

    queue.done(A)

    assert len(queue) == 1
    assert await queue.get() == A


async def test_a_worker_that_waits_gets_the_next_key() -> None:
    queue = a_queue()
    waiting = asyncio.create_task(queue.get())
    await asyncio.sleep(0)

    queue.add(A)

    assert await waiting == A


async def test_a_cancelled_worker_passes_its_key_on() -> None:
    queue = a_queue()
    first, second = asyncio.create_task(queue.get()), asyncio.create_task(queue.get())
    await asyncio.sleep(0)
    queue.add(A)
    first.cancel()

    assert await asyncio.wait_for(second, 1) == A


async def test_of_several_delays_the_shortest_counts_and_the_key_comes_once() -> None:
    queue = a_queue()
    queue.add_after(A, 60)
    queue.add_after(A, 0.01)
    queue.add_after(A, 30)

    assert await asyncio.wait_for(queue.get(), 1) == A
    queue.done(A)
    assert queue.delayed() == set()


async def test_taking_a_key_drops_its_delay_because_its_reconcile_decides_anew() -> None:
    queue = a_queue()
    queue.add_after(A, 60)
    queue.add(A)

    await queue.get()

    assert queue.delayed() == set()


async def test_a_delayed_add_can_be_forgotten() -> None:
    queue = a_queue()
    queue.add_after(A, 60)

    queue.discard(A)

    assert queue.delayed() == set()


async def test_what_happened_goes_before_what_is_only_to_be_looked_at_again() -> None:
    queue = a_queue()
    queue.add(A, routine=True)
    queue.add(B)

    assert [await queue.get(), await queue.get()] == [B, A]


async def test_routine_that_becomes_news_changes_lanes_and_waits_once() -> None:
    queue = a_queue()
    for key in (B, A):
        queue.add(key, routine=True)
    queue.add(A)

    assert [await queue.get(), await queue.get()] == [A, B]
    assert len(queue) == 0


async def test_news_about_a_key_that_is_worked_on_stay_news() -> None:
    queue = a_queue()
    queue.add(A)
    await queue.get()
    queue.add(A)
    queue.add(A, routine=True)
    queue.add(B, routine=True)

    queue.done(A)

    assert await queue.get() == A


async def test_a_timer_is_routine() -> None:
    queue = a_queue()
    queue.add_after(A, 0)
    queue.add(B)

    assert await queue.get() == B


async def test_what_has_waited_for_long_takes_turns_with_news(monkeypatch: pytest.MonkeyPatch) -> None:
    queue = a_queue()
    old = [Key("TrainingJob", "team", f"old-{number}") for number in range(2)]
    new = [Key("TrainingJob", "team", f"new-{number}") for number in range(3)]
    for key in old:
        queue.add(key, routine=True)
    loop = asyncio.get_running_loop()
    now = loop.time()
    monkeypatch.setattr(loop, "time", lambda: now + 60)
    for key in new:
        queue.add(key)

    assert [await queue.get() for _ in range(5)] == [old[0], new[0], old[1], new[1], new[2]]


@given(st.lists(st.sampled_from(["add a", "add b", "add routine a", "add routine b", "get", "done"]), max_size=60))
def test_whatever_happens_no_key_is_lost_doubled_or_worked_on_twice_at_a_time(steps: list[str]) -> None:
    async def play() -> None:
        queue = a_queue()
        owed: Counter[Key] = Counter()
        busy: list[Key] = []
        for step in steps:
            if step.startswith("add"):
                key = A if step.endswith("a") else B
                queue.add(key, routine="routine" in step)
                owed[key] = 1
            elif step == "get" and len(queue):
                key = await queue.get()
                assert key not in busy
                busy.append(key)
                owed[key] = 0
            elif step == "done" and busy:
                queue.done(busy.pop(0))
        while busy:
            queue.done(busy.pop(0))
        while len(queue):
            key = await queue.get()
            owed[key] -= 1
            queue.done(key)
        assert not any(owed.values())

    asyncio.run(play())
