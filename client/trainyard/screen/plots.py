"""Curves of one or several trainings: in a terminal, as PNG, as a page of HTML."""

from collections.abc import Iterator, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any, TypeAlias

from rich.console import Console, Group, RenderableType
from rich.text import Text

from trainyard.errors import Usage
from trainyard.history import History
from trainyard.screen.words import is_ascii, metric, number
from trainyard_api.suggestions import did_you_mean, listed

Histories: TypeAlias = Mapping[str, History]
Series: TypeAlias = Mapping[str, Sequence[tuple[int, float]]]

_COLOURS = ("#2b6cb0", "#c05621", "#2f855a", "#6b46c1", "#b83280", "#4a5568")
_DASHES = ("", "6 3", "2 2", "8 3 2 3", "1 3", "12 4")
_TERMINAL_COLOURS = ("blue", "orange", "green", "magenta", "red", "cyan")
_SYMBOLS = ("*", "o", "+", "x", "#", "@")
_ASCII = str.maketrans("┌┐└┘─│┤┬├┴", "++++-||+|+")
_HEIGHT, _MOST_COLUMNS, _EPOCH_TICKS = 15, 120, 6


class Curves:
    """Curves as a notebook shows them: drawn where they are the last word of a cell, without further packages."""

    def __init__(self, histories: Histories, metrics: Sequence[str] = ()) -> None:
        self._histories, self._metrics = histories, metrics
        charts(histories, metrics)

    def __repr__(self) -> str:
        console = Console(color_system=None, width=80, force_jupyter=False)
        with console.capture() as captured:
            console.print(terminal(self._histories, self._metrics, console))
        return captured.get()

    def _repr_html_(self) -> str:
        return fragment(self._histories, self._metrics)

    def figure(self) -> Any:
        """Return a matplotlib figure."""
        return figure(self._histories, self._metrics)

    def save(self, path: str | Path) -> None:
        """Write the curves: as a page where the name ends with .html, else as matplotlib does, such as .png."""
        if Path(path).suffix == ".html":
            Path(path).write_text(page(self._histories, self._metrics), encoding="utf-8")
        else:
            figure(self._histories, self._metrics, path=path)


def chosen_metrics(histories: Histories, metrics: Sequence[str]) -> list[str]:
    """Return the metrics to draw: those asked for, else the loss and what validation says of it.

    Raises:
        Usage: there is nothing to draw, or no such metric.
    """
    known = list(dict.fromkeys(name for history in histories.values() for name in history.metrics))
    if not known:
        names = listed(histories)
        raise Usage(f"{names}: no epoch is told yet in the log: wait a moment, or see trainyard logs")
    for name in metrics:
        if name not in known:
            raise Usage(f"no metric {name!r}{did_you_mean(name, known)} (there are {listed(known, 12)})")
    if metrics:
        return list(metrics)
    judged = next((name for name in known if name.startswith("val_") and name != "val_loss"), None)
    return [name for name in ("loss", "val_loss", judged) if name in known and name]


def series_of(histories: Histories, metric: str) -> Series:
    """Return the curve of a metric of each training that has it."""
    return {name: series for name, history in histories.items() if (series := history.series(metric))}


def charts(histories: Histories, metrics: Sequence[str]) -> list[tuple[str, Series]]:
    """Return what to draw, each with its title. Of one training its losses share a chart."""
    chosen = chosen_metrics(histories, metrics)
    if len(histories) == 1 and {"loss", "val_loss"} <= set(chosen):
        (history,) = histories.values()
        both = {name: history.series(name) for name in ("loss", "val_loss")}
        rest = [name for name in chosen if name not in both]
        return [("loss", both), *((name, series_of(histories, name)) for name in rest)]
    return [(name, series_of(histories, name)) for name in chosen]


