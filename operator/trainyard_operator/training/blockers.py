"""What keeps the pods of a training from running."""

from collections.abc import Iterable
from datetime import datetime, timedelta

from trainyard_api.roles import RoleName
from trainyard_api.times import from_rfc3339
from trainyard_api.trainingjob import TrainingJob
from trainyard_operator.cluster.port import Manifest
from trainyard_operator.training.attempt_pods import Workers
from trainyard_operator.training.pod import CONTAINER, image_field
from trainyard_operator.training.volumes import claim_names, secrets, sees_data
from trainyard_operator.workloads.blockers import PODS_NOT_CREATED, Blocker
from trainyard_operator.workloads.diagnosis import PATIENCE, Needs, not_starting, unschedulable
from trainyard_operator.workloads.pod import references
from trainyard_operator.workloads.text import clean

REFUSAL_PATIENCE = timedelta(seconds=5)
"""How long Kubernetes may take to make the pods of a Job."""
_FAILED_CREATE = "FailedCreate"
_ERROR_CREATING = "Error creating: "


def of_job(
    spec: TrainingJob, job: Manifest, pods: Workers, *, now: datetime, role: RoleName | None = None, refusal: str = ""
) -> Blocker | None:
    """Return what keeps the pods of a Job from running, or None where all run or are about to.

    Args:
        refusal: Why the API server takes no more pods of the Job, where it has said so.
    """
    role = role or spec.spec.roles.lead
    needs, count, overdue = _needs(spec, role), spec.spec.roles.of(role).replicas, _is_overdue(job, now)
    if blocker := unschedulable(pods.values(), needs, count=count):
        return blocker
    for pod in pods.values():
        if blocker := not_starting(pod, needs, overdue=overdue):
            return blocker
    return _too_few(job, len(pods), count, refusal) if overdue or refusal else None


def may_be_refused(job: Manifest, *, now: datetime) -> bool:
    """Return whether a Job that has not all its pods has had time enough to make them."""
    return not job["spec"].get("suspend") and _is_overdue(job, now, REFUSAL_PATIENCE)


def refusal_in(events: Iterable[Manifest]) -> str:
    """Return why pods are refused, of events about their Job with the newest first; empty where none says so."""
    found = (str(event.get("message") or "") for event in events if event.get("reason") == _FAILED_CREATE)
    return clean(next(found, "").removeprefix(_ERROR_CREATING))


def _needs(job: TrainingJob, role: RoleName) -> Needs:
    worker, sees = job.spec.roles.of(role), sees_data(job, role)
    named = references(worker.template)
    return Needs(
        path=f"spec.roles.{role}",
        gpus=f"{worker.gpus} {worker.gpu_resource}" if worker.gpus else "",
        less="create the job anew with less, or with other tolerations",
        images={CONTAINER: image_field(job, role)},
        secrets=[*(secret.name for secret in secrets(job) if sees), *named.secrets],
        config_maps=named.config_maps,
        claims=claim_names(job) if sees else [],
        shared=worker.replicas > 1,
    )


def _too_few(job: Manifest, there: int, count: int, refusal: str) -> Blocker | None:
    name = job["metadata"]["name"]
    if there >= count:
        return None
    if refusal:
        has = f"has only {there} of {count} pods" if there else "has no pod"
        return Blocker(PODS_NOT_CREATED, f"Job {name!r} {has}, because they are refused: {refusal}")
    return Blocker(
        PODS_NOT_CREATED,
        f"Job {name!r} has had {f'only {there} of {count} pods' if there else 'no pod'} for more than "
        f"{PATIENCE.seconds} s, for example because of a quota or a policy; `kubectl describe job {name}` says why",
    )


def _is_overdue(job: Manifest, now: datetime, patience: timedelta = PATIENCE) -> bool:
    started = job.get("status", {}).get("startTime")
    return started is not None and now - from_rfc3339(started) >= patience
