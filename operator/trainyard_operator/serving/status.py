"""The status of a ModelService: a function of what was observed, what came of the plan, and the time."""

from trainyard_api.conditions import merge
from trainyard_api.modelservice import ModelServiceStatus, Phase, RevisionStatus
from trainyard_api.names import (
    GRPC_PORT,
    REST_PORT,
)
from trainyard_api.rollout import CanaryStatus, RollbackStatus
from trainyard_api.times import to_rfc3339
from trainyard_operator.serving import conditions, gate, history, identity
from trainyard_operator.serving.canary import ALL, achieved
from trainyard_operator.serving.commands import Command
from trainyard_operator.serving.conditions import ServiceState
from trainyard_operator.serving.gateway import achieved_share, shares
from trainyard_operator.serving.revision import Revision
from trainyard_operator.serving.situation import Result, Situation, serving_revision
from trainyard_operator.serving.source import ModelVersion, from_annotations, from_status
from trainyard_operator.workloads.blockers import Blocker
from trainyard_operator.workloads.profiles import status_of


def compute(
    before: ModelServiceStatus, situation: Situation, result: Result, incomplete: Blocker | None = None
) -> ModelServiceStatus:
    owner = situation.owner["metadata"]
    name, generation = owner["name"], int(owner.get("generation", 0))
    serving = serving_revision(result.route)
    shown = serving or (situation.revision.id if situation.revision else None)
    current = _current(before, situation, serving)
    canary, sent_back = _canary(situation, result), _rolled_back(situation, result)
    state = _state(situation, result, current, canary)
    observed = [*conditions.observations(state), *conditions.incomplete(incomplete)]
    host = f"{name}.{owner['namespace']}.svc" if result.route else None
    if situation.target.gated is not None:
        observed.append(gate.condition(situation.target.gated))
    after = ModelServiceStatus(
        observed_generation=generation,
        phase=state.phase,
        conditions=merge(before.conditions, observed, now=situation.now, generation=generation),
        url=f"http://{host}:{REST_PORT}/v1/models/{name}" if host else None,
        grpc=f"{host}:{GRPC_PORT}" if host else None,
        current=current,
        next=_next(situation, serving, sent_back=sent_back is not None),
        canary=canary,
        obeyed=(result.route.obeyed if result.route else "") or None,
        rolled_back=sent_back,
        replicas=len(situation.observed.pods.get(shown, [])) if shown else 0,
        ready=f"{_ready(situation, shown)}/{situation.replicas}",
        selector=_selector(name, shown) if shown else "",
        profile=status_of(situation.observed.deployments.get(shown)) if shown else None,
    )
    promoted = result.route.promoted if result.route else None
    past = history.record(before, after, situation.target.gated, promoted=promoted, now=situation.now)
    return after.model_copy(update={"history": past})


def _current(before: ModelServiceStatus, situation: Situation, revision: str | None) -> RevisionStatus | None:
    if revision is None:
        return None
    ready, target = _ready(situation, revision), situation.revision
    if target is not None and revision == target.id:
        return _of(revision, target.model, ready)
    for known in (before.current, before.next):
        if known and known.revision == revision:
            return known.model_copy(update={"ready": ready})
    model = from_annotations(situation.observed.deployments.get(revision))
    return _of(revision, model, ready) if model else None


def _next(situation: Situation, serving: str | None, *, sent_back: bool) -> RevisionStatus | None:
    target = situation.revision
    if target is None or target.id == serving or sent_back:
        return None
    return _of(target.id, target.model, situation.answering)


def _rolled_back(situation: Situation, result: Result) -> RollbackStatus | None:
    rollback = result.route.rolled_back if result.route else None
    if rollback is None or situation.revision is None or rollback.revision != situation.revision.id:
        return None
    return rollback.status()


