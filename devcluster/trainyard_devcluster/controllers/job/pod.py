"""The pods of a Job."""

from trainyard_devcluster.controllers.job.backoff import failures_before
from trainyard_devcluster.controllers.job.failure_policy import judge
from trainyard_devcluster.controllers.job.spec import (
    CONTROLLER_UID_LABELS,
    INDEX_ENV,
    INDEX_FAILURES_ANNOTATION,
    INDEX_IGNORED_FAILURES_ANNOTATION,
    INDEX_KEY,
    JOB_NAME_LABELS,
    TRACKING_FINALIZER,
    JobSpec,
)
from trainyard_devcluster.controllers.pod_template import pod_from
from trainyard_devcluster.resources import Object, name_of, uid_of

NAME_ROOM = 58
"""How much of a pod's name is ours; the API server adds five characters."""


def build(job: Object, spec: JobSpec, index: int | None, last_failed: Object | None) -> Object:
    """A pod of the Job, at a completion index if one is given; `last_failed` is the pod that it makes up for."""
    suffix = "-" if index is None else f"-{index}-"
    pod = pod_from(job["spec"]["template"], job, name_of(job)[: NAME_ROOM - len(suffix)] + suffix)
    metadata = pod["metadata"]
    metadata["finalizers"] = [*metadata.get("finalizers", ()), TRACKING_FINALIZER]
    metadata["labels"] |= {key: name_of(job) for key in JOB_NAME_LABELS}
    metadata["labels"] |= {key: uid_of(job) for key in CONTROLLER_UID_LABELS}
    if pod["spec"].get("restartPolicy") is None:
        pod["spec"]["restartPolicy"] = "OnFailure"
    if index is not None:
        metadata["labels"][INDEX_KEY] = str(index)
        metadata["annotations"][INDEX_KEY] = str(index)
        pod["spec"]["hostname"] = f"{name_of(job)}-{index}"
        _tell_containers_their_index(pod)
    if spec.backoff_limit_per_index is not None:
        metadata["annotations"] |= _failures(spec, last_failed)
    return pod


def _tell_containers_their_index(pod: Object) -> None:
    entry = {"name": INDEX_ENV, "valueFrom": {"fieldRef": {"fieldPath": f"metadata.labels['{INDEX_KEY}']"}}}
    for container in [*(pod["spec"].get("initContainers") or ()), *pod["spec"]["containers"]]:
        env = container.get("env") or []
        if all(variable["name"] != INDEX_ENV for variable in env):
            container["env"] = [*env, entry]


def _failures(spec: JobSpec, last_failed: Object | None) -> dict[str, str]:
    counted, ignored = failures_before(last_failed) if last_failed else (0, 0)
    if last_failed:
        counts = judge(spec.failure_policy, last_failed).counts
        counted, ignored = counted + counts, ignored + (not counts)
    annotations = {INDEX_FAILURES_ANNOTATION: str(counted)}
    return annotations | ({INDEX_IGNORED_FAILURES_ANNOTATION: str(ignored)} if ignored else {})
