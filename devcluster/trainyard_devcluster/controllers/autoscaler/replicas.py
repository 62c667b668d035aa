"""How many replicas one metric wants, as
https://kubernetes.io/docs/concepts/workloads/autoscaling/horizontal-pod-autoscale/#algorithm-details says.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from fractions import Fraction
from typing import Literal

from trainyard_devcluster import pods
from trainyard_devcluster.events import parse_timestamp
from trainyard_devcluster.resources import Object, name_of

TOLERANCE = Fraction(1, 10)
CPU_INITIALIZATION = timedelta(minutes=5)
"""How long after a pod's start its CPU counts only where the pod was ready while it was measured."""
INITIAL_READINESS_DELAY = timedelta(seconds=30)
"""A pod that became unready this soon after its start, and stayed so, has never been ready."""

State = Literal["measured", "unready", "missing", "ignored"]


class NoMetricsError(Exception):
    """A metric says nothing. The message says why."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Sample:
    """What was measured of one pod: a value, when, and over how long."""

    value: Fraction
    at: datetime
    window: timedelta = timedelta()


@dataclass(frozen=True, slots=True)
class Groups:
    """The pods of a workload by what is known of them, with the values of those that count."""

    measured: Mapping[str, Fraction]
    unready: Sequence[str]
    missing: Sequence[str]


def group(found: Sequence[Object], samples: Mapping[str, Sample], now: datetime, *, cpu: bool) -> Groups:
    """Sort pods. What is being deleted or has failed is left out."""
    states = {name_of(pod): _state(pod, samples.get(name_of(pod)), now, cpu=cpu) for pod in found}
    return Groups(
        measured={name: samples[name].value for name, state in states.items() if state == "measured"},
        unready=[name for name, state in states.items() if state == "unready"],
        missing=[name for name, state in states.items() if state == "missing"],
    )


def _state(pod: Object, sample: Sample | None, now: datetime, *, cpu: bool) -> State:
    if pods.is_terminating(pod) or pods.phase(pod) == "Failed":
        return "ignored"
    if pods.phase(pod) == "Pending":
        return "unready"
    if sample is None:
        return "missing"
    return "unready" if cpu and _is_starting(pod, sample, now) else "measured"


def _is_starting(pod: Object, sample: Sample, now: datetime) -> bool:
    """Whether the CPU of a pod is that of its start, which says nothing of its load."""
    ready, started = pods.condition(pod, "Ready"), pod.get("status", {}).get("startTime")
    if ready is None or not started:
        return True
    is_ready, began = ready.get("status") == "True", parse_timestamp(started)
    changed = parse_timestamp(ready.get("lastTransitionTime") or started)
    if began + CPU_INITIALIZATION > now:
        return not is_ready or sample.at < changed + sample.window
    return not is_ready and began + INITIAL_READINESS_DELAY > changed


def of_utilization(groups: Groups, requests: Mapping[str, Fraction], *, target: int, current: int) -> tuple[int, int]:
    """How many replicas a share of what the pods request wants, and that share in percent now.

    NoMetricsError where no pod was measured.
    """
    usage = sum(groups.measured.values(), Fraction(0))
    asked = sum((requests[name] for name in groups.measured), Fraction(0))
    if not groups.measured or not asked:
        raise NoMetricsError(
            "FailedGetResourceMetric", "did not receive metrics for targeted pods (pods might be unready)"
        )
    percent = int(usage * 100 / asked)
    wanted = {name: requests[name] * target / 100 for name in requests}

    def filled(missing: Fraction) -> Fraction:
        # A pod that was not measured is taken to use this share of its request.
        total = usage + sum((requests[name] * missing for name in groups.missing), Fraction(0))
        names = [*groups.measured, *groups.missing, *_counted_unready(groups, Fraction(percent, target))]
        return total / sum(wanted[name] for name in names)

    fallback = Fraction(max(100, target), 100)
    return _replicas(groups, Fraction(percent, target), filled, fallback, current), percent


def of_average(groups: Groups, *, target: Fraction, current: int) -> tuple[int, Fraction]:
    """How many replicas an average over the pods wants, and that average now.

    NoMetricsError where no pod was measured.
    """
    if not groups.measured:
        raise NoMetricsError("FailedGetPodsMetric", "did not receive metrics for targeted pods (pods might be unready)")
    usage = sum(groups.measured.values(), Fraction(0))
    average = usage / len(groups.measured)

    def filled(missing: Fraction) -> Fraction:
        unready = _counted_unready(groups, average / target)
        count = len(groups.measured) + len(groups.missing) + len(unready)
        return (usage + missing * target * len(groups.missing)) / count / target

    return _replicas(groups, average / target, filled, Fraction(1), current), average


def of_total(value: Fraction, *, target: Fraction, current: int) -> int:
    """How many replicas a metric of something else wants, of which each replica takes a part."""
    ratio = value / (target * current)
    return current if abs(1 - ratio) <= TOLERANCE else math.ceil(value / target)


def of_value(value: Fraction, *, target: Fraction, ready: int, current: int) -> int:
    """How many replicas a metric of something else wants, which falls as replicas are added."""
    ratio = value / target
    return current if abs(1 - ratio) <= TOLERANCE else math.ceil(ratio * ready)


def _counted_unready(groups: Groups, ratio: Fraction) -> Sequence[str]:
    # On the way up, what is not ready yet is taken to use nothing; on the way down it is left out.
    return groups.unready if ratio > 1 else ()


def _replicas(
    groups: Groups, ratio: Fraction, filled: Callable[[Fraction], Fraction], fallback: Fraction, current: int
) -> int:
    if not groups.missing and not _counted_unready(groups, ratio):
        return current if abs(1 - ratio) <= TOLERANCE else math.ceil(ratio * len(groups.measured))
    # What is missing speaks against any change: it uses all on the way down, and nothing on the way up.
    careful = filled(fallback if ratio < 1 else Fraction(0))
    if abs(1 - careful) <= TOLERANCE or (ratio < 1) != (careful < 1):
        return current
    count = len(groups.measured) + len(groups.missing) + len(_counted_unready(groups, ratio))
    wanted = math.ceil(careful * count)
    turns_back = (careful < 1 and wanted > current) or (careful > 1 and wanted < current)
    return current if turns_back else wanted