def _canary(situation: Situation, result: Result) -> CanaryStatus | None:
    route, steps = result.route, situation.steps
    if route is None or route.canary is None or not steps:
        return None
    canary, target = route.canary, situation.revision
    step = steps[canary.step] if canary.step < len(steps) else None
    ready = _ready(situation, canary.revision)
    exact = achieved_share(situation.owner, shares(route, steps, situation.answering_revisions))
    return CanaryStatus(
        revision=canary.revision,
        model_version=target.model.version if target and target.id == canary.revision else None,
        step=min(canary.step + 1, len(steps)),
        steps=len(steps),
        weight=step.weight if step else ALL,
        achieved=achieved(ready, situation.ready(route.revision), alone=canary.alone) if exact is None else exact,
        ready=ready,
        replicas=result.wanted,
        since=to_rfc3339(canary.since),
        until=to_rfc3339(canary.reached + step.hold) if step and canary.reached else None,
        analysis=situation.findings.status() if situation.findings else None,
    )


def _ready(situation: Situation, revision: str | None) -> int:
    if situation.revision is not None and revision == situation.revision.id:
        return situation.answering
    return situation.ready(revision) if revision else 0


def _of(revision: str, model: ModelVersion, ready: int) -> RevisionStatus:
    return RevisionStatus(
        revision=revision,
        model=model.model,
        model_version=model.version,
        uri=model.uri,
        digest=model.digest,
        ready=ready,
        training_job=model.training_job,
        training_job_uid=model.training_job_uid,
        trained=model.trained,
        selector=model.selector,
        metrics=dict(model.metrics) or None,
    )


def _selector(service: str, revision: str) -> str:
    return ",".join(f"{key}={value}" for key, value in sorted(identity.pod_selector(service, revision).items()))


def _titles(target: Revision | None, current: RevisionStatus | None) -> tuple[str, str]:
    """Return what to call the target and what serves, so that they can be told apart."""
    if target is None or current is None:
        return (target.model.title if target else ""), (f"version {current.model_version}" if current else "")
    if (current.uri, current.revision != target.id) == (target.model.uri, True):
        return f"revision {target.id} (image {target.server.image})", f"revision {current.revision}"
    return target.model.title, (served.title if (served := from_status(current)) else current.uri)


def _state(
    situation: Situation, result: Result, current: RevisionStatus | None, canary: CanaryStatus | None
) -> ServiceState:
    answering, count, target = current.ready if current else 0, situation.replicas, situation.revision
    rolling = target is not None and target.id != serving_revision(result.route)
    which, other = _titles(target, current)
    order = result.route.order if result.route else None
    paused = order is not None and order.command is Command.PAUSE
    keeps = f"; {other} keeps serving" if answering and rolling else ""
    if blocker := result.blocker:
        return ServiceState("Degraded", blocker.reason, blocker.message + keeps, answering, blocker)
    if waiting := result.waiting:
        phase: Phase = "Progressing" if target else "Pending"
        return ServiceState(phase, waiting.reason, waiting.message + keeps, answering)
    if target is None:
        return ServiceState("Pending", "Unknown", "no model is known", answering)
    if canary and canary.revision == target.id:
        message = ("paused: " if paused else "") + _of_canary(canary, which, other)
        return ServiceState("Progressing", "Paused" if paused else "Canary", message, answering)
    if rolling:
        said = f" ({min(situation.not_serving.items())[1]})" if situation.not_serving else ""
        message = f"{situation.answering} of {result.wanted} pods of {which} answer{said}{keeps}"
        if paused:
            return ServiceState("Progressing", "Paused", f"paused: {message}", answering)
        return ServiceState("Progressing", "RollingOut", message, answering)
    if count == 0:
        return ServiceState("Stopped", "Stopped", "spec.replicas is 0", answering)
    message = f"{answering} of {count} pods of {which} answer"
    if answering < count:
        return ServiceState("Progressing", "Scaling", message, answering)
    return ServiceState("Ready", "Serving", message, answering)


def _of_canary(canary: CanaryStatus, which: str, other: str) -> str:
    share = f"{which} gets {canary.achieved} % of the requests beside {other}"
    if canary.weight == ALL and canary.until is None:
        return f"{share}; {canary.ready} of {canary.replicas} pods answer, then it gets all"
    asked = f"step {canary.step} of {canary.steps} asks for {canary.weight} %"
    until = f"until {canary.until}" if canary.until else f"{canary.ready} of {canary.replicas} pods answer"
    judged = f"; {canary.analysis.verdict}: {canary.analysis.message}" if canary.analysis else ""
    return f"{share}; {asked}, {until}{judged}"
