"""Prometheus metrics of pods, and what follows from them: rates of counters, quantiles of histograms.

Pods say by the usual annotations `prometheus.io/scrape`, `port` and `path` where they have metrics. Names are as
adapters for Prometheus make them: without colons, `<counter>_per_second` for a rate, `<histogram>_p95` for a quantile.
"""

import math
import re
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from trainyard_devcluster.apiserver.values import Object, timestamp
from trainyard_devcluster.events import utc_now

LONGEST = 30.0
"""Seconds over which a rate is taken at most."""
_SERIES = re.compile(r"(?P<name>[a-zA-Z_:][\w:]*)(?P<labels>\{.*\})?\s+(?P<value>\S+)")
_LIMIT = re.compile(r'[{,]le="(?P<limit>[^"]*)"')
_QUANTILE = re.compile(r"(?P<histogram>.+)_p(?P<percent>[1-9]\d?)")

Series = Mapping[tuple[str, str], float]
"""Values by plain name and labels."""


def address_of(pod: Object) -> str | None:
    """Return where a pod that is ready has its metrics, as far as it says so."""
    annotations, status = pod["metadata"].get("annotations") or {}, pod.get("status") or {}
    port = annotations.get("prometheus.io/port", "")
    ready = any(each["type"] == "Ready" and each["status"] == "True" for each in status.get("conditions") or ())
    if annotations.get("prometheus.io/scrape") != "true" or not port.isdigit() or not status.get("podIP") or not ready:
        return None
    return f"http://{status['podIP']}:{port}/{annotations.get('prometheus.io/path', '/metrics').lstrip('/')}"


def parse(text: str) -> Series:
    """Return the series in Prometheus' text format; lines that are none are left out."""
    return dict(_parsed(text))


def _parsed(text: str) -> Iterator[tuple[tuple[str, str], float]]:
    for line in text.splitlines():
        match = _SERIES.match(line)
        if match:
            try:
                value = float(match["value"])
            except ValueError:
                continue
            yield (match["name"].strip(":").replace(":", "_"), match["labels"] or ""), value


@dataclass(frozen=True, slots=True)
class _Scrape:
    at: float
    series: Series


@dataclass(slots=True)
class Scrapes:
    """What pods told in the last half minute."""

    clock: Callable[[], float] = time.monotonic
    now: Callable[[], datetime] = utc_now
    _of: dict[str, deque[_Scrape]] = field(default_factory=dict)

    def add(self, uid: str, text: str) -> None:
        """Take what a pod has told just now."""
        at = self.clock()
        kept = self._of.setdefault(uid, deque())
        kept.append(_Scrape(at, parse(text)))
        while kept[0].at < at - LONGEST:
            kept.popleft()

    def forget_all_but(self, uids: set[str]) -> None:
        """Drop what was told by pods that are gone."""
        for uid in self._of.keys() - uids:
            del self._of[uid]

    def value(self, uid: str, metric: str) -> tuple[float, str] | None:
        """Return a pod's metric with the time; None where nobody can say."""
        kept = self._of.get(uid)
        if not kept:
            return None
        found = self._found(kept[0], kept[-1], metric)
        return None if found is None or not math.isfinite(found) else (found, timestamp(self.now()))

    def _found(self, first: _Scrape, last: _Scrape, metric: str) -> float | None:
        seconds = last.at - first.at
        if counter := metric.removesuffix("_per_second") if metric.endswith("_per_second") else "":
            values = list(_increases(first.series, last.series, counter).values())
            return sum(values) / seconds if seconds > 0 and _has(last.series, counter) else None
        if match := _QUANTILE.fullmatch(metric):
            increases = _increases(first.series, last.series, f"{match['histogram']}_bucket")
            return quantile(int(match["percent"]) / 100, increases)
        values = [value for (name, _), value in last.series.items() if name == metric]
        return sum(values) if values else None


def _has(series: Series, name: str) -> bool:
    return any(known == name for known, _ in series)


def _increases(first: Series, last: Series, name: str) -> dict[str, float]:
    """Return by how much each series of a counter rose; one that fell was started anew."""
    return {
        labels: value - before if value >= (before := first.get((name, labels), 0.0)) else value
        for (known, labels), value in last.items()
        if known == name
    }


def quantile(share: float, buckets: Mapping[str, float]) -> float | None:
    """Return a quantile of a histogram as Prometheus estimates it, from counts by labels; None where it is empty."""
    counts: dict[float, float] = {}
    for labels, count in buckets.items():
        if match := _LIMIT.search(labels):
            limit = math.inf if match["limit"] in ("+Inf", "inf") else float(match["limit"])
            counts[limit] = counts.get(limit, 0.0) + count
    total, lower, below = counts.get(math.inf, 0.0), 0.0, 0.0
    if not total:
        return None
    for limit, count in sorted(counts.items()):
        if count >= share * total:
            if limit == math.inf:
                return lower
            return lower + (limit - lower) * ((share * total - below) / (count - below) if count > below else 1)
        lower, below = limit, count
    return lower
