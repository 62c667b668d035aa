"""Time that goes on while the machine's clock jumps."""

from trainyard_trainer.clock import Clock
from trainyard_trainer.reporting.progress_server import ProgressTracker


class Times:
    """A machine's two clocks, in a test's hands."""

    def __init__(self) -> None:
        self.steady, self.wall = 100.0, 1_800_000_000.0

    def clock(self) -> Clock:
        return Clock(steady=lambda: self.steady, wall=lambda: self.wall)


def test_the_unix_time_is_the_machines_at_the_start_and_goes_on_from_there() -> None:
    times = Times()
    clock = times.clock()

    times.steady += 5
    times.wall -= 3600

    assert clock.unix() == 1_800_000_005.0
    assert clock.now() == 105.0


def test_the_time_of_the_last_step_grows_also_when_the_clock_is_set_back() -> None:
    times = Times()
    tracker = ProgressTracker(times.clock())
    tracker.step_ended(step=1)
    before = tracker.current.last_step_time

    times.steady += 1
    times.wall -= 86_400
    tracker.step_ended(step=2)

    assert before is not None
    assert tracker.current.last_step_time == before + 1
