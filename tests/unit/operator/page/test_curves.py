"""Curves: what is kept of them, and how they are drawn."""

import re
from datetime import UTC, datetime
from typing import Any

import pytest

from trainyard_operator.cluster.port import Manifest
from trainyard_operator.page.curves import MOST_LINES, Series, picture, sparkline, ticks
from trainyard_operator.page.histories import MOST_JOBS, MOST_POINTS, Histories, Point

NOW = datetime(2026, 12, 1, tzinfo=UTC)


def told(uid: str = "1", **progress: Any) -> Manifest:
    return {"metadata": {"uid": uid}, "status": {"progress": progress}}


def points(*told: Manifest) -> list[Point]:
    histories = Histories(lambda: NOW)
    for each in told:
        histories.add(each)
    curve = histories.of("1")
    return curve.points if curve else []


@pytest.mark.parametrize(
    ("statuses", "expected"),
    [
        pytest.param([], [], id="nothing"),
        pytest.param([told()], [], id="no progress"),
        pytest.param([told(step=1, loss="0.5")], [Point(1, 0.5, None)], id="a loss"),
        pytest.param(
            [told(epoch=2, loss="0.5", metrics={"val_loss": "0.6"})],
            [Point(2, 0.5, 0.6)],
            id="by epoch, with validation",
        ),
        pytest.param([told(step=1, loss="1"), told(step=1, loss="1")], [Point(1, 1.0, None)], id="the same twice"),
        pytest.param(
            [told(step=1, loss="3"), told(step=5, loss="2"), told(step=2, loss="1")],
            [Point(1, 3.0, None), Point(2, 1.0, None)],
            id="back to a checkpoint",
        ),
        *(
            pytest.param([told(step=1, loss=text)], [], id=f"loss {text}")
            for text in ("nan", "inf", "-inf", "1e308", "<b>", "", None, [], {})
        ),
        pytest.param([told(step="9", loss="1")], [], id="a step that is no number"),
    ],
)
def test_what_is_kept_of_a_curve(statuses: list[Manifest], expected: list[Point]) -> None:
    assert points(*statuses) == expected


def test_a_long_curve_keeps_its_ends_and_stays_small() -> None:
    kept = points(*(told(step=step, loss=str(step)) for step in range(1, 5001)))

    assert len(kept) <= MOST_POINTS + 1
    assert (kept[0].step, kept[-1].step) == (1, 5000)


async def test_curves_follow_what_is_watched() -> None:
    histories, looks = Histories(lambda: NOW), []

    async def sleep(_: float) -> None:
        looks.append(len(histories))
        if len(looks) == 3:
            raise TimeoutError

    with pytest.raises(TimeoutError):
        await histories.follow(lambda: [told("1", step=len(looks) + 1, loss="1")], sleep)

    curve = histories.of("1")
    assert curve is not None
    assert [point.step for point in curve.points] == [1, 2, 3]


def test_only_so_many_curves_are_kept() -> None:
    histories = Histories(lambda: NOW)
    for uid in range(MOST_JOBS + 10):
        histories.add(told(str(uid), step=1, loss="1"))

    assert len(histories) == MOST_JOBS
    assert histories.of("0") is None
    assert histories.of(str(MOST_JOBS + 9)) is not None


@pytest.mark.parametrize(
    "values",
    [
        pytest.param([1.0], id="one"),
        pytest.param([0.0, 0.0], id="flat at 0"),
        pytest.param([5.0, 5.0], id="flat"),
        pytest.param([-1e100, 1e100], id="wide"),
        pytest.param([0.0, 1e-100], id="narrow"),
        pytest.param([1.0, 1.0 + 1e-15], id="nearly flat"),
    ],
)
def test_a_curve_stays_in_its_picture(values: list[float]) -> None:
    drawn = picture([Series("loss", list(enumerate(values)))], "Loss")

    places = [float(each) for each in re.findall(r"[ \",](-?[\d.]+),(-?[\d.]+)", drawn) for each in each]
    assert "nan" not in drawn
    assert all(0 <= place <= 720 for place in places)


@pytest.mark.parametrize(
    ("least", "most", "expected"),
    [
        (0, 1, [0, 0.2, 0.4, 0.6, 0.8, 1]),
        (0, 100, [0, 20, 40, 60, 80, 100]),
        (0.31, 0.42, [0.32, 0.34, 0.36, 0.38, 0.4, 0.42]),
    ],
)
def test_ticks_are_round(least: float, most: float, expected: list[float]) -> None:
    assert ticks(least, most) == pytest.approx(expected)


def test_a_name_in_a_legend_stays_text() -> None:
    drawn = picture([Series("<b>\"'", [(1, 1.0), (2, 0.5)])], '"><script>')

    assert "<b>" not in drawn
    assert "<script>" not in drawn


def test_shapes_are_closed_so_that_none_is_inside_of_another() -> None:
    drawn = picture([Series("loss", [(1, 1.0), (2, 0.5)]), Series("one", [(1, 0.7)])], "Loss")

    for shape in ("line", "polyline", "circle"):
        assert 0 < drawn.count(f"<{shape} ") == drawn.count(f"></{shape}>")


def test_only_so_many_lines_are_drawn() -> None:
    drawn = picture([Series(str(n), [(0, 0.0), (1, 1.0)]) for n in range(20)], "Loss")

    assert drawn.count("<polyline") == MOST_LINES


def test_a_spark_says_in_words_where_it_goes() -> None:
    assert 'aria-label="loss from 1 to 0.5"' in sparkline([(1, 1.0), (2, 0.5)])
    assert sparkline([(1, 1.0)]) == ""
