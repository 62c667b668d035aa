"""GPU seconds: used, waiting and lost, each once."""

from typing import Any

import pytest

from support.training import World, a_report, a_training_job
from trainyard_api.gpu_seconds import GpuSeconds
from trainyard_api.trainingjob import Attempt
from trainyard_operator.training.accounting import add, newly_ended

MINUTE = "2026-11-23T10:{:02}:00Z"


def attempt(outcome: Any = "Failed", *, queued: int = 0, started: int | None = 2, ended: int = 12) -> Attempt:
    begun = None if started is None else MINUTE.format(started)
    return Attempt(n=0, outcome=outcome, queued=MINUTE.format(queued), started=begun, ended=MINUTE.format(ended))


@pytest.mark.parametrize(
    ("ended", "checkpoint", "used", "waiting", "lost"),
    [
        pytest.param(attempt("Succeeded"), None, 600, 120, 0, id="a success loses nothing"),
        pytest.param(attempt(), None, 600, 120, 600, id="a failure without a checkpoint loses all"),
        pytest.param(attempt("Stopped"), 11, 600, 120, 60, id="a stop loses what came after the checkpoint"),
        pytest.param(attempt(), 1, 600, 120, 600, id="a checkpoint of the attempt before saves nothing"),
        pytest.param(attempt(), 13, 600, 120, 0, id="a clock that is ahead loses nothing"),
        pytest.param(attempt(started=0), None, 720, 0, 720, id="a trainer that ran at once"),
        pytest.param(attempt(started=None), None, 0, 720, 0, id="a trainer that never ran has waited only"),
        pytest.param(Attempt(n=0, outcome="Stopped"), None, 0, 0, 0, id="an attempt of an older operator"),
    ],
)
def test_what_an_attempt_costs(ended: Attempt, checkpoint: int | None, used: int, waiting: int, lost: int) -> None:
    saved = None if checkpoint is None else MINUTE.format(checkpoint)

    found = add(GpuSeconds(used=1), [ended], gpus=4, checkpoint=saved)

    assert found == GpuSeconds(used=1 + 4 * used, waiting=4 * waiting, lost=4 * lost)


def test_a_training_without_gpus_costs_none() -> None:
    assert add(None, [attempt()], gpus=0, checkpoint=None) is None


def test_an_end_counts_when_it_is_recorded() -> None:
    running = attempt("Running")

    assert newly_ended([], [running]) == []
    assert newly_ended([running], [attempt()]) == [attempt()]
    assert newly_ended([attempt()], [attempt()]) == []


async def test_the_costs_of_a_life_are_counted_once() -> None:
    world = World().put(a_training_job().with_gpus(2))
    await world.settle()
    world.create_pod()
    await world.later(seconds=30).settle()
    world.run_pod()
    await world.settle()
    started = world.status()["attempts"][0]["started"]
    world.later(minutes=10).fail(code=1, startedAt=started)
    await world.settle()
    await world.restart().settle()
    assert world.status()["gpuSeconds"] == {"used": 1200, "waiting": 60, "lost": 1200}

    await world.later(seconds=10).running(1)
    started = world.status()["attempts"][1]["started"]
    world.later(minutes=5).end_pod(1, code=0, message=a_report(), startedAt=started)
    world.end_job(1, failed=False)
    await world.settle()

    assert world.status()["phase"] == "Succeeded"
    assert world.status()["gpuSeconds"] == {"used": 1800, "waiting": 60, "lost": 1200}
