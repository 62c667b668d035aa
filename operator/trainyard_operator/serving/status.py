"""The status of a ModelService: a function of what was observed, what came of the plan, and the time."""

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
from trainyard_operator.serving.conditions import ServiceState
from trainyard_operator.serving.situation import Result, Situation, serving_revision
from trainyard_operator.serving.source import ModelVersion, parse_uri


def compute(before: ModelServiceStatus, situation: Situation, result: Result) -> ModelServiceStatus:
    """Return the status."""
    owner = situation.owner["metadata"]
    name, generation = owner["name"], int(owner.get("generation", 0))
    serving = serving_revision(result.route)
    shown = serving or (situation.revision.id if situation.revision else None)
    current = _current(before, situation, serving)
    state = _state(situation, result, current)
    host = f"{name}.{owner['namespace']}.svc" if result.route else None
    return ModelServiceStatus(
        observed_generation=generation,
        phase=state.phase,
        conditions=merge(before.conditions, conditions.observations(state), now=situation.now, generation=generation),
        url=f"http://{host}:{REST_PORT}/v1/models/{name}" if host else None,
        grpc=f"{host}:{GRPC_PORT}" if host else None,
        current=current,
        next=_next(situation, serving),
        replicas=len(situation.observed.pods.get(shown, [])) if shown else 0,
        ready=f"{_ready(situation, shown)}/{situation.replicas}",
        selector=_selector(name, shown) if shown else "",
    )


def _current(before: ModelServiceStatus, situation: Situation, revision: str | None) -> RevisionStatus | None:
    if revision is None:
        return None
    ready, target = _ready(situation, revision), situation.revision
    if target is not None and revision == target.id:
        return _of(revision, target.model, ready)
    model = _recorded(situation.observed.deployments.get(revision))
    if model is not None:
        return _of(revision, model, ready)
    known = before.current if before.current and before.current.revision == revision else None
    return known.model_copy(update={"ready": ready}) if known else None


def _next(situation: Situation, serving: str | None) -> RevisionStatus | None:
    target = situation.revision
    if target is None or target.id == serving:
        return None
    return _of(target.id, target.model, situation.answering)


def _ready(situation: Situation, revision: str | None) -> int:
    if situation.revision is not None and revision == situation.revision.id:
        return situation.answering
    return situation.ready(revision) if revision else 0


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


def _state(situation: Situation, result: Result, current: RevisionStatus | None) -> ServiceState:
    answering, count, target = current.ready if current else 0, situation.replicas, situation.revision
    rolling = target is not None and target.id != serving_revision(result.route)
    keeps = f"; version {current.model_version} keeps serving" if current and answering and rolling else ""
    if blocker := result.blocker:
        return ServiceState("Degraded", blocker.reason, blocker.message + keeps, answering, blocker)
    if waiting := result.waiting:
        phase: Phase = "Progressing" if target else "Pending"
        return ServiceState(phase, waiting.reason, waiting.message + keeps, answering)
    if target is None:
        return ServiceState("Pending", "Unknown", "no model is known", answering)
    which = f"version {target.model.version}"
    if rolling:
        said = f" ({min(situation.not_serving.items())[1]})" if situation.not_serving else ""
        message = f"{situation.answering} of {count} pods of {which} answer{said}{keeps}"
        return ServiceState("Progressing", "RollingOut", message, answering)
    if count == 0:
        return ServiceState("Stopped", "Stopped", "spec.replicas is 0", answering)
    message = f"{answering} of {count} pods of {which} answer"
    if answering < count:
        return ServiceState("Progressing", "Scaling", message, answering)
    return ServiceState("Ready", "Serving", message, answering)
