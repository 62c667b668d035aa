"""The rollout of a revision, as a pure state machine: from what is there to what is to be done next.

    Staging -> Promoting -> Draining -> Stable

The state is never stored. It follows from the route, which is the stable Service with its selector and the time that
was written in the same request, and from which revisions have children. So whoever dies anywhere, the next one goes on.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum


class Step(StrEnum):
    """What a rollout is doing."""

    IDLE = "Idle"
    """There is nothing to roll out."""
    STAGING = "Staging"
    """The target revision is being brought up; the traffic stays where it is."""
    PROMOTING = "Promoting"
    """The target revision answers and takes the traffic now."""
    DRAINING = "Draining"
    """The revision before still answers those who have not noticed yet."""
    STABLE = "Stable"
    """The target revision serves, alone."""


@dataclass(frozen=True, slots=True)
class Route:
    """Where the stable Service sends requests.

    Attributes:
        promoted: When the revision got the traffic because it answered; None where it never has, so that there is
            nothing to protect.
        previous: The revision that had the traffic before.
    """

    revision: str
    promoted: datetime | None = None
    previous: str | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """What to do.

    Attributes:
        route: What the stable Service shall be; None leaves it as it is.
        remove: The revisions whose children have had their time.
        park: Those of them that are kept, with no pods.
        wake_at: When to look again, should nothing happen before.
    """

    step: Step
    route: Route | None
    remove: tuple[str, ...] = ()
    park: tuple[str, ...] = ()
    wake_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Rollout:
    """What is there.

    Attributes:
        target: The revision to serve; None where it is not known, and then nothing is touched.
        route: Where the stable Service sends requests, if there is one.
        live: The revisions that have children.
        answers: Whether the target may take the traffic.
        drain: How long a revision goes on after it lost the traffic.
    """

    target: str | None
    route: Route | None
    live: Collection[str]
    answers: bool
    drain: timedelta
    now: datetime

    def plan(self) -> Plan:
        """Return what to do next."""
        target, route = self.target, self.route
        if target is None:
            return Plan(Step.IDLE, route)
        if route is None or route.promoted is None:
            return self._first(target)
        if route.revision == target:
            return self._settled(target, route)
        return self._promote(target, route) if self.answers else self._staging(target, route)

    def _first(self, target: str) -> Plan:
        """Nothing has ever answered: the Service follows the target, and the target before makes room."""
        if self.answers:
            return Plan(Step.PROMOTING, Route(target, self.now), self._all_but(target))
        return Plan(Step.STAGING, Route(target), self._all_but(target))

    def _promote(self, target: str, route: Route) -> Plan:
        promoted = Route(target, self.now, previous=route.revision)
        return Plan(Step.PROMOTING, promoted, self._all_but(target, route.revision), wake_at=self.now + self.drain)

    def _staging(self, target: str, route: Route) -> Plan:
        return self._with_draining(Step.STAGING, route, target, route.revision)

    def _settled(self, target: str, route: Route) -> Plan:
        return self._with_draining(Step.STABLE, route, target)

    def _with_draining(self, step: Step, route: Route, *keep: str) -> Plan:
        ends = route.promoted + self.drain if route.promoted else self.now
        if route.previous in self.live and route.previous not in keep and self.now < ends:
            step = Step.DRAINING if step is Step.STABLE else step
            return Plan(step, route, self._all_but(route.previous, *keep), wake_at=ends)
        return Plan(step, route, self._all_but(*keep))

    def _all_but(self, *keep: str | None) -> tuple[str, ...]:
        return tuple(sorted(set(self.live) - set(keep)))
