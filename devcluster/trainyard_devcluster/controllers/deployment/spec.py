"""A Deployment's spec in words, with its defaults and its percentages worked out."""

import math
from dataclasses import dataclass
from typing import Any

from trainyard_devcluster.resources import Object


@dataclass(frozen=True, slots=True)
class DeploymentSpec:
    """What the Deployment asks for."""

    replicas: int
    recreate: bool
    max_surge: int
    max_unavailable: int
    paused: bool
    history_limit: int
    progress_deadline: float | None
    """Seconds; None where there is no deadline."""

    @property
    def most_pods(self) -> int:
        """How many pods there may be during a rollout."""
        return self.replicas + self.max_surge

    @property
    def fewest_available(self) -> int:
        """How many pods must be available during a rollout."""
        return self.replicas - self.max_unavailable


def parse(deployment: Object) -> DeploymentSpec:
    """Read a Deployment's spec."""
    spec = deployment["spec"]
    strategy = spec.get("strategy") or {}
    recreate = strategy.get("type") == "Recreate"
    replicas = 1 if spec.get("replicas") is None else spec["replicas"]
    rolling = strategy.get("rollingUpdate") or {}
    surge = resolve(rolling.get("maxSurge", "25%"), replicas, up=True)
    unavailable = resolve(rolling.get("maxUnavailable", "25%"), replicas, up=False)
    if surge == 0 and unavailable == 0:
        # Both may round to nothing, and then no pod could ever be replaced.
        unavailable = 1
    deadline = spec.get("progressDeadlineSeconds", 600)
    return DeploymentSpec(
        replicas=replicas,
        recreate=recreate,
        max_surge=0 if recreate else surge,
        max_unavailable=0 if recreate else min(unavailable, replicas),
        paused=bool(spec.get("paused")),
        history_limit=spec.get("revisionHistoryLimit", 10),
        progress_deadline=None if deadline is None or deadline >= 2**31 - 1 else float(deadline),
    )


def resolve(value: Any, total: int, *, up: bool) -> int:
    """A number, or a percentage of `total` rounded up or down."""
    if isinstance(value, int):
        return value
    share = total * int(str(value).removesuffix("%")) / 100
    return math.ceil(share) if up else math.floor(share)
