"""The arithmetic of a canary, and what is written of it."""

from datetime import UTC, datetime, timedelta

import pytest

from support.serving import START
from trainyard_api.rollout import RolloutStep
from trainyard_operator.serving.canary import Canary, CanaryStep, achieved, canary_steps, read, read_left, write

LEFT = '{"revision":"b","since":"2026-11-23T10:00:00Z"}'


@pytest.mark.parametrize(
    ("weight", "stable", "expected", "share"),
    [
        pytest.param(10, 1, 1, 50, id="one pod can only share by halves"),
        pytest.param(10, 3, 1, 25, id="one pod of four"),
        pytest.param(10, 9, 1, 10, id="exact"),
        pytest.param(25, 9, 3, 25, id="exact with several"),
        pytest.param(50, 4, 4, 50, id="half"),
        pytest.param(80, 4, 4, 50, id="more than half would take pods from the stable revision"),
        pytest.param(1, 1000, 10, 1, id="one percent of a thousand"),
        pytest.param(10, 0, 0, 0, id="nothing to share"),
        pytest.param(100, 4, 4, 50, id="all requests are not had by numbers"),
    ],
)
def test_the_number_of_pods_that_comes_closest(weight: int, stable: int, expected: int, share: int) -> None:
    found = CanaryStep(weight, timedelta(minutes=1)).replicas(stable)

    assert found == expected
    assert achieved(found, stable, alone=False) == share


@pytest.mark.parametrize(
    ("text", "seconds", "expected"),
    [
        pytest.param(LEFT, 4, True, id="a moment ago"),
        pytest.param(LEFT, 5, False, id="long enough ago"),
        pytest.param(LEFT.replace("2026", "9999"), 0, False, id="never"),
        pytest.param("{", 0, False, id="no JSON"),
        pytest.param(None, 0, False, id="nothing"),
    ],
)
def test_a_canary_has_lost_its_share(text: str | None, seconds: int, expected: bool) -> None:
    found = read_left(text, datetime(2026, 11, 23, 10, tzinfo=UTC) + timedelta(seconds=seconds))

    assert (found is not None and found.revision == "b") is expected


def test_what_gets_all_requests_gets_them_only_while_it_answers() -> None:
    assert achieved(2, 2, alone=True) == 100
    assert achieved(0, 2, alone=True) == 0


def test_the_steps_of_a_spec() -> None:
    steps = [RolloutStep(weight=10, hold="1m30s"), RolloutStep(weight=50)]

    assert canary_steps(steps) == (CanaryStep(10, timedelta(seconds=90)), CanaryStep(50, timedelta(minutes=2)))


@pytest.mark.parametrize("reached", [None, START + timedelta(seconds=5)])
@pytest.mark.parametrize("alone", [False, True])
def test_what_is_written_is_read_again(reached: datetime | None, alone: bool) -> None:
    canary = Canary(revision="b", step=2, since=START, reached=reached, alone=alone)

    assert read(write("a", canary)) == ("a", canary)


@pytest.mark.parametrize(
    "text",
    [
        None,
        "",
        "yes",
        "[]",
        '{"stable": "a", "revision": "b", "step": 21, "since": "2026-11-23T10:00:00Z"}',
        '{"stable": "a", "revision": "b", "step": -1, "since": "2026-11-23T10:00:00Z"}',
        '{"stable": "", "revision": "b", "step": 1, "since": "2026-11-23T10:00:00Z"}',
        '{"stable": "a", "revision": "b", "step": 1, "since": "9999-12-31T23:59:59Z"}',
        '{"stable": "a", "revision": "b", "step": 1, "since": "2026-11-23T10:00:00"}',
    ],
)
def test_an_annotation_that_nobody_can_read_tells_of_no_canary(text: str | None) -> None:
    assert read(text) is None