def terminal(histories: Histories, metrics: Sequence[str], console: Console) -> RenderableType:
    """Return the curves as a terminal shows them, as wide as it is."""
    parts: list[RenderableType] = []
    for title, series in charts(histories, metrics):
        parts += [Text(title, style="bold"), _drawn(series, console), _key(title, series, console), Text("")]
    return Group(*parts[:-1])


def _drawn(series: Series, console: Console) -> Text:
    import plotext

    figure = plotext.figure
    figure.clear()
    figure.theme("colorless")
    figure.plot_size(min(console.width, _MOST_COLUMNS), _HEIGHT)
    for points, (symbol, colour) in zip(series.values(), _looks(series, console), strict=False):
        marker = plotext.marker(symbol, colour)
        curve = figure.signal([at for at, _ in points], [value for _, value in points], marker=marker)
        figure.draw(curve.lines())
    points = [point for each in series.values() for point in each]
    _set_rulers(figure, [at for at, _ in points], [value for _, value in points])
    drawn = str(figure.build().string(colorless=console.color_system is None))
    figure.clear()
    return Text.from_ansi(drawn if not is_ascii(console) else drawn.translate(_ASCII), no_wrap=True)


def _set_rulers(figure: Any, epochs: Sequence[int], values: Sequence[float]) -> None:
    """Whole epochs below, and a curve that never changes in the middle."""
    first, last = min(epochs), max(epochs)
    ticks = sorted({round(first + (last - first) * at / _EPOCH_TICKS) for at in range(_EPOCH_TICKS + 1)})
    figure.ruler("x").ticks(ticks, [str(tick) for tick in ticks])
    if min(values) == max(values):
        figure.ruler("y").lim(min(0.0, 2 * values[0]), max(0.0, 1.25 * values[0]) or 1.0)


def _looks(series: Series, console: Console) -> Iterator[tuple[str, str | None]]:
    """Yield the symbol and the colour of each curve: without colours, symbols alone tell them apart."""
    if console.color_system is None:
        plain = ["braille"] if len(series) == 1 and not is_ascii(console) else list(_SYMBOLS)
        yield from ((plain[at % len(plain)], None) for at in range(len(series)))
        return
    symbols = _SYMBOLS if is_ascii(console) else ("braille",)
    yield from (
        (symbols[at % len(symbols)], _TERMINAL_COLOURS[at % len(_TERMINAL_COLOURS)]) for at in range(len(series))
    )


def _key(title: str, series: Series, console: Console) -> Text:
    text = Text("epoch by epoch: ", style="dim")
    for (name, points), (symbol, colour) in zip(series.items(), _looks(series, console), strict=False):
        shown = "■" if symbol == "braille" else symbol
        text.append(f"{shown} ", style={"orange": "yellow"}.get(colour or "", colour or "default"))
        text.append(f"{name} {metric(title, points[-1][1])}   ")
    return text


