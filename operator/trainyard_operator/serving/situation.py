"""What is known of a ModelService before a plan is carried out, and what came of the plan."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from trainyard_api.modelservice import ModelServiceStatus
from trainyard_api.queueing import ChildMetadata
from trainyard_api.rollout import Analysis
from trainyard_api.times import to_rfc3339
from trainyard_operator.cluster.port import Manifest
from trainyard_operator.serving import blockers, commands
from trainyard_operator.serving.analysis import Findings
from trainyard_operator.serving.canary import CanaryStep
from trainyard_operator.serving.observed import ObservedService
from trainyard_operator.serving.revision import Revision, Target
from trainyard_operator.serving.rollout import Plan, Route, Step
from trainyard_operator.serving.room import Update
from trainyard_operator.serving.source import Held, from_annotations, from_history, from_status
from trainyard_operator.workloads.blockers import Blocker


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """What was observed before anything is done.

    Attributes:
        replicas: How many pods the revision that has the traffic shall have.
        history: How many revisions that served before are kept.
        route: Where the stable Service sends requests.
        not_serving: Pods of the target that are ready but do not answer for its model, with what they say instead.
        missing_store: That the store of the target does not exist.
        steps: The shares of the requests that the target gets before it takes all.
        unproven: What else the target has to prove before it gets any request.
        guarded: Whether there is such a thing, so that no request may reach it before.
        rollout: Fingerprint of the rollout that the spec asks for.
        findings: What the requests of the canary are like; None where nobody asks.
        analysis: What is asked of a canary.
        command: What a person tells the rollout to do.
        update: How a rollout makes room.
        metadata: What the spec wants on all children.
    """

    owner: Manifest
    replicas: int
    history: int = 0
    observed: ObservedService
    route: Route | None
    target: Target
    not_serving: Mapping[str, str]
    missing_store: Blocker | None
    now: datetime
    steps: Sequence[CanaryStep] = ()
    unproven: Blocker | None = None
    guarded: bool = False
    rollout: str = ""
    findings: Findings | None = None
    analysis: Analysis | None = None
    command: str = ""
    update: Update = field(default_factory=Update)
    metadata: ChildMetadata | None = None

    @property
    def revision(self) -> Revision | None:
        """The target revision, where it is known."""
        return self.target.revision

    @property
    def answering(self) -> int:
        """How many pods of the target answer for its model, and as they should."""
        if self.revision is None or self.unproven is not None:
            return 0
        return self.ready(self.revision.id) - len(self.not_serving)

    @property
    def waiting(self) -> Blocker | None:
        """What is being waited for. Nothing is wrong."""
        unproven = self.unproven if self.unproven and self.unproven.transient else None
        return self.target.waiting or unproven

    @property
    def may_take_over(self) -> bool:
        """Whether the target may take the traffic: all its pods answer, or any where nothing else does."""
        deployment = self.observed.deployments.get(self.revision.id) if self.revision else None
        if deployment is None:
            return False
        serving = serving_revision(self.route)
        if self.answering and serving and not self.ready(serving):
            return True
        status = deployment.get("status", {})
        return (
            status.get("observedGeneration", 0) >= deployment["metadata"]["generation"]
            and status.get("availableReplicas", 0) >= self.replicas == deployment["spec"]["replicas"]
            and self.answering >= self.replicas
            and not self.not_serving
        )

    @property
    def answering_revisions(self) -> set[str]:
        """The revisions of which pods are ready."""
        return {revision for revision in self.observed.pods if self.ready(revision)}

    def ready(self, revision: str) -> int:
        """How many pods of a revision requests are sent to."""
        return len(self.observed.ready(revision))

    def blocker(self, wanted: int | None = None) -> Blocker | None:
        """Return what is wrong with the target, or keeps it from answering on the wanted replicas, all where None."""
        revision = self.revision
        if revision is None or self.answering >= (self.replicas if wanted is None else wanted):
            return self.target.blocker
        if self.unproven is not None and not self.unproven.transient:
            return self.unproven
        found = self.missing_store or blockers.of_revision(
            self.observed.deployments.get(revision.id),
            self.observed.pods.get(revision.id, []),
            revision,
            not_serving=self.not_serving,
            now=self.now,
        )
        serving = serving_revision(self.route)
        if found is None or serving is None or serving == revision.id:
            return found
        deployment = self.observed.deployments.get(serving)
        return blockers.in_rollout(found, deployment, serving, revision.server, update=self.update)

    @property
    def lacking(self) -> bool:
        """Whether pods of the target have found no place for a while."""
        if self.revision is None:
            return False
        found = self.revision.id
        return blockers.lacks_room(self.observed.deployments.get(found), self.observed.pods.get(found, []), self.now)


@dataclass(frozen=True, slots=True)
class Result:
    """What came of carrying out the plan.

    Attributes:
        route: Where the stable Service sends requests now.
        waiting: What is being waited for. Nothing is wrong.
        blocker: What is wrong.
        wanted: How many pods of the target were wanted.
    """

    route: Route | None
    waiting: Blocker | None = None
    blocker: Blocker | None = None
    wanted: int = 0


def versions_held(observed: ObservedService, before: ModelServiceStatus, route: Route | None) -> Held:
    """Return the model versions that are being brought up, served, and were served before.

    The Deployment that has the traffic knows what it serves, also where the status was lost. A version of which nobody
    wrote down when it was trained is as old as its rollout.
    """
    serving = serving_revision(route)
    current = from_status(before.current) or from_annotations(observed.deployments.get(serving or ""))
    if current is not None and current.trained is None and route and route.promoted:
        current = replace(current, trained=to_rfc3339(route.promoted))
    noted = [from_history(entry) for entry in before.history if entry.promoted]
    kept = [from_annotations(deployment) for deployment in observed.deployments.values()]
    return Held(from_status(before.next), current, tuple(version for version in (*noted, *kept) if version))


def result(situation: Situation, plan: Plan, refused: Blocker | None) -> Result:
    """Return what came of a plan, given what kept it from being carried out."""
    waiting, blocker = situation.waiting, situation.blocker(plan.replicas)
    if plan.step is Step.ROLLED_BACK and plan.route and plan.route.rolled_back:
        blocker = blockers.rolled_back(plan.route.rolled_back, situation.revision)
    blocker = blocker or commands.unknown(situation.command)
    yielded = plan.route.progress.yielded if plan.route and plan.route.progress else 0
    if blocker and yielded and blocker.reason in blockers.ROOM:
        room = f"{yielded} of {situation.replicas} old pods have made room so far, one at a time"
        waiting, blocker = Blocker(blocker.reason, f"{room}. {blocker.message}", transient=True), None
    wanted = situation.replicas if plan.replicas is None else plan.replicas
    if refused is None:
        return Result(plan.route, waiting, blocker, wanted)
    if refused.transient:
        return Result(situation.route, refused, blocker, wanted)
    return Result(situation.route, waiting, refused, wanted)


def serving_revision(route: Route | None) -> str | None:
    """Return the revision that has earned the traffic."""
    return route.revision if route and route.promoted else None
