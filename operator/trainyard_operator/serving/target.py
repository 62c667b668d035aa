"""Finds out which revision a ModelService wants, asking the API server for the TrainingJobs it follows."""

from trainyard_api.modelservice import ModelService, ModelServiceStatus
from trainyard_operator.cluster.errors import NotFound
from trainyard_operator.cluster.kinds import CLAIM, TRAINING_JOB
from trainyard_operator.cluster.port import Cluster
from trainyard_operator.serving import source
from trainyard_operator.serving.blockers import Problem
from trainyard_operator.serving.revision import Revision
from trainyard_operator.serving.source import ModelVersion


class NotYet(Exception):
    """There is no model to serve.

    Attributes:
        problem: Why.
        patient: Nothing is wrong, it only has to be waited for.
    """

    def __init__(self, problem: Problem, *, patient: bool) -> None:
        super().__init__(problem.message)
        self.problem = problem
        self.patient = patient


async def target_revision(cluster: Cluster, service: ModelService, before: ModelServiceStatus) -> Revision:
    """Return the wanted revision.

    Raises:
        NotYet: there is no model to serve.
    """
    if service.spec.model.uri is not None:
        model = source.parse_uri(service.spec.model.uri)
        if isinstance(model, Problem):
            raise NotYet(model, patient=False)
    else:
        model = await _followed(cluster, service, before)
    secret = service.spec.model.secret_ref
    return Revision(
        model,
        service.spec.server,
        secret.name if secret and model.claim is None else None,
        service.spec.model.allow_any_operation,
    )


async def _followed(cluster: Cluster, service: ModelService, before: ModelServiceStatus) -> ModelVersion:
    namespace, following = service.metadata["namespace"], service.spec.model.from_training
    labels = following.selector.match_labels if following else {}
    jobs = await cluster.select(TRAINING_JOB, namespace, labels=labels)
    candidate = source.newest(jobs)
    last = source.from_status(before.current or before.next)
    # What nobody offers any more needs a closer look; all else, the usual case, costs no further call.
    if (
        last is not None
        and last not in [source.offer(job) for job in jobs]
        and source.is_kept(last, candidate, gone=await _is_gone(cluster, namespace, last))
    ):
        return last
    if candidate is None:
        raise NotYet(source.waiting(jobs, labels, namespace), patient=True)
    return candidate


async def _is_gone(cluster: Cluster, namespace: str, model: ModelVersion) -> bool:
    """Return whether the TrainingJob of a model version was deleted, perhaps to train under its name once more."""
    if model.training_job is None:
        return False
    try:
        return source.offer(await cluster.get(TRAINING_JOB, namespace, model.training_job)) != model
    except NotFound:
        return True


async def missing_store(cluster: Cluster, namespace: str, model: ModelVersion) -> Problem | None:
    """Return that the claim of a model's store does not exist; pods that want it would only say "pending"."""
    if model.claim is None:
        return None
    try:
        await cluster.get(CLAIM, namespace, model.claim)
    except NotFound:
        return Problem(
            "StoreNotFound",
            f"PersistentVolumeClaim {model.claim!r} of {model.uri} does not exist in namespace {namespace!r}; "
            "create it, or change spec.model",
        )
    return None
