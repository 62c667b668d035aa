"""What keeps a pod from running, and what a person can do about it."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from trainyard_api.trainingjob import TrainingJob
from trainyard_operator.cluster.port import Manifest
from trainyard_operator.runtime.clock import from_rfc3339
from trainyard_operator.training.attempt_pods import Workers
from trainyard_operator.training.pod import own_image
from trainyard_operator.training.termination_message import clean
from trainyard_operator.training.volumes import claim_names, secrets

UNSCHEDULABLE = "Unschedulable"
NO_POD = "NoPod"
WAITING = "Waiting"
_PATIENCE = timedelta(seconds=60)
_NEEDS = "It needs the Secret {} of its spec: if that does not exist, create it, and the pod starts by itself"
_SHARED = "All pods mount the claim {}: where that is not ReadWriteMany, they all have to run on one node"
_IMAGE = frozenset({"ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull", "ImageInspectError"})
_SETUP = frozenset({"CreateContainerConfigError", "CreateContainerError", "RunContainerError", "CrashLoopBackOff"})


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a training does not run: a word for programs, and a sentence with what to change for people.

    Attributes:
        passing: It may go away by itself: nobody has to be alarmed.
    """

    reason: str
    message: str
    passing: bool = False


def of_job(spec: TrainingJob, job: Manifest, pods: Workers, *, now: datetime) -> Problem | None:
    """Return what keeps the pods of a Job from running, or None where all run or are about to."""
    if problem := _unschedulable(spec, pods):
        return problem
    for pod in pods.values():
        if problem := _waiting(spec, pod) or _mounting(spec, job, pod, now):
            return problem
    return _no_pod(job, len(pods), spec.spec.roles.worker.replicas, now)


def _no_pod(job: Manifest, there: int, count: int, now: datetime) -> Problem | None:
    name = job["metadata"]["name"]
    if there >= count or not _is_overdue(job, now):
        return None
    return Problem(
        NO_POD,
        f"Job {name!r} has had {f'only {there} of {count} pods' if there else 'no pod'} for more than "
        f"{_PATIENCE.seconds} s, for example because of a quota or a policy; `kubectl describe job {name}` says why",
    )


def _is_overdue(job: Manifest, now: datetime) -> bool:
    started = job.get("status", {}).get("startTime")
    return started is not None and now - from_rfc3339(started) >= _PATIENCE


def _unschedulable(spec: TrainingJob, pods: Workers) -> Problem | None:
    waiting = [condition for pod in pods.values() if (condition := _refused_by_scheduler(pod))]
    if not waiting:
        return None
    worker = spec.spec.roles.worker
    wanted = f"{worker.gpus} {worker.gpu_resource}" if worker.gpus else "no GPU"
    which, each = ("the pod", "It") if worker.replicas == 1 else (f"{len(waiting)} of {worker.replicas} pods", "Each")
    return Problem(
        UNSCHEDULABLE,
        f"no node can take {which} ({clean(waiting[0].get('message', ''))}). {each} asks for {wanted} and what "
        "spec.roles.worker.resources says: create the job anew with less, or with other tolerations, "
        "or add a node that fits",
        # An autoscaler may bring the node, or another job free it.
        passing=True,
    )


def _refused_by_scheduler(pod: Manifest) -> Manifest | None:
    for condition in pod.get("status", {}).get("conditions", []):
        if condition["type"] == "PodScheduled" and condition["status"] == "False":
            refused: Manifest = condition
            return refused if condition.get("reason") == UNSCHEDULABLE else None
    return None


def _mounting(spec: TrainingJob, job: Manifest, pod: Manifest, now: datetime) -> Problem | None:
    """Say what a pod may be waiting for that only its events tell.

    The operator may not read Secrets, so it names those that the pod cannot start without. A claim that is not
    ReadWriteMany keeps the pods of all nodes but one waiting.
    """
    statuses = pod.get("status", {}).get("containerStatuses", [])
    creating = any(
        (each.get("state", {}).get("waiting") or {}).get("reason") == "ContainerCreating" for each in statuses
    )
    hints = [_NEEDS.format(" and the Secret ".join(map(repr, names)))] if (names := _secret_names(spec)) else []
    if spec.spec.roles.worker.replicas > 1 and (claims := claim_names(spec)):
        hints.append(_SHARED.format(" and the claim ".join(map(repr, claims))))
    if not creating or not hints or not _is_overdue(job, now):
        return None
    name = pod["metadata"]["name"]
    return Problem(
        WAITING,
        f"{'the pod' if spec.spec.roles.worker.replicas == 1 else f'pod {name!r}'} has waited for its image or its "
        f"volumes for more than {_PATIENCE.seconds} s. {'. '.join(hints)}; `kubectl describe pod {name}` says more",
        passing=True,
    )


def _secret_names(spec: TrainingJob) -> list[str]:
    return sorted({each.name for each in secrets(spec)})


def _waiting(spec: TrainingJob, pod: Manifest) -> Problem | None:
    for status in pod.get("status", {}).get("containerStatuses", []):
        waiting = status.get("state", {}).get("waiting") or {}
        reason, detail = waiting.get("reason", ""), clean(waiting.get("message", ""))
        if reason in _IMAGE:
            image = own_image(spec) or status.get("image", "")
            return Problem(
                reason,
                f"image {image!r} cannot be pulled ({detail or reason}); "
                "check its name, and spec.roles.worker.template.imagePullSecrets",
            )
        if reason in _SETUP:
            return Problem(reason, f"the container cannot be started: {detail or reason}")
    return None
