"""The verdict on a canary: its requests against those of the stable revision, in the same time."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from trainyard_api.rollout import Analysis, AnalysisStatus, SampleStatus
from trainyard_operator.serving.canary import Canary
from trainyard_operator.serving.server_metrics import Buckets, ServerMetrics

_NOTHING = ServerMetrics(Buckets(), 0)
_SHARES = {"p95": 0.95, "p99": 0.99}


class Verdict(StrEnum):
    """What the numbers amount to."""

    PASSED = "Passed"
    FAILED = "Failed"
    NO_TRAFFIC = "NoTraffic"
    """Too few requests to tell anything."""
    INCONCLUSIVE = "Inconclusive"
    """The canary is as bad as the stable revision, or nothing can be said of it beside that."""


@dataclass(frozen=True, slots=True)
class Findings:
    """A verdict, and what it rests on.

    Attributes:
        observed: For how long requests have been counted.
        may_pass_untried: Whether too few requests in all the time of a step are no reason to wait.
    """

    verdict: Verdict
    message: str
    canary: SampleStatus
    stable: SampleStatus
    observed: timedelta
    may_pass_untried: bool = False

    def allows(self, hold: timedelta) -> bool:
        """Return whether the canary may take the next step after it has had its share for so long."""
        untried = self.verdict is Verdict.NO_TRAFFIC and self.may_pass_untried and self.observed >= hold
        return self.verdict is Verdict.PASSED or untried

    def status(self) -> AnalysisStatus:
        """Return what the status shows."""
        return AnalysisStatus(verdict=self.verdict.value, message=self.message, canary=self.canary, stable=self.stable)


@dataclass(slots=True)
class _Track:
    """The counters of one pod: at the beginning, at last, and what was counted before it started anew."""

    first: ServerMetrics
    last: ServerMetrics
    settled: ServerMetrics = _NOTHING


@dataclass(slots=True)
class Window:
    """Counts the requests of pods from some moment on. Pods that end go on counting with what they had."""

    began: datetime
    tracks: dict[str, dict[str, _Track]] = field(default_factory=dict)

    def take(self, revision: str, pod: str, metrics: ServerMetrics) -> None:
        """Note what a pod says; the first time only sets its beginning."""
        tracks = self.tracks.setdefault(revision, {})
        track = tracks.get(pod)
        if track is None:
            tracks[pod] = _Track(metrics, metrics)
        elif _started_anew(track.last, metrics):
            track.settled = _sum([track.settled, _difference(track.last, track.first)])
            track.first, track.last = _NOTHING, metrics
        else:
            track.last = metrics

    def counted(self, revision: str) -> ServerMetrics:
        """Return the requests of all pods of a revision."""
        tracks = self.tracks.get(revision, {}).values()
        return _sum(part for track in tracks for part in (track.settled, _difference(track.last, track.first)))


@dataclass(slots=True)
class Windows:
    """The window of each service's canary: one for each step. An operator that starts anew counts anew.

    Attributes:
        of: By the key of the service, the step that is counted, and what was counted.
    """

    of: dict[object, tuple[tuple[str, int], Window]] = field(default_factory=dict)

    def at(self, key: object, canary: Canary, now: datetime) -> Window:
        """Return the window of a canary's step."""
        step = (canary.revision, canary.step)
        known = self.of.get(key)
        if known is None or known[0] != step:
            known = self.of[key] = (step, Window(now))
        return known[1]

    def forget(self, key: object) -> None:
        """Forget a service that has no canary."""
        self.of.pop(key, None)


