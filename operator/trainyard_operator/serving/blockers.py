"""What keeps a model from being served, in terms of what a person can do about it."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from trainyard_api.modelservice import Server
from trainyard_operator.cluster.port import Manifest
from trainyard_operator.serving import pods

UNSCHEDULABLE, CLEANUP = "Unschedulable", "WaitingForCleanup"
_PATIENCE = timedelta(seconds=60)
_IMAGE = frozenset({"ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull", "ImageInspectError"})
_SETUP = frozenset({"CreateContainerConfigError", "CreateContainerError", "RunContainerError"})
_FETCH = re.compile(r"(?P<reason>[A-Z][A-Za-z]{1,62}): (?P<message>.+)", re.DOTALL)
_TAIL = 600


@dataclass(frozen=True, slots=True)
class Problem:
    """A word for programs, and a sentence with what to change for people.

    Attributes:
        passing: It may well pass by itself.
    """

    reason: str
    message: str
    passing: bool = False


def of_revision(
    deployment: Manifest | None, members: Iterable[Manifest], server: Server, *, mute: Mapping[str, str], now: datetime
) -> Problem | None:
    """Return why not all pods of a revision are of use, or None where they are, or are about to be.

    Args:
        deployment: The Deployment of the revision.
        members: Its pods.
        server: What they run.
        mute: Pods that are ready, yet do not say that they have the model, with what they say instead.
        now: The time.
    """
    faults = (fault for pod in members if (fault := _of_pod(pod, server, mute, now)))
    # A fault that stays says more than a full cluster, which may empty.
    return min(faults, key=lambda each: each.passing, default=None) or (
        _of_deployment(deployment) if deployment else None
    )


def _of_pod(pod: Manifest, server: Server, mute: Mapping[str, str], now: datetime) -> Problem | None:
    name = pod["metadata"]["name"]
    if pods.is_ready(pod):
        if name not in mute or now - pods.ready_since(pod) < _PATIENCE:
            return None
        return Problem("ModelNotAvailable", f"pod {name} is ready but does not answer for the model: {mute[name]}")
    found = _unschedulable(pod, server) or next(filter(None, map(_of_container, _statuses(pod))), None)
    return replace(found, message=f"pod {name}: {found.message}") if found else None


def _unschedulable(pod: Manifest, server: Server) -> Problem | None:
    condition = pods.condition(pod, "PodScheduled")
    if condition.get("status") != "False" or condition.get("reason") != UNSCHEDULABLE:
        return None
    gpus = f" It asks for {server.gpus} {server.gpu_resource} (spec.server.gpus)." if server.gpus else ""
    return Problem(
        UNSCHEDULABLE,
        f"no node can take it: {clean(condition.get('message', ''))}.{gpus} "
        "Ask for less in spec.server, change its template, or add a node that fits",
        passing=True,
    )


def _statuses(pod: Manifest) -> Iterator[Manifest]:
    status = pod.get("status", {})
    yield from status.get("initContainerStatuses", [])
    yield from status.get("containerStatuses", [])


def _of_container(status: Manifest) -> Problem | None:
    state = status.get("state", {})
    waiting = state.get("waiting") or {}
    reason, detail = waiting.get("reason", ""), clean(waiting.get("message", ""))
    if reason in _IMAGE:
        return Problem(
            "ImagePullFailed",
            f"image {status.get('image', '')!r} cannot be pulled ({detail or reason}); "
            "check spec.server.image and spec.server.template.imagePullSecrets",
        )
    if reason in _SETUP:
        return Problem(reason, f"container {status['name']!r} cannot be started: {detail or reason}")
    # A container that is started again after it failed is no better until it is ready.
    ended = state.get("terminated") or status.get("lastState", {}).get("terminated")
    if not ended or ended.get("exitCode", 0) == 0:
        return None
    return _of_end(status["name"], ended)


def _of_end(container: str, ended: Manifest) -> Problem:
    said = clean(ended.get("message", ""))
    if ended.get("reason") == "OOMKilled":
        return Problem("OOMKilled", f"container {container!r} ran out of memory; raise spec.server.resources.limits")
    if container == pods.FETCH:
        match = _FETCH.fullmatch(said)
        return Problem(match["reason"], match["message"]) if match else Problem("FetchFailed", said or _exit(ended))
    return Problem(
        "ServerCrashed", f"container {container!r} ended with {_exit(ended)}" + (f": {said}" if said else "")
    )


def _exit(ended: Manifest) -> str:
    return f"exit code {ended.get('exitCode')}"


def _of_deployment(deployment: Manifest) -> Problem | None:
    conditions = {each["type"]: each for each in deployment.get("status", {}).get("conditions", [])}
    failure = conditions.get("ReplicaFailure", {})
    if failure.get("status") == "True":
        return Problem("PodsNotCreated", f"its pods are refused: {clean(failure.get('message', ''))}")
    progress = conditions.get("Progressing", {})
    if progress.get("status") == "False" and progress.get("reason") == "ProgressDeadlineExceeded":
        return Problem("ProgressDeadlineExceeded", "its pods have not become ready in time; see their logs")
    return None


def clean(text: str) -> str:
    """Return the end of a text, fit for a condition: one line, no control characters."""
    line = " ".join("".join(each if each.isprintable() else " " for each in text).split())
    return line if len(line) <= _TAIL else f"…{line[-_TAIL:]}"
