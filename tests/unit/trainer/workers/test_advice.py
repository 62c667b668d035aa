"""DeliveredEvents people that one worker would do better."""

import pytest

from trainyard_trainer.workers.advice import advice


@pytest.mark.parametrize(
    ("workers", "seconds", "told"), [(1, 0.0001, False), (2, 0.003, True), (8, 0.0099, True), (2, 0.056, False)]
)
def test_only_several_workers_with_short_steps_are_told(workers: int, seconds: float, told: bool) -> None:
    said = advice(workers, seconds)

    assert (said is not None) == told
    assert said is None or f"{seconds * 1000:.1f} ms" in said
