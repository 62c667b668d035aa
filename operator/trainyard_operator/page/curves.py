"""Curves as SVG that can be compared: one pair of axes, a legend in words, lines told by their form."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from trainyard_operator.page.markup import Markup, element, together

_WIDTH, _HEIGHT = 720, 280
_LEFT, _RIGHT, _TOP, _BOTTOM = 56, 12, 12, 32
_TICKS = 5
MOST_LINES = 8
"""Of one picture: so many forms of a line can be told apart."""


@dataclass(frozen=True, slots=True)
class Series:
    """One curve with its name; the points are (step, value), in the order of their steps."""

    name: str
    points: Sequence[tuple[int, float]]


@dataclass(frozen=True, slots=True)
class _Scale:
    """Takes a value from its range to a range of the picture."""

    least: float
    most: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        return self.start + (value - self.least) / (self.most - self.least) * (self.end - self.start)


def sparkline(points: Sequence[tuple[int, float]]) -> Markup:
    """Return a small curve without axes for a row of a table; nothing where there is no curve yet."""
    if len(points) < 2:
        return Markup("")
    x = _scale([step for step, _ in points], 1, 95)
    y = _scale([value for _, value in points], 21, 2)
    first, last = points[0][1], points[-1][1]
    label = f"loss from {number(first)} to {number(last)}"
    line = element("polyline", points=_path(points, x, y), class_="line c0")
    return element("svg", line, class_="spark", viewBox="0 0 96 24", role="img", aria_label=label)


def picture(lines: Sequence[Series], label: str) -> Markup:
    """Return curves on one pair of axes with a legend; a sentence where there is nothing to draw."""
    drawn = [line for line in lines if line.points][:MOST_LINES]
    if not drawn:
        return element("p", "No curve yet: the trainer has not reported a loss.", class_="quiet")
    x = _scale([step for line in drawn for step, _ in line.points], _LEFT, _WIDTH - _RIGHT)
    y = _scale([value for line in drawn for _, value in line.points], _HEIGHT - _BOTTOM, _TOP)
    shapes = [_curve(line, index, x, y) for index, line in enumerate(drawn)]
    svg = element(
        "svg", _grid(x, y), *shapes, class_="curve", viewBox=f"0 0 {_WIDTH} {_HEIGHT}", role="img",
        aria_label=f"{label}: " + "; ".join(_in_words(line) for line in drawn),
    )  # fmt: skip
    legend = [
        element("li", _key(index), f" {line.name} ", element("strong", number(line.points[-1][1])))
        for index, line in enumerate(drawn)
    ]
    return element("figure", svg, element("figcaption", element("ul", *legend, class_="legend")))


def number(value: float) -> str:
    """Return a number with as many digits as a person reads."""
    return f"{value:.4g}" if math.isfinite(value) else "-"


def _in_words(line: Series) -> str:
    (first, start), (last, end) = line.points[0], line.points[-1]
    return f"{line.name} goes from {number(start)} at step {first} to {number(end)} at step {last}"


def _curve(line: Series, index: int, x: _Scale, y: _Scale) -> Markup:
    if len(line.points) == 1:
        ((step, value),) = line.points
        return element("circle", cx=_at(x(step)), cy=_at(y(value)), r=3, class_=f"dot c{index}")
    return element("polyline", points=_path(line.points, x, y), class_=f"line c{index}")


def _key(index: int) -> Markup:
    line = element("line", x1=0, y1=6, x2=28, y2=6, class_=f"line c{index}")
    return element("svg", line, class_="key", viewBox="0 0 28 12", aria_hidden="true")


def _grid(x: _Scale, y: _Scale) -> Markup:
    rows = [
        together(
            element("line", x1=_LEFT, x2=_WIDTH - _RIGHT, y1=_at(y(value)), y2=_at(y(value)), class_="grid"),
            element("text", number(value), x=_LEFT - 8, y=_at(y(value) + 4), text_anchor="end"),
        )
        for value in ticks(y.least, y.most)
    ]
    steps = [value for value in ticks(x.least, x.most) if value.is_integer()]
    columns = [element("text", f"{int(v):,}", x=_at(x(v)), y=_HEIGHT - 12, text_anchor="middle") for v in steps]
    axis = element("text", "step", x=_WIDTH - _RIGHT, y=_HEIGHT - 3, text_anchor="end")
    return element("g", *rows, *columns, axis, class_="axes")


def ticks(least: float, most: float) -> list[float]:
    """Return round numbers between two others, some five of them."""
    rough = (most - least) / _TICKS
    power = 10.0 ** math.floor(math.log10(rough))
    stride = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough * 0.8)
    first = math.ceil(least / stride - 1e-9)
    return [round(k * stride, 12) for k in range(first, math.floor(most / stride + 1e-9) + 1)]


def _scale(values: Sequence[float], start: float, end: float) -> _Scale:
    least, most = min(values), max(values)
    if most - least <= abs(most) * 1e-9:  # a flat line stands in the middle
        margin = abs(most) * 0.1 or 1.0
        least, most = least - margin, most + margin
    return _Scale(least, most, start, end)


def _path(points: Sequence[tuple[int, float]], x: _Scale, y: _Scale) -> str:
    return " ".join(f"{_at(x(step))},{_at(y(value))}" for step, value in points)


def _at(place: float) -> str:
    return f"{place:.1f}".removesuffix(".0")
