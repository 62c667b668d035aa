"""Why a pod does not run, and what a person can do about it: one diagnosis for both kinds."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from trainyard_operator.cluster.port import Manifest
from trainyard_operator.workloads.blockers import (
    IMAGE_PULL_FAILED,
    UNSCHEDULABLE,
    WAITING_FOR_VOLUMES,
    Blocker,
)
from trainyard_operator.workloads.pods import condition, container_statuses
from trainyard_operator.workloads.text import clean, listed

PATIENCE = timedelta(seconds=60)
"""How long something may take before somebody has to know."""
_IMAGE = frozenset({"ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull", "ImageInspectError"})
_SETUP = frozenset({"CreateContainerConfigError", "CreateContainerError", "RunContainerError"})
_CLAIM = "persistentvolumeclaim"
_PREPARING = frozenset({"ContainerCreating", "PodInitializing"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Needs:
    """What pods need to run, and where the spec says so.

    Attributes:
        path: Where the spec describes the pods, for example `spec.server`.
        gpus: GPUs of a pod, for example `2 nvidia.com/gpu`; empty for none.
        less: What to do where no node fits.
        images: The field that names the image of a container, by the container's name.
        secrets: Secrets without which a pod does not start.
        config_maps: ConfigMaps without which a pod does not start.
        claims: Claims that a pod mounts.
        shared: Whether pods on several nodes mount the claims.
    """

    path: str
    gpus: str
    less: str
    images: Mapping[str, str] = field(default_factory=dict)
    secrets: Sequence[str] = ()
    config_maps: Sequence[str] = ()
    claims: Sequence[str] = ()
    shared: bool = False


def unschedulable(pods: Iterable[Manifest], needs: Needs, *, count: int) -> Blocker | None:
    """Return that no node takes some of the `count` pods; an autoscaler may bring one, or somebody free it."""
    refused = [(pod, refusal) for pod in pods if (refusal := _refusal(pod))]
    if not refused:
        return None
    pod, refusal = refused[0]
    if _CLAIM in refusal.get("message", "").lower() and needs.claims:
        return Blocker(
            WAITING_FOR_VOLUMES,
            f"pod {pod['metadata']['name']} waits for its volumes ({clean(refusal['message'])}). It mounts "
            f"{listed('claim', sorted(needs.claims))}: `kubectl describe pvc {' '.join(sorted(needs.claims))}` says "
            "what is missing, for example a StorageClass",
            transient=True,
        )
    which, one = (f"pod {pod['metadata']['name']}", "It") if count == 1 else (f"{len(refused)} of {count} pods", "Each")
    return Blocker(
        UNSCHEDULABLE,
        f"no node can take {which} ({clean(refusal.get('message', ''))}). {one} asks for {needs.gpus or 'no GPU'} "
        f"({needs.path}.gpus) and what {needs.path}.resources says: {needs.less}, or add a node that fits",
        transient=True,
    )


def not_starting(pod: Manifest, needs: Needs, *, overdue: bool) -> Blocker | None:
    """Return why the containers of a pod that has a node do not start.

    Args:
        overdue: The pod has had its time to fetch images and mount volumes.
    """
    return next(_waiting(pod, needs), None) or (_mounting(pod, needs) if overdue else None)


def _refusal(pod: Manifest) -> Manifest | None:
    found = condition(pod, "PodScheduled")
    return found if found.get("status") == "False" and found.get("reason") == UNSCHEDULABLE else None


def _waiting(pod: Manifest, needs: Needs) -> Iterator[Blocker]:
    statuses = list(container_statuses(pod))
    for status in statuses:
        waiting = status.get("state", {}).get("waiting") or {}
        reason, detail = waiting.get("reason", ""), clean(waiting.get("message", ""))
        if reason in _IMAGE:
            yield Blocker(
                IMAGE_PULL_FAILED,
                f"image {status.get('image', '')!r} cannot be pulled ({detail or reason}); check "
                f"{needs.images.get(status['name'], 'its name')} and {needs.path}.template.imagePullSecrets",
            )
        if reason in _SETUP:
            which = "the container" if len(statuses) == 1 else f"container {status['name']!r}"
            yield Blocker(reason, f"{which} cannot be started: {detail or reason}")


def _mounting(pod: Manifest, needs: Needs) -> Blocker | None:
    """Say what a pod may be waiting for that only its events tell.

    The operator may not read Secrets, so it names those that the pod cannot start without. A claim that is not
    ReadWriteMany keeps the pods of all nodes but one waiting.
    """
    waiting = [(status.get("state", {}).get("waiting") or {}).get("reason") for status in container_statuses(pod)]
    if not waiting or waiting[0] not in _PREPARING:
        return None
    objects = [("Secret", needs.secrets), ("ConfigMap", needs.config_maps)]
    hints = [
        f"It needs {listed(kind, sorted({*names}))} of its spec: if that does not exist, create it, and the pod starts "
        "by itself"
        for kind, names in objects
        if names
    ]
    if needs.claims and needs.shared:
        hints.append(
            f"All pods mount {listed('claim', sorted(needs.claims))}: where that is not ReadWriteMany, they all have "
            "to run on one node"
        )
    elif needs.claims:
        hints.append(
            f"It mounts {listed('claim', sorted(needs.claims))}: where that is ReadWriteOnce, pods on another node "
            "keep it"
        )
    if not hints:
        return None
    name = pod["metadata"]["name"]
    return Blocker(
        WAITING_FOR_VOLUMES,
        f"pod {name!r} has waited for its image or its volumes for more than {PATIENCE.seconds} s. "
        f"{'. '.join(hints)}; `kubectl describe pod {name}` says more",
        transient=True,
    )
