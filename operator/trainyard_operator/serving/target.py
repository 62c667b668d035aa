"""Finds the revision that a ModelService asks for; the API server knows the TrainingJobs it follows."""

from collections.abc import Sequence

from trainyard_api.modelservice import ModelService
from trainyard_operator.cluster.errors import Invalid, NotFound
from trainyard_operator.cluster.kinds import CLAIM, TRAINING_JOB
from trainyard_operator.cluster.port import Cluster
from trainyard_operator.serving import source
from trainyard_operator.serving.gate import GATE_REFUSED, choose, refusal
from trainyard_operator.serving.revision import Fetching, Revision, Target
from trainyard_operator.serving.source import Held, ModelVersion
from trainyard_operator.workloads.blockers import INVALID_SPEC, STORE_NOT_FOUND, Blocker
from trainyard_operator.workloads.text import clean


async def find_target(cluster: Cluster, service: ModelService | Blocker, held: Held) -> Target:
    """Return what the service shall serve, as far as that is known."""
    if isinstance(service, Blocker):
        return Target(blocker=service)
    if service.spec.model.uri is None:
        try:
            return await _followed(cluster, service, held)
        except Invalid as error:
            # The API server cannot make sense of the question, which is made from the spec.
            return Target(blocker=Blocker(INVALID_SPEC, f"spec.model.fromTraining: {clean(str(error))}"))
    model = source.parse_uri(service.spec.model.uri, digest=service.spec.model.digest)
    return Target(blocker=model) if isinstance(model, Blocker) else Target(_revision(service, model))


async def _followed(cluster: Cluster, service: ModelService, held: Held) -> Target:
    namespace, following = service.metadata["namespace"], service.spec.model.from_training
    labels = following.selector.match_labels if following else {}
    jobs = await cluster.select(TRAINING_JOB, namespace, labels=labels)
    offers = source.offers(jobs, source.selector_text(labels))
    if (number := service.spec.model.version) is not None:
        return _pinned(service, number, offers, held)
    serving = _with_metrics(held.serving, offers)
    found = choose(offers, service.spec.gate, serving)
    gated = found if service.spec.gate else None
    for last in held.versions:
        # What nobody offers any more needs a closer look; all else, the usual case, costs no further call.
        if last in offers or (last != serving and refusal(service.spec.gate, last, serving)):
            continue
        if source.is_kept(last, found.passed, gone=await _is_gone(cluster, namespace, last)):
            return Target(_revision(service, last), gated=gated)
    if found.passed is not None:
        return Target(_revision(service, found.passed), gated=gated)
    if found.refused:
        return Target(waiting=Blocker(GATE_REFUSED, found.summary), gated=gated)
    others = [] if jobs else await cluster.select(TRAINING_JOB, namespace)
    return Target(waiting=source.waiting(jobs, labels, namespace, others), gated=gated)


def _pinned(service: ModelService, number: int, offers: Sequence[ModelVersion], held: Held) -> Target:
    following = service.spec.model.from_training
    selector = source.selector_text(following.selector.match_labels) if following else ""
    if version := source.pinned(number, offers, held, selector):
        return Target(_revision(service, version))
    known = ", ".join(str(found) for found in sorted({offer.version for offer in offers})[-20:]) or "none"
    return Target(
        blocker=Blocker(
            "VersionNotFound",
            f"no TrainingJob with {selector} offers version {number} of spec.model.version, and none of this number "
            f"served before; there are: {known}",
        )
    )


def _with_metrics(serving: ModelVersion | None, offers: Sequence[ModelVersion]) -> ModelVersion | None:
    """Return what serves with the metrics that its TrainingJob has, where an older operator has not noted them."""
    if serving is None or serving.metrics:
        return serving
    return next((offer for offer in offers if offer == serving), serving)


def _revision(service: ModelService, model: ModelVersion) -> Revision:
    wish = service.spec.model
    fetching = Fetching(
        secret=wish.secret_ref.name if wish.secret_ref and model.claim is None else None,
        any_operation=wish.allow_any_operation,
        structure=wish.verify.structure if wish.verify else False,
        public_key=wish.verify.public_key if wish.verify else None,
        resources=service.spec.fetch.resources,
    )
    return Revision(model, service.spec.server, fetching, service.spec.profile)


async def _is_gone(cluster: Cluster, namespace: str, model: ModelVersion) -> bool:
    """Return whether the TrainingJob of a model version was deleted, perhaps to train under its name once more."""
    if model.training_job is None:
        return False
    try:
        return source.offer(await cluster.get(TRAINING_JOB, namespace, model.training_job)) != model
    except NotFound:
        return True


async def missing_store(cluster: Cluster, namespace: str, model: ModelVersion) -> Blocker | None:
    """Return that the claim of a model's store does not exist; pods that want it would only say "pending"."""
    if model.claim is None:
        return None
    try:
        await cluster.get(CLAIM, namespace, model.claim)
    except NotFound:
        return Blocker(
            STORE_NOT_FOUND,
            f"PersistentVolumeClaim {model.claim!r} of {model.uri} does not exist in namespace {namespace!r}; "
            "create it, or change spec.model",
        )
    return None
