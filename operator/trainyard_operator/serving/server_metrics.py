"""Reads what TensorFlow Serving tells of its requests, in the text format of Prometheus. Pods may say anything."""

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass

_LINE = re.compile(r":tensorflow:serving:(request_count|request_latency_bucket)\{([^{}]{1,1000})\} ([0-9.e+]{1,24})")
_LABEL = re.compile(r'(\w{1,40})="([^"\\]{0,200})"')
_MOST_SERIES = 5000
_MOST_LIMITS = 100
_MOST = 2**53
_CLIENTS_FAULT = frozenset(
    {"INVALID_ARGUMENT", "NOT_FOUND", "OUT_OF_RANGE", "CANCELLED", "PERMISSION_DENIED", "UNAUTHENTICATED"}
)


@dataclass(frozen=True, slots=True)
class Buckets:
    """A histogram of latencies: how many requests took at most so many microseconds, for ascending limits."""

    limits: tuple[float, ...] = ()
    counts: tuple[int, ...] = ()

    @property
    def total(self) -> int:
        """All requests."""
        return self.counts[-1] if self.counts else 0

    def quantile(self, share: float) -> float | None:
        """Return the latency in microseconds that this share of the requests stayed below, or None without any.

        As Prometheus does it: evenly spread inside a bucket; beyond the last limit, that limit.
        """
        rank, below, floor = share * self.total, 0, 0.0
        for limit, count in zip(self.limits, self.counts, strict=True):
            if count and count >= rank:
                inside = count - below
                return floor if math.isinf(limit) else floor + (limit - floor) * (rank - below) / max(inside, 1)
            below, floor = count, limit
        return None


@dataclass(frozen=True, slots=True)
class ServerMetrics:
    """The requests of one model since its server started.

    Attributes:
        latency: Of requests that were answered. Probes and questions for the model's status are not among them.
        errors: Requests that failed in the server. What the client did wrong is not among them.
    """

    latency: Buckets
    errors: int


def parse(content: bytes, model: str) -> ServerMetrics | None:
    """Return what a page says of a model, or None where it makes no sense."""
    errors, buckets = 0, dict[float, int]()
    for name, labels, count in _series(content.decode(errors="replace")):
        if labels.get("model_name") != model:
            continue
        if name == "request_count":
            errors += 0 if labels.get("status", "OK") in {"OK", *_CLIENTS_FAULT} else count
        # Of a GET of the model's status, which probes send, the name of the call is empty.
        elif labels.get("API") and (limit := _limit(labels.get("le", ""))) is not None:
            buckets[limit] = buckets.get(limit, 0) + count
    if len(buckets) > _MOST_LIMITS or (buckets and not math.isinf(max(buckets))):
        return None
    limits = tuple(sorted(buckets))
    counts = tuple(buckets[limit] for limit in limits)
    if any(count > _MOST for count in (errors, *counts)) or sorted(counts) != list(counts):
        return None
    return ServerMetrics(Buckets(limits, counts), errors)


def _series(text: str) -> Iterator[tuple[str, dict[str, str], int]]:
    found = 0
    for line in text.splitlines():
        match = _LINE.fullmatch(line)
        if match is None:
            continue
        found += 1
        if found > _MOST_SERIES:
            return
        value = _number(match[3])
        if value is not None:
            yield match[1], dict(_LABEL.findall(match[2])), value


def _number(text: str) -> int | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return int(value) if 0 <= value <= _MOST else None


def _limit(text: str) -> float | None:
    try:
        limit = float(text)
    except ValueError:
        return None
    return limit if limit > 0 else None
