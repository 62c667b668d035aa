"""The progress of trainings one after the other: it only ever comes on."""

import itertools

import pytest

from trainyard_trainer.reporting.part_progress import PartTracker
from trainyard_trainer.reporting.progress_server import ProgressTracker, TrainingProgress


def trained(parts: list[tuple[float, int, int]], every: int = 7) -> list[TrainingProgress]:
    """Return the pictures of parts, each with its share of the whole, its steps at most, and when it stops."""
    whole, pictures, begin = ProgressTracker(), [], 0.0
    for share, most, done in parts:
        part = PartTracker(whole, begin=begin, end=begin + share)
        part.update(phase="training", steps=most, epochs=most // 10)
        pictures.append(whole.current)
        for step in [*range(0, done, every), done]:
            part.step_ended(step=step, epoch=step // 10, loss=1 / (step + 1))
            pictures.append(whole.current)
        begin += share
    return pictures


@pytest.mark.parametrize(
    "parts",
    [
        pytest.param([(0.2, 1000, 1000), (0.4, 300, 300), (0.4, 2000, 2000)], id="to their ends"),
        pytest.param([(0.2, 100_000, 120), (0.4, 300, 25), (0.4, 2000, 1999)], id="stopped early"),
        pytest.param([(0.2, 50, 0), (0.8, 3000, 700)], id="nothing done"),
    ],
)
def test_the_whole_never_goes_back(parts: list[tuple[float, int, int]]) -> None:
    pictures = trained(parts)

    for before, after in itertools.pairwise(pictures):
        assert after.step >= before.step
        assert after.epoch >= before.epoch
        assert after.percent >= before.percent - 1  # by rounding to whole steps
        assert 0 <= after.step <= after.steps
    assert pictures[-1].step == sum(done for _, _, done in parts)


def test_a_part_is_the_share_of_the_whole_that_it_was_given() -> None:
    pictures = trained([(0.2, 1000, 1000), (0.8, 500, 250)], every=250)

    assert [picture.percent for picture in pictures] == [0, 0, 5, 10, 15, 20, 20, 20, 60]
    assert pictures[-1].loss == pytest.approx(1 / 251)


def test_a_part_knows_its_own_numbers() -> None:
    whole = ProgressTracker()
    PartTracker(whole, begin=0, end=0.5).step_ended(step=10, steps=10)
    part = PartTracker(whole, begin=0.5, end=1)

    part.step_ended(step=3, steps=6, metrics={"loss": 2.0})

    assert (part.current.step, part.current.steps) == (3, 6)
    assert (whole.current.step, whole.current.metrics) == (13, {"loss": 2.0})
    assert whole.current.last_step_time == part.current.last_step_time
