"""Numbers, times and little curves as texts."""

import math
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from rich.console import Console

from trainyard.history import lower_is_better

_BARS, _ASCII_BARS = "▁▂▃▄▅▆▇█", "_.-=*#"
_UNITS = ((86400, "d"), (3600, "h"), (60, "m"), (1, "s"))
_SHARES = ("accuracy", "auc", "precision", "recall", "f1_score")
_JUDGES = ("val_accuracy", "val_auc", "val_f1_score", "val_binary_accuracy", "val_r2_score", "val_mae", "val_loss")


def number(value: float | str | None) -> str:
    """Return a number with the digits that matter.

    >>> number(0.97132), number(1234567.0), number("0.0412"), number(None)
    ('0.9713', '1,234,567', '0.0412', '-')
    """
    if value is None or value == "":
        return "-"
    found = float(value)
    if not math.isfinite(found):
        return str(found)
    if found == int(found) and abs(found) < 1e15 and (abs(found) >= 10 or found in (0, 1)):
        return f"{found:,.0f}"
    if abs(found) >= 1000:
        return f"{found:,.0f}"
    return f"{found:.3g}" if abs(found) < 0.0001 else f"{found:.4g}"


def metric(name: str | None, value: float | str | None) -> str:
    """Return the value of a metric: shares with three digits, everything else as a number.

    >>> metric("val_accuracy", 0.97132), metric("val_loss", 0.97132), metric("val_auc", 1)
    ('0.971', '0.9713', '1.000')
    """
    if name is None or value is None or value == "" or not any(word in name for word in _SHARES):
        return number(value)
    return f"{float(value):.3f}"


def size(count: int) -> str:
    """Return a number of bytes.

    >>> size(310_000), size(12), size(2_500_000_000)
    ('310 kB', '12 B', '2.5 GB')
    """
    if count < 1000:
        return f"{count} B"
    for unit in ("kB", "MB", "GB"):
        count_in_unit = count / 1000 ** (("kB", "MB", "GB").index(unit) + 1)
        if count_in_unit < 1000 or unit == "GB":
            break
    return f"{count_in_unit:.0f} {unit}" if count_in_unit >= 10 else f"{count_in_unit:.1f} {unit}"


def duration(seconds: float) -> str:
    """Return a duration in its two largest units.

    >>> duration(58.4), duration(200), duration(7380), duration(200000)
    ('58s', '3m20s', '2h3m', '2d7h')
    """
    left = max(0, round(seconds))
    parts: list[str] = []
    for unit, name in _UNITS:
        if left >= unit or (unit == 1 and not parts):
            parts.append(f"{left // unit}{name}")
            left %= unit
        elif parts:
            break
    return "".join(parts[:2])


def age(time: str | None, now: datetime | None = None) -> str:
    """Return how long ago a moment was; empty where there is none."""
    moment = parse_time(time)
    return duration(((now or datetime.now(UTC)) - moment).total_seconds()) if moment else ""


def between(start: str | None, end: str | None) -> float | None:
    """Return the seconds from one moment to another; None where one is unknown."""
    first, last = parse_time(start), parse_time(end)
    return (last - first).total_seconds() if first and last else None


def parse_time(time: str | None) -> datetime | None:
    """Return a moment as Kubernetes writes it."""
    return datetime.fromisoformat(time) if time else None


def sparkline(values: Sequence[float], width: int, *, ascii_only: bool = False) -> str:
    """Return a curve of one line, from the first value to the last, however many there are."""
    finite = [value for value in values if math.isfinite(value)]
    if len(finite) < 2 or width < 2:
        return ""
    bars = _ASCII_BARS if ascii_only else _BARS
    chosen = (
        [finite[round(at * (len(finite) - 1) / (width - 1))] for at in range(width)] if len(finite) > width else finite
    )
    low, high = min(chosen), max(chosen)
    span = (high - low) or 1.0
    return "".join(bars[int((value - low) / span * (len(bars) - 1))] for value in chosen)


def is_ascii(console: Console) -> bool:
    """Whether a console can show ASCII only."""
    return not console.encoding.lower().startswith("utf")


def judge(metrics: Mapping[str, object]) -> str | None:
    """Return the metric that people judge a model by, of those there are."""
    return next((name for name in _JUDGES if name in metrics), next(iter(metrics), None))


def short_metric(name: str) -> str:
    """Return a metric's name as a narrow column has it.

    >>> short_metric("val_accuracy")
    'acc'
    """
    plain = re.sub("^val_", "", name)
    return {"accuracy": "acc", "binary_accuracy": "acc", "f1_score": "f1"}.get(plain, plain)


def is_better(metric: str, value: float, other: float) -> bool:
    """Whether a value of a metric is better than another."""
    return value < other if lower_is_better(metric) else value > other
