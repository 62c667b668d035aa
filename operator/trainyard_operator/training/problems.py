"""What keeps a pod from running, and what a person can do about it."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from trainyard_operator.api.trainingjob import TrainingJob
from trainyard_operator.cluster.port import Manifest
from trainyard_operator.runtime.clock import from_rfc3339
from trainyard_operator.training.pod import own_image
from trainyard_operator.training.result import clean
from trainyard_operator.training.volumes import secrets

UNSCHEDULABLE = "Unschedulable"
NO_POD = "NoPod"
WAITING = "Waiting"
_PATIENCE = timedelta(seconds=60)
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


def of_job(spec: TrainingJob, job: Manifest, pod: Manifest | None, *, now: datetime) -> Problem | None:
    """Return what keeps the pod of a Job from running, or None where it runs or is about to."""
    if pod is None:
        return _no_pod(job, now)
    return _unschedulable(spec, pod) or _waiting(spec, pod) or _mounting(spec, job, pod, now)


def _no_pod(job: Manifest, now: datetime) -> Problem | None:
    name = job["metadata"]["name"]
    started = job.get("status", {}).get("startTime")
    if started is None or now - from_rfc3339(started) < _PATIENCE:
        return None
    return Problem(
        NO_POD,
        f"Job {name!r} has had no pod for more than {_PATIENCE.seconds} s, for example because of a quota or a policy; "
        f"`kubectl describe job {name}` says why",
    )


def _unschedulable(spec: TrainingJob, pod: Manifest) -> Problem | None:
    for condition in pod.get("status", {}).get("conditions", []):
        if (
            condition["type"] == "PodScheduled"
            and condition["status"] == "False"
            and condition.get("reason") == UNSCHEDULABLE
        ):
            worker = spec.spec.roles.worker
            wanted = f"{worker.gpus} {worker.gpu_resource}" if worker.gpus else "no GPU"
            return Problem(
                UNSCHEDULABLE,
                f"no node can take the pod ({clean(condition.get('message', ''))}). It asks for {wanted} and what "
                "spec.roles.worker.resources says: create the job anew with less, or with other tolerations, "
                "or add a node that fits",
                # An autoscaler may bring the node, or another job free it.
                passing=True,
            )
    return None


def _mounting(spec: TrainingJob, job: Manifest, pod: Manifest, now: datetime) -> Problem | None:
    """Say what a pod may be waiting for that only its events tell.

    The operator may not read Secrets, so it names those that the pod cannot start without.
    """
    statuses = pod.get("status", {}).get("containerStatuses", [])
    creating = any(
        (each.get("state", {}).get("waiting") or {}).get("reason") == "ContainerCreating" for each in statuses
    )
    started, names = job.get("status", {}).get("startTime"), sorted({each.name for each in secrets(spec)})
    if not creating or not names or started is None or now - from_rfc3339(started) < _PATIENCE:
        return None
    return Problem(
        WAITING,
        f"the pod has waited for its image or its volumes for more than {_PATIENCE.seconds} s. It needs the Secret "
        f"{' and the Secret '.join(map(repr, names))} of its spec: if that does not exist, create it, and the pod "
        f"starts by itself; `kubectl describe pod {pod['metadata']['name']}` says more",
        passing=True,
    )


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
