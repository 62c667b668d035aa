"""What the demo shows: a live panel in a terminal, a line for each change elsewhere."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.live import Live
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

Manifest = dict[str, Any]
_BARS = "▁▂▃▄▅▆▇█"


class Screen:
    """Prints the demo's story."""

    def __init__(self) -> None:
        self._console = Console(highlight=False)
        self._live: Live | None = None
        self._last = ""

    def stage(self, title: str) -> None:
        """Open a chapter."""
        self._console.print()
        self._console.print(f"[bold cyan]▸ {title}[/]", soft_wrap=True)

    def say(self, text: str) -> None:
        """Print one line of a chapter."""
        self._console.print(f"  {text}", soft_wrap=True)

    @contextmanager
    def live(self) -> Iterator[None]:
        """Show what `show` is given in place, where this is a terminal."""
        if not self._console.is_terminal:
            yield
            return
        with Live(console=self._console, refresh_per_second=8) as self._live:
            yield
        self._live = None

    def show(self, panel: RenderableType, line: str) -> None:
        """Renew the live panel; where there is none, print the line if it says something new."""
        if self._live:
            self._live.update(panel)
        elif line != self._last:
            self.say(line)
        self._last = line

    def summary(self, title: str, rows: dict[str, str]) -> None:
        """Close with a table."""
        table = Table(show_header=False, box=None, padding=(0, 2))
        for name, value in rows.items():
            table.add_row(name, f"[bold]{value}[/]")
        self._console.print()
        self._console.print(Panel(table, title=title, title_align="left", border_style="green", expand=False))


def training_panel(job: Manifest, losses: list[float]) -> Panel:
    """Draw a TrainingJob: progress bar, numbers, and the loss over time."""
    status = job.get("status", {})
    progress = status.get("progress", {})
    metrics = progress.get("metrics", {})
    # The names stand above the numbers: in one line both would need more than 80 columns.
    numbers = Table(box=None, padding=(0, 3, 0, 0), header_style="", pad_edge=False)
    shown = {
        "epoch": progress.get("summary"),
        "loss": progress.get("loss"),
        "val_accuracy": metrics.get("val_accuracy"),
        "rows/s": progress.get("samplesPerSecond"),
        "left": progress.get("eta"),
    }
    for name in shown:
        numbers.add_column(name, no_wrap=True, min_width=8)
    numbers.add_row(*(f"[bold]{value or '-'}[/]" for value in shown.values()))
    body = Table.grid(expand=True)
    for row in (ProgressBar(total=100, completed=progress.get("percent", 0)), numbers, Curve("loss", losses)):
        body.add_row(row)
    title = f"tj/{job['metadata']['name']}  {status.get('phase', 'Pending')}"
    return Panel(body, title=title, title_align="left", border_style="cyan")


def training_line(job: Manifest) -> str:
    """Say where a TrainingJob is, in one line."""
    status = job.get("status", {})
    progress = status.get("progress", {})
    parts = [f"{status.get('phase', 'Pending'):<10}"]
    if progress.get("epochs"):
        parts += [f"epoch {progress.get('summary')}", f"loss {progress.get('loss') or '-'}"]
        parts += [f"val_accuracy {progress.get('metrics', {}).get('val_accuracy', '-')}"]
        parts += [f"{progress['eta']} left"] if progress.get("eta") else []
    return "  ".join(parts)


def service_line(service: Manifest) -> str:
    """Say where a ModelService is, in one line."""
    status = service.get("status", {})
    current, coming = status.get("current", {}), status.get("next", {})
    parts = [f"{status.get('phase', 'Pending'):<12}", f"ready {status.get('ready', '0/0')}"]
    parts += [f"serving version {current['modelVersion']}"] if current else []
    parts += [f"bringing up version {coming['modelVersion']}"] if coming else []
    return "  ".join(parts)


def draining_line(pods: list[Manifest]) -> str:
    """Say what the pods of the version before still do, in one line."""
    ending = all("deletionTimestamp" in pod["metadata"] for pod in pods)
    return f"{'Draining':<12}  version 1 {'was told to end and finishes its work' if ending else 'still answers'}"


def answers(versions: dict[str, dict[str, int]]) -> str:
    """Say which version gave how many answers.

    >>> answers({"REST": {"1": 20, "2": 5}, "gRPC": {"1": 21}})
    'REST: 20 by version 1, 5 by version 2; gRPC: 21 by version 1'
    """
    return "; ".join(
        f"{protocol}: " + ", ".join(f"{count} by version {version}" for version, count in counts.items())
        for protocol, counts in versions.items()
    )


@dataclass(frozen=True, slots=True)
class Curve:
    """A series from its first value to its last, in one line of whatever width there is."""

    name: str
    values: Sequence[float]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        drawn = sparkline(self.values, options.max_width - len(self.name) - 1)
        yield Text(f"{self.name} {drawn}", style="magenta", no_wrap=True)


def sparkline(values: Sequence[float], width: int) -> str:
    """Draw a series with one character a value, or with one for the mean of several where there are more than fit.

    >>> sparkline([4.0, 2.0, 0.0], 48)
    '█▅▁'
    >>> sparkline([4.0, 4.0, 2.0, 2.0, 0.0, 0.0], 3)
    '█▅▁'
    """
    count = min(len(values), max(width, 1))
    if not count:
        return ""
    edges = [round(part * len(values) / count) for part in range(count + 1)]
    shown = [sum(values[start:end]) / (end - start) for start, end in pairwise(edges)]
    low, span = min(shown), (max(shown) - min(shown)) or 1.0
    return "".join(_BARS[round((value - low) / span * (len(_BARS) - 1))] for value in shown)
