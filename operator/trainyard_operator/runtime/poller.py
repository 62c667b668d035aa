"""Asks pods in the background, so that one that does not answer keeps nobody waiting.

A reconcile names what it wants to know and gets the last answer at once. Whoever's answer changes is reconciled again.
Pods that do not answer are asked ever more rarely, and by workers of their own: five hundred of them delay nothing.
"""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Generic, TypeVar

from trainyard_api.times import Clock, utc_now
from trainyard_operator.runtime.reconciler import Key

logger = logging.getLogger(__name__)

Question = TypeVar("Question")
Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True)
class Reading(Generic[Answer]):
    """The last answer, and when it came."""

    answer: Answer
    at: datetime


@dataclass(slots=True)
class _Subject(Generic[Answer]):
    """What is known of one pod that is asked.

    Attributes:
        key: Who wants to know.
        wanted: When it wanted to know last, on the loop's clock.
        silences: How often the pod did not answer in a row.
    """

    key: Key
    wanted: float
    silences: int = 0
    reading: Reading[Answer] | None = None


@dataclass(slots=True)
class Poller(Generic[Question, Answer]):
    """Asks each question again and again, as long as somebody wants to know.

    Attributes:
        ask: Asks; must have a time limit of its own. None is no answer.
        wake: Told of the key whose answer is another than before.
        interval: Seconds between two questions to a pod that answers.
        retry: Seconds until a pod is asked again that does not, twice as many each time, up to `longest`.
        is_answer: Whether an answer is what was hoped for; any other counts as none.
        forgotten: Seconds after which nobody is asked any more whose answer nobody has wanted.
        at_once: Questions in flight to pods that answer, and to those that do not: so many each.
    """

    ask: Callable[[Question], Awaitable[Answer | None]]
    wake: Callable[[Key], None]
    interval: float
    retry: float
    longest: float = 60.0
    is_answer: Callable[[Answer], bool] = lambda _: True
    forgotten: float = 180.0
    at_once: int = 16
    clock: Clock = utc_now
    jitter: Callable[[], float] = random.random
    _subjects: dict[Question, "_Subject[Answer]"] = field(default_factory=dict)
    _due: "asyncio.Queue[Question]" = field(default_factory=asyncio.Queue)
    _silent: "asyncio.Queue[Question]" = field(default_factory=asyncio.Queue)

    def __len__(self) -> int:
        return len(self._subjects)

    def latest(self, key: Key, question: Question) -> Reading[Answer] | None:
        """Return the last answer, or None where there is none yet; the question is asked from now on."""
        now = asyncio.get_running_loop().time()
        subject = self._subjects.get(question)
        if subject is None:
            self._subjects[question] = _Subject(key, now)
            self._due.put_nowait(question)
            return None
        subject.key, subject.wanted = key, now
        return subject.reading

    async def run(self) -> None:
        """Ask until cancelled."""
        async with asyncio.TaskGroup() as group:
            for queue in (self._due, self._silent):
                for _ in range(self.at_once):
                    group.create_task(self._work(queue))

    async def _work(self, queue: "asyncio.Queue[Question]") -> None:
        while True:
            question = await queue.get()
            subject = self._subjects[question]
            loop = asyncio.get_running_loop()
            if loop.time() - subject.wanted > self.forgotten:
                del self._subjects[question]
                continue
            self._take(subject, await self._answer(question))
            pause = self.interval
            if subject.silences:
                pause = min(self.longest, self.retry * 2 ** min(subject.silences - 1, 10))
            lane = self._silent if subject.silences else self._due
            loop.call_later(pause * (0.9 + self.jitter() / 5), lane.put_nowait, question)

    async def _answer(self, question: Question) -> Answer | None:
        try:
            return await self.ask(question)
        except Exception:
            logger.exception("Asking %s failed", question)
            return None

    def _take(self, subject: "_Subject[Answer]", answer: Answer | None) -> None:
        good = answer is not None and self.is_answer(answer)
        subject.silences = 0 if good else subject.silences + 1
        if answer is None:
            return
        before, subject.reading = subject.reading, Reading(answer, self.clock())
        if before is None or before.answer != answer:
            self.wake(subject.key)
