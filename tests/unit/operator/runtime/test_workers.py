import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from trainyard_operator.cluster.errors import Unavailable
from trainyard_operator.runtime.backoff import Backoff
from trainyard_operator.runtime.metrics import Metrics
from trainyard_operator.runtime.queue import WorkQueue
from trainyard_operator.runtime.reconciler import DONE, Key, Outcome
from trainyard_operator.runtime.workers import Workers

KEY = Key("TrainingJob", "team", "a")


class Script:
    """Answers reconciles with a list of outcomes, errors and calls."""

    def __init__(self, *answers: Outcome | BaseException | Callable[[], object]) -> None:
        self.answers = list(answers)
        self.reconciled = asyncio.Semaphore(0)

    async def reconcile(self, key: Key) -> Outcome:
        answer = self.answers.pop(0)
        self.reconciled.release()
        if isinstance(answer, BaseException):
            raise answer
        if isinstance(answer, Outcome):
            return answer
        result = answer()
        assert asyncio.iscoroutine(result)
        await result
        return DONE


@asynccontextmanager
async def working(script: Script, deadline: float = 5) -> AsyncIterator[Workers]:
    metrics = Metrics("test")
    workers = Workers(
        queue=WorkQueue(metrics),
        reconcilers={"TrainingJob": script},
        metrics=metrics,
        backoff=Backoff(base=0.01, jitter=lambda: 1.0),
        deadline=deadline,
        expected=(Unavailable,),
    )
    task = asyncio.create_task(workers.run(2))
    yield workers
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


def sample(workers: Workers, metric: str, /, **labels: str) -> float | None:
    return workers.metrics.registry.get_sample_value(metric, labels)


async def times(script: Script, count: int) -> None:
    for _ in range(count):
        await asyncio.wait_for(script.reconciled.acquire(), 5)
    await asyncio.sleep(0)


async def test_a_key_is_reconciled_and_counted() -> None:
    script = Script(DONE)
    async with working(script) as workers:
        workers.queue.add(KEY)
        await times(script, 1)

        assert sample(workers, "controller_runtime_reconcile_total", controller="TrainingJob", result="success") == 1
        assert sample(workers, "workqueue_adds_total", name="TrainingJob") == 1
        assert sample(workers, "workqueue_depth", name="TrainingJob") == 0
        assert sample(workers, "controller_runtime_active_workers", controller="TrainingJob") == 0


async def test_an_outcome_with_a_delay_comes_back() -> None:
    script = Script(Outcome(0.01), DONE)
    async with working(script) as workers:
        workers.queue.add(KEY)
        await times(script, 2)

        assert (
            sample(workers, "controller_runtime_reconcile_total", controller="TrainingJob", result="requeue_after") == 1
        )


async def test_a_busy_api_server_is_one_line_in_the_log_and_a_bug_is_a_trace(
    caplog: pytest.LogCaptureFixture,
) -> None:
    script = Script(Unavailable("HTTP 503", code=503), ZeroDivisionError("a bug"), DONE)
    async with working(script) as workers:
        workers.queue.add(KEY)
        await times(script, 3)

        assert sample(workers, "controller_runtime_reconcile_errors_total", controller="TrainingJob") == 2
        assert workers.backoff.failing() == set()
    busy, bug = caplog.records
    assert (busy.levelno, busy.exc_info) == (logging.WARNING, None)
    assert bug.levelno == logging.ERROR
    assert bug.exc_info is not None


async def test_what_the_api_server_asks_to_wait_is_waited() -> None:
    script = Script(Unavailable("HTTP 429", code=429, retry_after=60))
    async with working(script) as workers:
        workers.queue.add(KEY)
        await times(script, 1)

        assert workers.queue.delayed() == {KEY}


async def test_a_reconcile_that_hangs_is_stopped_at_its_deadline_and_tried_again() -> None:
    script = Script(lambda: asyncio.sleep(60), DONE)
    async with working(script, deadline=0.01) as workers:
        workers.queue.add(KEY)
        await times(script, 2)

        assert workers.longest_running() == 0


async def test_a_worker_that_dies_takes_the_pool_down() -> None:
    class Death(BaseException):
        pass

    metrics = Metrics("test")
    queue = WorkQueue(metrics)
    workers = Workers(
        queue=queue,
        reconcilers={"TrainingJob": Script(Death())},
        metrics=metrics,
        backoff=Backoff(),
        deadline=5,
        expected=(),
    )
    queue.add(KEY)

    with pytest.raises(BaseExceptionGroup):
        await workers.run(2)
    assert workers.running == 0