def figure(histories: Histories, metrics: Sequence[str], *, path: str | Path | None = None) -> Any:
    """Return a matplotlib figure with a chart for each metric; with `path` it is written there, as PNG, SVG or PDF.

    Raises:
        Usage: matplotlib is not installed, or there is nothing to draw.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise Usage(
            "a figure needs matplotlib: pip install matplotlib, or write HTML with trainyard curve --html FILE"
        ) from error
    drawn = charts(histories, metrics)
    made = Figure(figsize=(5.2 * len(drawn), 3.6), layout="constrained")
    for axes, (title, series) in zip(made.subplots(1, len(drawn), squeeze=False)[0], drawn, strict=True):
        for (name, points), colour in zip(series.items(), _COLOURS * 9, strict=False):
            axes.plot([at for at, _ in points], [value for _, value in points], label=name, color=colour)
        axes.set(title=title, xlabel="epoch")
        axes.grid(alpha=0.25)
        axes.legend(frameon=False)
    if path:
        made.savefig(path, dpi=144)
    return made


_STYLE = """
.trainyard { --ink: #1a202c; --line: #cbd5e0; max-width: 50rem }
@media (prefers-color-scheme: dark) { .trainyard { --ink: #e2e8f0; --line: #4a5568 } }
.trainyard svg { width: 100%; height: auto }
.trainyard svg text { fill: var(--ink); font: 12px system-ui, sans-serif }
.trainyard .grid { stroke: var(--line); stroke-width: 1 }
.trainyard figure { margin: 0 0 2rem }
.trainyard table { border-collapse: collapse }
.trainyard td, .trainyard th { text-align: left; padding: .15rem 1.2rem .15rem 0; border-bottom: 1px solid var(--line) }
"""
_PAGE = """<!DOCTYPE html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
:root {{ color-scheme: light dark }}
body {{ font: 16px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 60rem; padding: 0 1rem }}
</style>
<h1>{title}</h1>
{figures}
</html>
"""
_WIDTH, _TALL, _LEFT, _BOTTOM, _TOP, _RIGHT = 800, 320, 64, 36, 12, 12
_TICKS = 5


def page(histories: Histories, metrics: Sequence[str]) -> str:
    """Return the curves as one page of HTML, with nothing from elsewhere, light or dark as the reader's system is."""
    title = escape(f"Trainyard: {listed(histories)}")
    return _PAGE.format(title=title, figures=fragment(histories, metrics))


def fragment(histories: Histories, metrics: Sequence[str]) -> str:
    """Return the curves as a part of a page."""
    figures = "\n".join(_figure(name, series) for name, series in charts(histories, metrics))
    return f'<style>{_STYLE}</style><div class="trainyard">{figures}</div>'


def _figure(title: str, series: Series) -> str:
    points = [point for each in series.values() for point in each]
    left, right = min(at for at, _ in points), max(at for at, _ in points)
    low, high = min(value for _, value in points), max(value for _, value in points)
    across, up = (right - left) or 1, (high - low) or 1.0

    def place(at: float, value: float) -> str:
        x = _LEFT + (at - left) / across * (_WIDTH - _LEFT - _RIGHT)
        y = _TOP + (high - value) / up * (_TALL - _TOP - _BOTTOM)
        return f"{x:.1f},{y:.1f}"

    parts = []
    for tick in range(_TICKS):
        value = low + up * tick / (_TICKS - 1)
        y = place(left, value).split(",")[1]
        parts.append(f'<line class="grid" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y}" y2="{y}"/>')
        parts.append(f'<text x="{_LEFT - 8}" y="{float(y) + 4:.1f}" text-anchor="end">{number(value)}</text>')
    for tick in range(_TICKS):
        at = left + across * tick / (_TICKS - 1)
        x = place(at, low).split(",")[0]
        parts.append(f'<text x="{x}" y="{_TALL - _BOTTOM + 18}" text-anchor="middle">{at:.0f}</text>')
    rows = []
    for (name, each), colour, dash in zip(series.items(), _COLOURS * 9, _DASHES * 9, strict=False):
        path = " ".join(place(at, value) for at, value in each)
        parts.append(
            f'<polyline fill="none" stroke="{colour}" stroke-width="2" stroke-dasharray="{dash}" points="{path}"/>'
        )
        sample = '<svg viewBox="0 0 40 8" style="width:40px" aria-hidden="true"><line x1="0" x2="40" y1="4" y2="4" '
        sample += f'stroke="{colour}" stroke-width="3" stroke-dasharray="{dash}"/></svg>'
        rows.append(f"<tr><td>{sample}<td>{escape(name)}<td>{metric(title, each[-1][1])}<td>epoch {each[-1][0]}")
    told = escape(f"{title} by epoch, from {number(low)} to {number(high)}")
    return (
        f"<figure><figcaption><h2>{escape(title)}</h2></figcaption>"
        f'<svg viewBox="0 0 {_WIDTH} {_TALL}" role="img" aria-label="{told}">{"".join(parts)}</svg>'
        f"<table><tr><th><th>curve<th>last<th>at{''.join(rows)}</table></figure>"
    )
