"""The rollout of a revision, as a pure state machine: from what is there to what is to be done next.

    Staging -> Canary (step by step) -> Promoting -> Draining -> Stable
                                     -> RolledBack

The state is never stored. It follows from the route, which is the stable Service with its selector and the time that
was written in the same request, and from which revisions have children. So whoever dies anywhere, the next one goes on.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum

from trainyard_operator.serving.analysis import Findings, Verdict
from trainyard_operator.serving.canary import ALL, Canary, CanaryStep, Left, Rollback
from trainyard_operator.serving.commands import Command, Order, command_in
from trainyard_operator.serving.room import Progress, Update


class Step(StrEnum):
    """What a rollout is doing."""

    IDLE = "Idle"
    """There is nothing to roll out."""
    STAGING = "Staging"
    """The target revision is being brought up; the traffic stays where it is."""
    CANARY = "Canary"
    """The target revision gets a share of the requests."""
    PROMOTING = "Promoting"
    """The target revision answers and takes the traffic now, or as soon as all its replicas do."""
    DRAINING = "Draining"
    """The revision before still answers those who have not noticed yet."""
    ROLLED_BACK = "RolledBack"
    """The target revision was sent back; it is not tried again."""
    STABLE = "Stable"
    """The target revision serves, alone."""


@dataclass(frozen=True, slots=True)
class Route:
    """Where the stable Service sends requests.

    Attributes:
        promoted: When the revision got the traffic because it answered; None where it never has, so that there is
            nothing to protect.
        previous: The revision that had the traffic before.
        canary: The revision that gets a share beside it.
        left: A canary that has lost its share a moment ago.
        rolled_back: The revision that was sent back last.
        order: What a person ordered of a revision, and holds still.
        obeyed: The last command of a person, which is not obeyed again.
        progress: For how long the target has been coming up, and how many old pods made room; None where nobody counts.
    """

    revision: str
    promoted: datetime | None = None
    previous: str | None = None
    canary: Canary | None = None
    left: Left | None = None
    rolled_back: Rollback | None = None
    order: Order | None = None
    obeyed: str = ""
    progress: Progress | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """What to do.

    Attributes:
        route: What the stable Service shall be; None leaves it as it is.
        remove: The revisions whose children have had their time.
        park: Those of them that are kept, with no pods.
        wake_at: When to look again, should nothing happen before.
        replicas: How many pods the target shall have; None for as many as the spec says.
        stable: The same of the revision that has the traffic.
    """

    step: Step
    route: Route | None
    remove: tuple[str, ...] = ()
    park: tuple[str, ...] = ()
    wake_at: datetime | None = None
    replicas: int | None = None
    stable: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Rollout:
    """What is there.

    Attributes:
        target: The revision to serve; None where it is not known, and then nothing is touched.
        route: Where the stable Service sends requests, if there is one.
        live: The revisions that have children.
        answers: Whether the target may take the traffic.
        drain: How long a revision goes on after it lost the traffic.
        steps: The shares that the target gets before it takes the traffic.
        replicas: How many pods the revision that has the traffic has.
        answering: How many pods of the target answer.
        stable_answers: Whether the revision that has the traffic answers at all. Nobody waits for steps beside one that
            does not.
        guarded: Whether the target must prove itself before any request: else the Service may point to its pods early.
        rollout: Fingerprint of the rollout that the spec asks for.
        findings: What the requests of the canary are like; None where nobody asks.
        update: How the rollout makes room.
        lacking: What keeps pods of the target from being placed; empty for nothing.
        stuck: What keeps the target from answering; empty for nothing.
        stable_ready: How many pods of the revision that has the traffic are ready.
        command: What a person wrote into the annotation; empty for nothing.
        strangers: Whether pods of any third revision are ready: a Service that sends to two revisions would find them.
    """

    target: str | None
    route: Route | None
    live: Collection[str]
    answers: bool
    drain: timedelta
    now: datetime
    steps: Sequence[CanaryStep] = ()
    replicas: int = 1
    answering: int = 0
    stable_answers: bool = True
    guarded: bool = False
    rollout: str = ""
    findings: Findings | None = None
    update: Update = field(default_factory=Update)
    lacking: bool = False
    stuck: str = ""
    stable_ready: int = 0
    command: str = ""
    strangers: bool = False

    def plan(self) -> Plan:
        """Return what to do next."""
        return self._let_go(self._decide())

    def _let_go(self, plan: Plan) -> Plan:
        """Keep a canary that has lost its share until no route leads to it."""
        if plan.route is None:
            return plan
        had = self.route.canary.revision if self.route and self.route.canary else None
        has = {plan.route.revision, plan.route.canary.revision if plan.route.canary else None}
        left = Left(revision=had, since=self.now) if had else self.route.left if self.route else None
        if left is None or self.now >= left.ends or left.revision in has or left.revision not in self.live:
            return replace(plan, route=replace(plan.route, left=None))
        remove = tuple(revision for revision in plan.remove if revision != left.revision)
        wake_at = min(left.ends, plan.wake_at) if plan.wake_at else left.ends
        return replace(plan, route=replace(plan.route, left=left), remove=remove, wake_at=wake_at)

    def _decide(self) -> Plan:
        target, route = self.target, self.route
        if target is None:
            return Plan(Step.IDLE, route)
        if route is None or route.promoted is None:
            return self._first(target)
        command = command_in(self.command) if self.command != route.obeyed else None
        route = _ordered(replace(route, obeyed=self.command), target, command)
        if route.revision == target:
            return self._settled(target, replace(route, canary=None, rolled_back=None))
        if route.rolled_back and (route.rolled_back.revision, route.rolled_back.rollout) == (target, self.rollout):
            return self._rolled_back(replace(route, canary=None))
        route = replace(route, rolled_back=None)
        if command is Command.ABORT:
            return self._send_back(target, route, "because a person said abort")
        return self._make_room(target, self._go_on(target, route))

    def _make_room(self, target: str, plan: Plan) -> Plan:
        """Take old pods away where the new ones find no place, and send back what takes too long."""
        route = plan.route
        if route is None or route.revision == target or plan.step is Step.ROLLED_BACK:
            return replace(plan, route=replace(route, progress=None) if route else None)
        known = route.progress if route.progress and route.progress.revision == target else None
        progress = known or Progress(revision=target, since=self.now)
        paused = self._is_ordered(route, Command.PAUSE) and self.stable_answers
        began = self._began(route.canary, progress)
        if self.update.deadline and began and not paused and self.now >= began + self.update.deadline:
            late = f"because its pods did not answer within {self.update.deadline} (spec.rollout.progressDeadline)"
            return self._send_back(target, replace(route, progress=None), f"{late}: {self.stuck}".rstrip(": "))
        if self.update.at_once:
            progress = progress.model_copy(update={"yielded": self.replicas})
        elif not paused and self._may_yield(route.canary, progress.yielded):
            progress = progress.model_copy(update={"yielded": progress.yielded + 1})
        canary = route.canary
        full = progress.yielded > 0 or (self.update.one_by_one and self.lacking)
        if canary is None and full and self.answering and not (self.steps or self.strangers or paused):
            # What made room is missed: the new pods answer beside the old ones as soon as they can.
            canary = Canary(revision=target, step=len(self.steps), since=self.now)
        kept = progress if progress.yielded or self.update.deadline else None
        stable = max(0, self.replicas - progress.yielded) if progress.yielded else None
        return replace(plan, route=replace(route, progress=kept, canary=canary), stable=stable)

    def _may_yield(self, canary: Canary | None, yielded: int) -> bool:
        """Return whether one more old pod may go: each before has been made up for, and enough still answer."""
        if not (self.update.one_by_one and self.lacking) or yielded >= self.replicas or self.answering < yielded:
            return False
        old = min(self.stable_ready, self.replicas - yielded)
        answer = self.answering if canary and canary.alone else old + (self.answering if canary else 0)
        return answer - 1 >= self.update.floor

    def _began(self, canary: Canary | None, progress: Progress) -> datetime | None:
        """Return since when pods are waited for; None where all that are wanted answer."""
        if canary is None:
            return progress.since
        return None if canary.reached else canary.since

    def _go_on(self, target: str, route: Route) -> Plan:
        """Bring a rollout one step further."""
        canary = route.canary if route.canary and route.canary.revision == target else None
        if self.steps and self.stable_answers and not self._is_ordered(route, Command.PROMOTE):
            return self._try(target, route, canary) if canary else self._stage(target, replace(route, canary=None))
        paused = self._is_ordered(route, Command.PAUSE) and self.stable_answers
        if self.answers and not paused:
            return self._promote(target, route)
        if canary and self.answering < self.replicas:
            canary = replace(canary, alone=False)
        return self._staging(target, replace(route, canary=canary))

    def _is_ordered(self, route: Route, command: Command) -> bool:
        return route.order is not None and route.order.command is command

    def _first(self, target: str) -> Plan:
        """Nothing has ever answered: the Service follows the target, and the target before makes room."""
        if self.answers:
            return Plan(Step.PROMOTING, Route(target, self.now), self._all_but(target))
        return Plan(Step.STAGING, self.route if self.guarded else Route(target), self._all_but(target))

    def _promote(self, target: str, route: Route) -> Plan:
        promoted = Route(target, self.now, previous=route.revision, obeyed=route.obeyed)
        return Plan(Step.PROMOTING, promoted, self._all_but(target, route.revision), wake_at=self.now + self.drain)

    def _staging(self, target: str, route: Route) -> Plan:
        return self._with_draining(Step.STAGING, route, target, route.revision)

    def _stage(self, target: str, route: Route) -> Plan:
        """Bring up the pods of the first step; the Service sends them nothing before they answer."""
        wanted = self.steps[0].replicas(self.replicas)
        if self.answering < wanted or self.strangers or self._is_ordered(route, Command.PAUSE):
            return replace(self._staging(target, route), replicas=wanted)
        return self._try(target, route, Canary(revision=target, step=0, since=self.now))

    def _try(self, target: str, route: Route, canary: Canary) -> Plan:
        """Go on with a canary: wait for its pods, keep its share for a while, take the next step, or send it back."""
        if self.findings and self.findings.verdict is Verdict.FAILED:
            return self._send_back(target, route, f"{self._place(canary)}: {self.findings.message}")
        paused = self._is_ordered(route, Command.PAUSE)
        if self._is_over(canary) and not paused:
            canary = Canary(revision=target, step=canary.step + 1, since=self.now)
        if canary.step >= len(self.steps):
            if self.answers and not paused:
                return self._promote(target, route)
            return self._beside(Step.PROMOTING, route, replace(canary, alone=False))
        step = self.steps[canary.step]
        answer = self.answering >= step.replicas(self.replicas)
        if answer and canary.reached is None:
            canary = replace(canary, reached=self.now)
        # All requests only as long as its pods answer: else the others are there for them.
        canary = replace(canary, alone=answer and step.weight == ALL)
        ends = canary.reached + step.hold if canary.reached else None
        return replace(
            self._beside(Step.CANARY, route, canary),
            replicas=step.replicas(self.replicas),
            wake_at=ends if ends and ends > self.now else None,
        )

    def _is_over(self, canary: Canary) -> bool:
        """Return whether the canary has had its share for long enough, and has it still."""
        if canary.step >= len(self.steps) or canary.reached is None:
            return False
        step = self.steps[canary.step]
        return (
            self.now >= canary.reached + step.hold
            and self.answering >= step.replicas(self.replicas)
            and (self.findings is None or self.findings.allows(step.hold))
        )

    def _place(self, canary: Canary) -> str:
        count = len(self.steps)
        return f"at step {canary.step + 1} of {count}" if canary.step < count else "after its last step"

    def _send_back(self, target: str, route: Route, message: str) -> Plan:
        rollback = Rollback(revision=target, rollout=self.rollout, time=self.now, message=message)
        return self._rolled_back(replace(route, canary=None, rolled_back=rollback))

    def _rolled_back(self, route: Route) -> Plan:
        """Keep what serves. The pods that were sent back go on for a while after they are told to end."""
        return self._with_draining(Step.ROLLED_BACK, route, route.revision)

    def _beside(self, step: Step, route: Route, canary: Canary) -> Plan:
        return Plan(step, replace(route, canary=canary), self._all_but(canary.revision, route.revision))

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


def _ordered(route: Route, target: str, command: Command | None) -> Route:
    """Return the route with what a command orders of the target; an order for any other revision has had its time."""
    order = route.order if route.order and route.order.revision == target != route.revision else None
    if command in (Command.PAUSE, Command.PROMOTE):
        order = Order(command, target) if target != route.revision else None
    if command in (Command.RESUME, Command.ABORT, Command.RETRY):
        order = None
    sent_back = None if command in (Command.PROMOTE, Command.RETRY) else route.rolled_back
    return replace(route, order=order, rolled_back=sent_back)
