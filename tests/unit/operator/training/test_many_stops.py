"""A training that is stopped again and again goes on for as long as it gets further."""

from datetime import timedelta

import pytest

from support.training import START, World, a_report, a_training_job
from trainyard_api.run_policy import RunPolicy
from trainyard_api.trainingjob import Attempt
from trainyard_operator.training.attempts import Ledger, delay, disruptions, plan


def stops(*checkpoints: int | None) -> tuple[Attempt, ...]:
    return tuple(
        Attempt(n=n, outcome="Stopped", ended="2026-11-23T10:00:00Z", checkpoint=checkpoint)
        for n, checkpoint in enumerate(checkpoints)
    )


@pytest.mark.parametrize(
    ("checkpoints", "count"),
    [
        pytest.param([None] * 3, 3, id="no checkpoint"),
        pytest.param([10, 20, 30], 0, id="further each time"),
        pytest.param([10, 10, 10], 2, id="no further"),
        pytest.param([10, None, None, 20, None], 1, id="counted anew"),
        pytest.param([30, 20, 40], 0, id="further than ever"),
    ],
)
def test_stops_are_counted_anew_when_a_checkpoint_got_further(checkpoints: list[int | None], count: int) -> None:
    assert disruptions(stops(*checkpoints)) == count


@pytest.mark.parametrize(
    ("most", "count", "step"),
    [
        pytest.param(20, 20, "start", id="as many as are borne"),
        pytest.param(20, 21, "fail", id="one too many"),
        pytest.param(0, 1, "fail", id="none is borne"),
        pytest.param(-1, 200, "start", id="any number"),
    ],
)
def test_the_spec_says_how_many_stops_are_borne(most: int, count: int, step: str) -> None:
    ledger = Ledger(stops(*[None] * count), None)
    policy = RunPolicy.model_validate({"maxDisruptions": most})

    assert plan(ledger, policy, leaving=False, now=START + timedelta(hours=1)).step == step


@pytest.mark.parametrize(
    ("count", "seconds"),
    [(1, 1), (2, 2), (3, 4), (9, 256), (10, 300), (100, 300)],
    ids=lambda value: str(value),
)
def test_the_pause_grows_with_each_stop_that_brought_nothing(count: int, seconds: int) -> None:
    assert delay(stops(*[None] * count)) == timedelta(seconds=seconds)


@pytest.mark.exhaustive
async def test_more_preemptions_than_are_kept_with_progress_end_no_training() -> None:
    world = await World().put(a_training_job()).running()
    for number in range(105):
        word = a_report(model=None, lastCheckpoint={"step": 10 * number, "path": "x", "time": "2026-11-23T10:00:00Z"})
        world.fail(number, code=75, message=word)
        await world.settle()
        await world.later(seconds=1).running(number + 1)

    status = world.status()
    assert status["phase"] in ("Starting", "Running")
    assert (status["disruptions"], status["restarts"]) == (0, 0)
    assert len(status["attempts"]) <= 104
    assert status["attempts"][-1]["n"] == 105
