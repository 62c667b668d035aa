"""Learning how fast a training is."""

from trainyard_trainer.fitting.throughput import CALL_SECONDS, Throughput


def a_pace(step_seconds: float, calls: int, rows_per_step: int = 32) -> Throughput:
    """Return what is learnt from calls whose steps take that long, after a first one that is slow."""
    pace, now = Throughput(0.0), 0.0
    for call in range(calls):
        steps = pace.steps_per_call
        took = 1.0 if call == 0 else steps * step_seconds
        pace.record(now=now + took, began=now, steps=steps, rows=steps * rows_per_step)
        now += took
    return pace


def test_the_first_call_is_one_step_and_says_nothing_about_the_speed() -> None:
    assert Throughput(0.0).steps_per_call == 1
    assert a_pace(0.001, calls=1).samples_per_second is None


def test_calls_grow_until_they_take_long_enough() -> None:
    pace = a_pace(0.001, calls=10)

    assert abs(pace.steps_per_call * 0.001 - CALL_SECONDS) < 0.002


def test_steps_that_take_long_are_run_one_by_one() -> None:
    assert a_pace(2.0, calls=5).steps_per_call == 1


def test_the_speed_is_that_of_the_calls_after_the_first() -> None:
    pace = a_pace(0.001, calls=20)

    assert pace.samples_per_second is not None
    assert abs(pace.samples_per_second - 32_000) < 1


def test_how_long_a_step_takes_is_known_after_a_hundred() -> None:
    assert a_pace(0.001, calls=2).seconds_per_step is None
    assert abs((a_pace(0.001, calls=20).seconds_per_step or 0) - 0.001) < 1e-6


def test_the_time_left_is_known_after_an_epoch() -> None:
    pace = a_pace(0.001, calls=20)

    assert pace.eta(1000, epochs_done=0) is None
    assert abs((pace.eta(1000, epochs_done=1) or 0) - 1.0) < 0.01


def test_the_time_left_is_known_after_half_a_minute_of_a_long_epoch() -> None:
    assert abs((a_pace(1.0, calls=40).eta(100, epochs_done=0) or 0) - 100) < 1
