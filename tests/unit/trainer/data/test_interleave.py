"""Reading several sources in turns, some of them ahead of time."""

import threading
from collections.abc import Callable, Iterator

import pytest

from trainyard_trainer.data.interleave import ParallelismTuner, interleave


@pytest.mark.parametrize("depth", [1, 2, 9])
def test_sources_take_turns_and_the_next_one_takes_the_place_of_one_that_is_over(depth: int) -> None:
    sources = iter([iter("abc"), iter("1"), iter("xyz"), iter("")])

    assert "".join(interleave(sources, cycle_length=2, parallel_calls=lambda: depth)) == "a1bxcyz"


def test_as_many_sources_as_asked_for_are_read_at_a_time() -> None:
    together = threading.Barrier(3, timeout=30)

    def source(name: str) -> Iterator[str]:
        together.wait()
        yield name

    assert list(interleave(map(source, "abc"), cycle_length=3, parallel_calls=lambda: 3)) == ["a", "b", "c"]


@pytest.mark.parametrize("depth", [1, 3])
def test_what_is_wrong_with_a_source_is_said_in_its_turn(depth: int) -> None:
    def broken() -> Iterator[str]:
        yield "1"
        raise ValueError("broken")

    found = interleave(iter([iter("ab"), broken()]), cycle_length=2, parallel_calls=lambda: depth)

    assert [next(found) for _ in range(3)] == ["a", "1", "b"]
    with pytest.raises(ValueError, match="broken"):
        next(found)


def test_no_thread_is_left_when_nobody_listens_any_more() -> None:
    before = threading.active_count()
    found = interleave(iter([iter("abc"), iter("123")]), cycle_length=2, parallel_calls=lambda: 2)

    next(found)
    assert threading.active_count() > before
    found.close()

    assert threading.active_count() == before


class Reading:
    """Blocks that take a time which depends on the depth, and every so often longer by other work on the machine."""

    def __init__(
        self, seconds: dict[int, float], *, span: int = 1, noise: Callable[[int], float] = lambda _: 0
    ) -> None:
        self._seconds, self._noise, self._now = seconds, noise, 0.0
        self.told: list[tuple[int, float]] = []
        self.depth = ParallelismTuner(
            sorted(seconds), span=span, tell=lambda *found: self.told.append(found), clock=lambda: self._now
        )

    def run(self, blocks: int) -> None:
        def source() -> Iterator[int]:
            for number in range(blocks):
                self._now += self._seconds[self.depth.current] + self._noise(number)
                yield number

        assert list(self.depth.watch(source())) == list(range(blocks)), "nothing is lost"


@pytest.mark.parametrize(
    ("seconds", "chosen", "speed"),
    [
        pytest.param({1: 1.0, 2: 1.0, 8: 0.1}, 1, 1.0, id="the training takes longer than reading"),
        pytest.param({1: 1.0, 2: 0.5, 8: 0.5}, 2, 2.0, id="two are enough"),
        pytest.param({1: 1.0, 2: 0.5, 8: 0.125}, 8, 8.0, id="the more the better"),
        pytest.param({1: 1.0, 2: 0.99}, 1, 1.0, id="a gain too small to be one"),
        pytest.param({1: 1.0, 2: 3.0}, 1, 1.0, id="more is slower"),
    ],
)
def test_the_depth_is_the_smallest_that_makes_the_training_faster(
    seconds: dict[int, float], chosen: int, speed: float
) -> None:
    reading = Reading(seconds)

    reading.run(100)

    assert reading.depth.current == chosen
    assert reading.told == [(chosen, pytest.approx(speed))]


def test_a_depth_is_not_chosen_because_the_other_one_was_disturbed_once() -> None:
    reading = Reading({1: 1.0, 2: 1.0}, noise=lambda number: 50.0 if number in (1, 2) else 0.0)

    reading.run(100)

    assert reading.told == [(1, 1.0)]


@pytest.mark.parametrize("first", range(4))
def test_a_source_that_reads_much_at_once_is_measured_as_a_whole(first: int) -> None:
    reading = Reading({1: 1.0, 2: 1.0}, span=4, noise=lambda number: 20.0 if number % 4 == first else 0.0)

    reading.run(100)

    assert reading.told == [(1, 1.0)]


def test_what_was_learnt_in_one_epoch_holds_in_the_next_and_the_time_between_them_does_not_count() -> None:
    reading = Reading({1: 1.0, 2: 0.5}, noise=lambda number: 0.0 if number else 1000.0)

    for _ in range(5):
        reading.run(5)

    assert reading.told == [(2, pytest.approx(2.0))]


def test_where_there_is_one_depth_nothing_is_measured() -> None:
    reading = Reading({1: 1.0})

    reading.run(50)

    assert reading.told == []
