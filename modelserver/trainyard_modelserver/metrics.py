"""Prometheus metrics with TensorFlow Serving's names, labels, buckets and text."""

import threading
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from typing import Final

Labels = tuple[str, ...]


def exponential(scale: float, growth: float, count: int) -> tuple[float, ...]:
    """Upper limits of histogram buckets; one without a limit follows them."""
    limits = [scale]
    while len(limits) < count:
        limits.append(limits[-1] * growth)
    return tuple(limits)


LATENCY: Final = exponential(10, 1.8, 33)
"""Microseconds, up to some 20 minutes."""


class Counter:
    """A number for each combination of label values; a combination shows once it has counted."""

    def __init__(self, name: str, *labels: str) -> None:
        self.name = name
        self._labels = labels
        self._cells: dict[Labels, int] = {}
        self._lock = threading.Lock()

    def add(self, *labels: str, by: int = 1) -> None:
        """Count up."""
        with self._lock:
            self._cells[labels] = self._cells.get(labels, 0) + by

    def lines(self) -> list[str]:
        """The metric's text."""
        with self._lock:
            cells = sorted(self._cells.items())
        return [
            f"# TYPE {self.name} counter",
            *(f"{self.name}{{{_pairs(self._labels, values)}}} {count}" for values, count in cells),
        ]


class Histogram:
    """A distribution for each combination of label values. A value on a limit falls into the bucket above it."""

    def __init__(self, name: str, limits: Sequence[float], *labels: str) -> None:
        self.name = name
        self._limits = limits
        self._labels = labels
        self._cells: dict[Labels, tuple[list[int], list[float]]] = {}
        self._lock = threading.Lock()

    def add(self, value: float, *labels: str) -> None:
        """Note a value."""
        bucket = bisect_right(self._limits, value)
        with self._lock:
            cell = self._cells.get(labels)
            if cell is None:
                cell = self._cells[labels] = ([0] * (len(self._limits) + 1), [0.0])
            cell[0][bucket] += 1
            cell[1][0] += value

    def lines(self) -> list[str]:
        """The metric's text."""
        with self._lock:
            cells = [(values, list(buckets), total[0]) for values, (buckets, total) in sorted(self._cells.items())]
        lines = [f"# TYPE {self.name} histogram"]
        for values, buckets, total in cells:
            pairs = _pairs(self._labels, values)
            lead = f"{pairs}," if pairs else ""
            count = 0
            for limit, inside in zip([*map(_number, self._limits), "+Inf"], buckets, strict=True):
                count += inside
                lines.append(f'{self.name}_bucket{{{lead}le="{limit}"}} {count}')
            lines.append(f"{self.name}_sum{{{pairs}}} {_number(total)}")
            lines.append(f"{self.name}_count{{{pairs}}} {count}")
        return lines


class Metrics:
    """What one server measures. Times are in microseconds."""

    def __init__(self) -> None:
        serving, core = ":tensorflow:serving:", ":tensorflow:core:"
        saved_model = ":tensorflow:cc:saved_model:"
        self.request_count = Counter(f"{serving}request_count", "model_name", "status")
        self.request_latency = Histogram(f"{serving}request_latency", LATENCY, "model_name", "API", "entrypoint")
        self.runtime_latency = Histogram(f"{serving}runtime_latency", LATENCY, "model_name", "API", "runtime")
        self.warmup_latency = Histogram(f"{serving}model_warmup_latency", LATENCY, "model_path", "status")
        self.warmup_records_read = Counter(f"{serving}model_warmup_records_read", "model_path", "status")
        self.load_attempt_count = Counter(f"{saved_model}load_attempt_count", "model_path", "status")
        self.load_latency = Counter(f"{saved_model}load_latency", "model_path")
        self.graph_runs = Counter(f"{core}graph_runs")
        self.graph_run_time = Counter(f"{core}graph_run_time_usecs")
        self.session_runs = Counter(f"{core}direct_session_runs")
        # Of calls and features that this server does not offer; the names are there all the same.
        unused: Iterable[Counter | Histogram] = (
            Histogram(f"{serving}request_example_counts", exponential(1, 2, 15), "model"),
            Counter(f"{serving}request_example_count_total", "model"),
            Counter(f"{serving}request_log_count", "model_name", "status_code"),
            Histogram(f"{serving}batching_session:queuing_latency", exponential(100, 1.2, 52), "thread_pool_name"),
            Counter(f"{serving}batching_session:wrapped_run_count"),
        )
        used = [metric for metric in vars(self).values() if isinstance(metric, (Counter, Histogram))]
        self._all = sorted([*used, *unused], key=lambda metric: metric.name)

    def page(self) -> str:
        """The whole page."""
        return "\n".join(line for metric in self._all for line in metric.lines()) + "\n"


def _pairs(names: Iterable[str], values: Iterable[str]) -> str:
    return ",".join(f'{name}="{_escape(value)}"' for name, value in zip(names, values, strict=True))


def _escape(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"')


def _number(value: float) -> str:
    return f"{value:g}"
