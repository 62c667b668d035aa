"""The pods of one attempt: what each is doing, and which of them decided how the attempt ended."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import TypeAlias

from trainyard_api.names import EXIT_BAD_INPUT, EXIT_DIVERGED, EXIT_PEER_LOST, EXIT_STOPPED
from trainyard_api.times import from_rfc3339
from trainyard_operator.cluster.port import Manifest
from trainyard_operator.training.pod import CONTAINER, INDEX_ANNOTATION
from trainyard_operator.workloads.pods import condition, holds, is_alive, state_of

Workers: TypeAlias = Mapping[int, Manifest]
"""Pods by their index in the Job. Worker 0 is the one that writes the model and tells how far the training is."""


def index_of(pod: Manifest) -> int:
    """Return which worker the pod is."""
    text = (pod["metadata"].get("annotations") or {}).get(INDEX_ANNOTATION, "")
    return int(text) if text.isascii() and text.isdecimal() else 0


def ended_with(job: Manifest) -> Manifest | None:
    """Return the condition that says how the Job has ended, or None while it has not."""
    return next((condition(job, name) for name in ("Complete", "Failed") if holds(job, name)), None)


def is_ending(job: Manifest) -> bool:
    """Return whether the end of the Job is decided, and its pods are being stopped."""
    return holds(job, "FailureTarget") or holds(job, "SuccessCriteriaMet")


def is_training(pod: Manifest | None) -> bool:
    """Return whether the training container of the pod runs."""
    return "running" in _state(pod)


def running_since(pod: Manifest | None) -> datetime | None:
    """Return when the training container of the pod started, or None where it does not run."""
    time = (_state(pod).get("running") or {}).get("startedAt")
    return from_rfc3339(time) if time else None


def has_trained(pod: Manifest | None) -> bool:
    """Return whether the training container of the pod has ended."""
    return "terminated" in _state(pod)


def terminated(pod: Manifest | None) -> Manifest:
    """Return how the training container of the pod ended; empty where it has not."""
    return _state(pod).get("terminated") or {}


LINGER = timedelta(seconds=10)
"""How long the other containers of a pod may go on once its trainer has ended."""


def trainers_ended(job: Manifest, pods: Workers, *, now: datetime) -> Manifest | None:
    """Return how the attempt ended, as a condition of its Job, where other containers keep the Job from saying so.

    A sidecar that never ends keeps its pod, and so the Job, running. The end of the trainers is the end of the attempt:
    of all of them where all went well, of any that failed.
    """
    if is_ending(job):
        return None
    ends = {index: terminated(pod) for index, pod in pods.items() if _lingers(pod, now)}
    if any(end.get("exitCode") != 0 for end in ends.values()):
        kind = "Failed"
    elif ends and all(has_trained(pods.get(index)) for index in range(job["spec"].get("completions", 1))):
        kind = "Complete"
    else:
        return None
    times = [end["finishedAt"] for end in ends.values() if end.get("finishedAt")]
    return {"type": kind, "status": "True"} | ({"lastTransitionTime": max(times)} if times else {})


def _lingers(pod: Manifest, now: datetime) -> bool:
    end = terminated(pod)
    if not end or not is_alive(pod) or "deletionTimestamp" in pod["metadata"]:
        return False
    finished = end.get("finishedAt")
    return finished is None or now - from_rfc3339(finished) >= LINGER


def queued(job: Manifest) -> str | None:
    """Return when the Job began to wait for its pods."""
    return str(time) if (time := job.get("status", {}).get("startTime")) else None


def started(pods: Workers) -> str | None:
    """Return when the trainer of the first worker started."""
    state = _state(pods.get(0))
    begun = (state.get("running") or state.get("terminated") or {}).get("startedAt")
    return str(begun) if begun else None


def node_of(pod: Manifest | None) -> str | None:
    """Return the node the pod was put on."""
    return str(node) if (node := (pod or {}).get("spec", {}).get("nodeName")) else None


def is_disrupted(pod: Manifest) -> bool:
    """Return whether Kubernetes took the pod away: by preemption, eviction, or with its node."""
    return holds(pod, "DisruptionTarget")


def is_out_of_memory(pod: Manifest | None) -> bool:
    """Return whether the kernel killed something of the trainer for want of memory.

    Whatever the exit code says: a shell, a launcher or a handler may have ended the program with one of its own.
    """
    return terminated(pod).get("reason") == "OOMKilled"


def decider(pods: Workers) -> int | None:
    """Return which worker's end says how a failed attempt ended, or None where none of them failed by itself.

    What no further attempt can help comes first, then the request to stop, which all follow, then failures. A worker
    that lost another is only as good as no better answer: the one that it lost may have left one.
    """
    ranks = {index: rank for index, pod in pods.items() if (rank := _rank(pod)) is not None}
    return min(ranks, key=lambda index: (ranks[index], index), default=None)


def _rank(pod: Manifest) -> int | None:
    ended = terminated(pod)
    code = int(ended.get("exitCode", 1))
    # A pod whose other containers go on has no phase that tells.
    if not ended or not (pod.get("status", {}).get("phase") == "Failed" or (is_alive(pod) and code != 0)):
        return None
    if code in (EXIT_BAD_INPUT, EXIT_DIVERGED) and not is_out_of_memory(pod):
        return 0
    if is_disrupted(pod):
        return 1
    # A pod that ended while being deleted, as the Job does to the others once one has failed, says nothing of itself.
    if "deletionTimestamp" in pod["metadata"]:
        return None
    return 2 if is_out_of_memory(pod) else {EXIT_STOPPED: 1, EXIT_PEER_LOST: 3}.get(code, 2)


def _state(pod: Manifest | None) -> Manifest:
    return state_of(pod, CONTAINER)
