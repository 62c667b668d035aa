"""Pods are asked in the background: who is silent keeps nobody waiting, and who changes is noticed."""

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest

from trainyard_operator.runtime.poller import Poller
from trainyard_operator.runtime.reconciler import Key

KEY = Key("TrainingJob", "team", "churn")


@dataclass
class Pods:
    """Answers by name; a name without an answer is silent, and one that hangs never answers at all."""

    answers: dict[str, int] = field(default_factory=dict)
    hanging: set[str] = field(default_factory=set)
    asked: Counter[str] = field(default_factory=Counter)
    broken: bool = False

    async def ask(self, name: str) -> int | None:
        self.asked[name] += 1
        if self.broken:
            raise ZeroDivisionError("a bug")
        if name in self.hanging:
            await asyncio.Event().wait()
        return self.answers.get(name)


@dataclass
class Polled:
    pods: Pods
    poller: Poller[str, int]
    woken: list[Key]

    async def until(self, holds: Callable[[], bool]) -> None:
        deadline = asyncio.get_running_loop().time() + 5
        while not holds():
            assert asyncio.get_running_loop().time() < deadline, "waited for 5 s"
            await asyncio.sleep(0.002)


@asynccontextmanager
async def polling(pods: Pods, *, interval: float = 0.01, at_once: int = 4) -> AsyncIterator[Polled]:
    woken: list[Key] = []
    poller = Poller(pods.ask, woken.append, interval, 2 * interval, at_once=at_once, jitter=lambda: 0.5)
    task = asyncio.create_task(poller.run())
    yield Polled(pods, poller, woken)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_the_first_answer_wakes_and_is_there_at_once_from_then_on() -> None:
    async with polling(Pods({"a": 1})) as polled:
        assert polled.poller.latest(KEY, "a") is None
        await polled.until(lambda: bool(polled.woken))

        reading = polled.poller.latest(KEY, "a")

        assert reading is not None
        assert reading.answer == 1
        assert polled.woken == [KEY]


async def test_an_answer_that_stays_wakes_nobody_and_one_that_changes_does() -> None:
    async with polling(Pods({"a": 1})) as polled:
        polled.poller.latest(KEY, "a")
        await polled.until(lambda: polled.pods.asked["a"] > 3)
        assert polled.woken == [KEY]

        polled.pods.answers["a"] = 2

        await polled.until(lambda: len(polled.woken) == 2)


async def test_who_falls_silent_keeps_the_last_answer_with_its_time_and_is_asked_ever_more_rarely() -> None:
    async with polling(Pods({"a": 1})) as polled:
        polled.poller.latest(KEY, "a")
        await polled.until(lambda: bool(polled.woken))
        first = polled.poller.latest(KEY, "a")
        polled.pods.answers.clear()
        asked = polled.pods.asked["a"]
        await asyncio.sleep(0.3)

        assert polled.poller.latest(KEY, "a") is not None
        assert polled.poller.latest(KEY, "a").answer == first.answer == 1  # type: ignore[union-attr]
        assert polled.pods.asked["a"] - asked < 10


async def test_silent_pods_do_not_delay_the_answer_of_a_new_one() -> None:
    silent = {f"silent-{number}" for number in range(500)}
    async with polling(Pods({"new": 1}, hanging=set(list(silent)[:3])), at_once=4) as polled:
        for name in silent:
            polled.poller.latest(Key("TrainingJob", "team", name), name)
        await polled.until(lambda: len(polled.pods.asked) == 500)

        began = asyncio.get_running_loop().time()
        polled.poller.latest(KEY, "new")
        await polled.until(lambda: polled.woken == [KEY])

        assert asyncio.get_running_loop().time() - began < 1


async def test_a_bug_in_asking_is_logged_and_ends_nothing(caplog: pytest.LogCaptureFixture) -> None:
    async with polling(Pods({"a": 1}, broken=True)) as polled:
        polled.poller.latest(KEY, "a")
        await polled.until(lambda: polled.pods.asked["a"] > 1)
        polled.pods.broken = False
        await polled.until(lambda: bool(polled.woken))
    assert {record.levelno for record in caplog.records} == {logging.ERROR}


async def test_what_nobody_wants_to_know_any_more_is_not_asked() -> None:
    async with polling(Pods({"a": 1})) as polled:
        polled.poller.forgotten = 0.05
        polled.poller.latest(KEY, "a")
        await polled.until(lambda: len(polled.poller) == 0)
        asked = polled.pods.asked["a"]
        await asyncio.sleep(0.05)
        assert polled.pods.asked["a"] == asked
