"""How fast the number of replicas may change: stabilization windows and policies of `spec.behavior`."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from trainyard_devcluster.resources import Object

_DEFAULT_UP: Object = {
    "stabilizationWindowSeconds": 0,
    "selectPolicy": "Max",
    "policies": [
        {"type": "Pods", "value": 4, "periodSeconds": 15},
        {"type": "Percent", "value": 100, "periodSeconds": 15},
    ],
}
_DEFAULT_DOWN: Object = {
    "stabilizationWindowSeconds": 300,
    "selectPolicy": "Max",
    "policies": [{"type": "Percent", "value": 100, "periodSeconds": 15}],
}
_LONGEST = timedelta(hours=1)
"""No window and no period is longer."""


def rules(spec: Object, direction: str) -> Object:
    """The rules for `scaleUp` or `scaleDown`, with the defaults of what is absent."""
    given = (spec.get("behavior") or {}).get(direction) or {}
    defaults = _DEFAULT_UP if direction == "scaleUp" else _DEFAULT_DOWN
    return defaults | {name: value for name, value in given.items() if value is not None}


@dataclass(slots=True)
class History:
    """What was recommended, and what was done, for one autoscaler."""

    recommendations: list[tuple[datetime, int]] = field(default_factory=list)
    changes: list[tuple[datetime, int]] = field(default_factory=list)
    """Replicas added, or taken away where negative."""

    def forget(self, now: datetime) -> None:
        """Drop what no rule can ask for any more."""
        self.recommendations = [entry for entry in self.recommendations if entry[0] > now - _LONGEST]
        self.changes = [entry for entry in self.changes if entry[0] > now - _LONGEST]


@dataclass(frozen=True, slots=True)
class Decision:
    """A number of replicas, and what limited it, if anything: reason and message of the condition ScalingLimited."""

    replicas: int
    limited: tuple[str, str] | None = None


def decide(spec: Object, current: int, desired: int, history: History, now: datetime) -> Decision:
    """The number to scale to now. The recommendation is remembered; the change is for the caller to remember."""
    stabilized = stabilize(spec, current, desired, history, now)
    history.recommendations.append((now, desired))
    least, most = spec.get("minReplicas", 1), spec["maxReplicas"]
    if stabilized > current:
        limit = max(current, up_limit(spec, current, history, now))
        if stabilized > min(limit, most):
            too_fast = ("ScaleUpLimit", "the desired replica count is increasing faster than the maximum scale rate")
            too_many = ("TooManyReplicas", "the desired replica count is more than the maximum replica count")
            return Decision(min(limit, most), too_many if most <= limit else too_fast)
    elif stabilized < current:
        limit = min(current, down_limit(spec, current, history, now))
        if stabilized < max(limit, least):
            too_fast = ("ScaleDownLimit", "the desired replica count is decreasing faster than the maximum scale rate")
            too_few = ("TooFewReplicas", "the desired replica count is less than the minimum replica count")
            return Decision(max(limit, least), too_few if least >= limit else too_fast)
    return Decision(min(most, max(least, stabilized)))


def stabilize(spec: Object, current: int, desired: int, history: History, now: datetime) -> int:
    """The recommendation that all within the windows agree to: the least of them up, the most of them down."""

    def within(direction: str) -> list[int]:
        window = timedelta(seconds=rules(spec, direction)["stabilizationWindowSeconds"])
        return [replicas for at, replicas in history.recommendations if at > now - window]

    up, down = min([desired, *within("scaleUp")]), max([desired, *within("scaleDown")])
    return min(down, max(up, current))


def up_limit(spec: Object, current: int, history: History, now: datetime) -> int:
    """The most replicas that the policies allow now."""
    chosen = rules(spec, "scaleUp")
    if chosen["selectPolicy"] == "Disabled":
        return current
    limits = []
    for policy in chosen["policies"]:
        began = _at_period_start(policy, current, history, now)
        percent = math.ceil(began * (100 + policy["value"]) / 100)
        limits.append(began + policy["value"] if policy["type"] == "Pods" else percent)
    return _chosen(chosen, limits, more=True)


def down_limit(spec: Object, current: int, history: History, now: datetime) -> int:
    """The fewest replicas that the policies allow now."""
    chosen = rules(spec, "scaleDown")
    if chosen["selectPolicy"] == "Disabled":
        return current
    limits = []
    for policy in chosen["policies"]:
        began = _at_period_start(policy, current, history, now)
        percent = int(began * (100 - policy["value"]) / 100)
        limits.append(began - policy["value"] if policy["type"] == "Pods" else percent)
    return _chosen(chosen, limits, more=False)


def _at_period_start(policy: Object, current: int, history: History, now: datetime) -> int:
    since = now - timedelta(seconds=policy["periodSeconds"])
    return current - sum(change for at, change in history.changes if at > since)


def _chosen(chosen: Object, limits: Sequence[int], *, more: bool) -> int:
    # Max is the policy that allows most change.
    return max(limits) if (chosen["selectPolicy"] == "Max") is more else min(limits)
