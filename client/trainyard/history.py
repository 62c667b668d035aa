"""The metrics of a training, epoch by epoch: from the trainer's log lines, or from the history.csv it leaves."""

import csv
import io
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

_NO_METRICS = {"time", "event", "message", "epoch", "step", "steps", "seconds", "samplesPerSecond", "learning_rate"}
_LOWER_IS_BETTER = ("loss", "mae", "error", "mse")


@dataclass(frozen=True, slots=True)
class Epoch:
    """One epoch that was looked at."""

    number: int
    metrics: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class History:
    """What a training has gone through so far."""

    epochs: tuple[Epoch, ...] = ()

    @property
    def metrics(self) -> list[str]:
        """The names of the metrics, in the order they were told."""
        return list(dict.fromkeys(name for epoch in self.epochs for name in epoch.metrics))

    def series(self, metric: str) -> list[tuple[int, float]]:
        """Return (epoch, value) of one metric."""
        return [(epoch.number, epoch.metrics[metric]) for epoch in self.epochs if metric in epoch.metrics]

    def best(self, metric: str) -> tuple[int, float] | None:
        """Return the epoch and the value that were best of a metric."""
        series = self.series(metric)
        if not series:
            return None
        return (min if lower_is_better(metric) else max)(series, key=lambda point: point[1])

    def to_rows(self) -> list[dict[str, float]]:
        """Return one dictionary an epoch."""
        return [{"epoch": epoch.number, **epoch.metrics} for epoch in self.epochs]


def lower_is_better(metric: str) -> bool:
    """Whether a smaller value of a metric is the better one."""
    return any(word in metric for word in _LOWER_IS_BETTER)


def from_log(lines: Iterable[str]) -> History:
    """Return the history that a trainer's log tells; an epoch that was trained again counts once, as it was last."""
    return _ordered(_epochs_in(lines))


def from_csv(text: str) -> History:
    """Return the history in a history.csv."""
    rows = csv.DictReader(io.StringIO(text))
    return _ordered(
        Epoch(int(row["epoch"]), numbers)
        for row in rows
        if (row.get("epoch") or "").isdigit() and (numbers := _numbers(row))
    )


def parse_line(line: str) -> dict[str, Any] | None:
    """Return a line of a log as the trainer wrote it; None where it is no line of the trainer's."""
    text = line.strip()
    try:
        found = json.loads(text) if text.startswith("{") else None
    except ValueError:
        return None
    return found if isinstance(found, dict) and "event" in found else None


def _epochs_in(lines: Iterable[str]) -> Iterator[Epoch]:
    for line in lines:
        found = parse_line(line)
        if found and found["event"] == "epoch" and (numbers := _numbers(found)):
            yield Epoch(int(found["epoch"]), numbers)


def _numbers(fields: Mapping[str, Any]) -> dict[str, float]:
    found = {}
    for name, value in fields.items():
        if name in _NO_METRICS or value in (None, ""):
            continue
        try:
            found[name] = float(value)
        except (TypeError, ValueError):
            continue
    return found


def _ordered(epochs: Iterable[Epoch]) -> History:
    by_number = {epoch.number: epoch for epoch in epochs}
    return History(tuple(by_number[number] for number in sorted(by_number)))
