"""The status of a ModelService: a function of what is wanted, what is observed, and the time."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from trainyard_api.conditions import merge
from trainyard_api.modelservice import ModelServiceStatus, Phase, RevisionStatus
from trainyard_api.names import (
    GRPC_PORT,
    MODEL_DIGEST_ANNOTATION,
    MODEL_URI_ANNOTATION,
    REST_PORT,
    TRAINING_JOB_ANNOTATION,
)
from trainyard_operator.cluster.port import Manifest
from trainyard_operator.serving import conditions, identity
from trainyard_operator.serving.blockers import Problem
from trainyard_operator.serving.conditions import State
from trainyard_operator.serving.observe import Observed
from trainyard_operator.serving.revision import Revision
from trainyard_operator.serving.rollout import Route
from trainyard_operator.serving.source import ModelVersion, parse_uri


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """Everything a status is made from.

    Attributes:
        route: Where the stable Service sends requests.
        target: The wanted revision, where it is known.
        mute: Pods of the target that are ready but do not answer for its model, with what they say instead.
        waiting: What is being waited for. Nothing is wrong.
        problem: What is wrong.
    """

    owner: Manifest
    replicas: int
    observed: Observed
    route: Route | None
    now: datetime
    target: Revision | None = None
    mute: Mapping[str, str] = field(default_factory=dict)
    waiting: Problem | None = None
    problem: Problem | None = None

    @property
    def serving(self) -> str | None:
        """The revision that has earned the traffic."""
        return self.route.revision if self.route and self.route.promoted else None

    @property
    def answering(self) -> int:
        """How many pods of the target answer for its model."""
        return self.ready(self.target.id) - len(self.mute) if self.target else 0

    @property
    def may_take_over(self) -> bool:
        """Whether the target may take the traffic: all its pods answer, or any where nothing else does."""
        deployment = self.observed.deployments.get(self.target.id) if self.target else None
        if deployment is None:
            return False
        if self.answering and self.serving and not self.ready(self.serving):
            return True
        status = deployment.get("status", {})
        return (
            status.get("observedGeneration", 0) >= deployment["metadata"]["generation"]
            and status.get("availableReplicas", 0) >= self.replicas == deployment["spec"]["replicas"]
            and self.answering >= self.replicas
            and not self.mute
        )

    def ready(self, revision: str) -> int:
        """How many pods of a revision requests are sent to."""
        return len(self.observed.ready(revision))

    def refused(self, problem: Problem) -> "Facts":
        """Return the facts after something kept the plan from being carried out."""
        return replace(self, waiting=problem) if problem.passing else replace(self, problem=problem)


def compute(before: ModelServiceStatus, facts: Facts) -> ModelServiceStatus:
    """Return the status."""
    name, namespace = facts.owner["metadata"]["name"], facts.owner["metadata"]["namespace"]
    generation = int(facts.owner["metadata"].get("generation", 0))
    shown = facts.serving or (facts.target.id if facts.target else None)
    current = _current(before, facts)
    state = _state(facts, current)
    there = facts.route is not None
    return ModelServiceStatus(
        observed_generation=generation,
        phase=state.phase,
        conditions=merge(before.conditions, conditions.observations(state), now=facts.now, generation=generation),
        url=f"http://{name}.{namespace}.svc:{REST_PORT}/v1/models/{name}" if there else None,
        grpc=f"{name}.{namespace}.svc:{GRPC_PORT}" if there else None,
        current=current,
        next=_next(facts),
        replicas=len(facts.observed.pods.get(shown, [])) if shown else 0,
        ready=f"{_ready(facts, shown)}/{facts.replicas}",
        selector=_selector(name, shown) if shown else "",
    )


def _current(before: ModelServiceStatus, facts: Facts) -> RevisionStatus | None:
    revision = facts.serving
    if revision is None:
        return None
    ready = _ready(facts, revision)
    if facts.target is not None and revision == facts.target.id:
        return _of(revision, facts.target.model, ready)
    model = _recorded(facts.observed.deployments.get(revision))
    if model is not None:
        return _of(revision, model, ready)
    known = before.current if before.current and before.current.revision == revision else None
    return known.model_copy(update={"ready": ready}) if known else None


def _next(facts: Facts) -> RevisionStatus | None:
    if facts.target is None or facts.target.id == facts.serving:
        return None
    return _of(facts.target.id, facts.target.model, facts.answering)


def _ready(facts: Facts, revision: str | None) -> int:
    if facts.target is not None and revision == facts.target.id:
        return facts.answering
    return facts.ready(revision) if revision else 0


def _of(revision: str, model: ModelVersion, ready: int) -> RevisionStatus:
    return RevisionStatus(
        revision=revision,
        model_version=model.version,
        uri=model.uri,
        digest=model.digest,
        ready=ready,
        training_job=model.training_job,
    )


def _recorded(deployment: Manifest | None) -> ModelVersion | None:
    """Return the model version a Deployment was made for, as it is written on it."""
    notes = (deployment or {"metadata": {}})["metadata"].get("annotations", {})
    model = parse_uri(
        notes.get(MODEL_URI_ANNOTATION, ""),
        digest=notes.get(MODEL_DIGEST_ANNOTATION),
        training_job=notes.get(TRAINING_JOB_ANNOTATION),
    )
    return model if isinstance(model, ModelVersion) else None


def _selector(service: str, revision: str) -> str:
    return ",".join(f"{key}={value}" for key, value in sorted(identity.pod_selector(service, revision).items()))


def _state(facts: Facts, current: RevisionStatus | None) -> State:
    answering = current.ready if current else 0
    wanted, rolling = facts.replicas, facts.target is not None and facts.target.id != facts.serving
    keeps = f"; version {current.model_version} keeps serving" if current and answering and rolling else ""
    if facts.problem is not None:
        return State("Degraded", facts.problem.reason, facts.problem.message + keeps, answering, facts.problem)
    if facts.waiting is not None:
        phase: Phase = "Progressing" if facts.target else "Pending"
        return State(phase, facts.waiting.reason, facts.waiting.message + keeps, answering)
    if facts.target is None:
        return State("Pending", "Unknown", "no model is known", answering)
    what = f"version {facts.target.model.version}"
    if rolling:
        said = f" ({min(facts.mute.items())[1]})" if facts.mute else ""
        message = f"{facts.answering} of {wanted} pods of {what} answer{said}{keeps}"
        return State("Progressing", "RollingOut", message, answering)
    if wanted == 0:
        return State("Stopped", "Stopped", "spec.replicas is 0", answering)
    message = f"{answering} of {wanted} pods of {what} answer"
    if answering < wanted:
        return State("Progressing", "Scaling", message, answering)
    return State("Ready", "Serving", message, answering)