def judge(
    analysis: Analysis, canary: ServerMetrics, stable: ServerMetrics, *, observed: timedelta, alone: bool = False
) -> Findings:
    """Return the verdict on a canary.

    Args:
        analysis: What is asked of it.
        canary: Its requests.
        stable: Those of the stable revision.
        observed: For how long they have been counted.
        alone: Whether the canary gets all requests, so that it is compared with nothing.
    """
    quantile = _SHARES[analysis.quantile]
    mine, theirs = _sample(canary, quantile), _sample(stable, quantile)

    def found(verdict: Verdict, message: str) -> Findings:
        return Findings(verdict, message, mine, theirs, observed, analysis.on_no_traffic == "Promote")

    if mine.requests < analysis.min_requests:
        return found(Verdict.NO_TRAFFIC, f"{mine.requests} of at least {analysis.min_requests} requests so far")
    verdicts = [_of_errors(analysis, mine, theirs)]
    if analysis.max_latency_increase is not None and not alone:
        verdicts.append(_of_latency(analysis, canary.latency, stable.latency))
    order = (Verdict.FAILED, Verdict.NO_TRAFFIC, Verdict.INCONCLUSIVE, Verdict.PASSED)
    verdict, message = min(verdicts, key=lambda one: order.index(one[0]))
    if verdict is Verdict.PASSED:
        message = "; ".join(said for _, said in verdicts)
    return found(verdict, message)


def _of_errors(analysis: Analysis, mine: SampleStatus, theirs: SampleStatus) -> tuple[Verdict, str]:
    most = analysis.max_error_rate
    message = (
        f"{mine.errors} of its {mine.requests} requests failed ({_rate(mine):.2%}), and {theirs.errors} of "
        f"{theirs.requests} ({_rate(theirs):.2%}) of the revision that serves"
    )
    if most is None or _rate(mine) <= most:
        return Verdict.PASSED, message
    limit = f"{message}; spec.rollout.analysis.maxErrorRate is {most:.2%}"
    return (Verdict.FAILED if _rate(mine) > _rate(theirs) else Verdict.INCONCLUSIVE), limit


def _of_latency(analysis: Analysis, mine: Buckets, theirs: Buckets) -> tuple[Verdict, str]:
    most, share = analysis.max_latency_increase or 0, _SHARES[analysis.quantile]
    for which, buckets in (("it has answered", mine), ("the revision that serves has answered", theirs)):
        if buckets.total < analysis.min_requests:
            told = f"{which} {buckets.total} of at least {analysis.min_requests} requests whose latency counts"
            return Verdict.NO_TRAFFIC, told
    slow, usual = mine.quantile(share) or 0, theirs.quantile(share) or 0
    message = (
        f"its {analysis.quantile} is {_milliseconds(slow)}, that of the revision that serves {_milliseconds(usual)}"
    )
    if slow <= usual * (1 + most):
        return Verdict.PASSED, message
    return Verdict.FAILED, f"{message}; spec.rollout.analysis.maxLatencyIncrease is {most:g}"


def _sample(metrics: ServerMetrics, quantile: float) -> SampleStatus:
    latency = metrics.latency.quantile(quantile)
    return SampleStatus(
        requests=metrics.latency.total + metrics.errors,
        errors=metrics.errors,
        latency=None if latency is None else _milliseconds(latency),
    )


def _rate(sample: SampleStatus) -> float:
    return sample.errors / sample.requests if sample.requests else 0.0


def _milliseconds(microseconds: float) -> str:
    return f"{microseconds / 1000:.3g}ms"


def _started_anew(before: ServerMetrics, after: ServerMetrics) -> bool:
    return after.latency.total < before.latency.total or after.errors < before.errors


def _difference(after: ServerMetrics, before: ServerMetrics) -> ServerMetrics:
    was = _by_limit(before.latency)
    counts = {limit: max(0, count - was.get(limit, 0)) for limit, count in _by_limit(after.latency).items()}
    return ServerMetrics(_buckets(counts), max(0, after.errors - before.errors))


def _sum(parts: Iterable[ServerMetrics]) -> ServerMetrics:
    errors, counts = 0, dict[float, int]()
    for part in parts:
        errors += part.errors
        for limit, count in _by_limit(part.latency).items():
            counts[limit] = counts.get(limit, 0) + count
    return ServerMetrics(_buckets(counts), errors)


def _by_limit(buckets: Buckets) -> Mapping[float, int]:
    return dict(zip(buckets.limits, buckets.counts, strict=True))


def _buckets(counts: Mapping[float, int]) -> Buckets:
    limits = tuple(sorted(counts))
    return Buckets(limits, tuple(counts[limit] for limit in limits))
