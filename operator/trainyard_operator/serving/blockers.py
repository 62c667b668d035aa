"""What keeps the pods of a revision from answering for its model."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from trainyard_operator.cluster.port import Manifest
from trainyard_operator.serving.pod import FETCH, SERVER
from trainyard_operator.serving.revision import Revision
from trainyard_operator.workloads import pods
from trainyard_operator.workloads.blockers import PODS_NOT_CREATED, Blocker
from trainyard_operator.workloads.diagnosis import PATIENCE, Needs, not_starting, unschedulable
from trainyard_operator.workloads.text import clean

_PATH = "spec.server"
_FETCH_MESSAGE = re.compile(r"(?P<reason>[A-Z][A-Za-z]{1,62}): (?P<message>.+)", re.DOTALL)


def of_revision(
    deployment: Manifest | None,
    members: Sequence[Manifest],
    revision: Revision,
    *,
    not_serving: Mapping[str, str],
    now: datetime,
) -> Blocker | None:
    """Return why not all pods of a revision are of use, or None where they are, or are about to be.

    Args:
        deployment: The Deployment of the revision.
        members: Its pods.
        revision: What they run.
        not_serving: Pods that are ready, yet do not say that they have the model, with what they say instead.
        now: The time.
    """
    needs = _needs(revision)
    faults = [fault for pod in members if (fault := _of_pod(pod, needs, not_serving, now))]
    # A fault that stays says more than a full cluster, which may empty.
    return min(faults, key=lambda fault: fault.transient, default=None) or (
        _of_deployment(deployment) if deployment else None
    )


def _needs(revision: Revision) -> Needs:
    server = revision.server
    return Needs(
        path=_PATH,
        gpus=f"{server.gpus} {server.gpu_resource}" if server.gpus else "",
        less="ask for less, or change its template",
        images={SERVER: f"{_PATH}.image", FETCH: "the operator's own image settings"},
        secrets=[revision.fetching.secret] if revision.fetching.secret else [],
    )


def _of_pod(pod: Manifest, needs: Needs, not_serving: Mapping[str, str], now: datetime) -> Blocker | None:
    name = pod["metadata"]["name"]
    if pods.is_ready(pod):
        if name not in not_serving or now - pods.ready_since(pod) < PATIENCE:
            return None
        return Blocker(
            "ModelNotAvailable", f"pod {name} is ready but does not answer for the model: {not_serving[name]}"
        )
    if refused := unschedulable([pod], needs, count=1):
        return refused
    statuses = pods.container_statuses(pod)
    found = not_starting(pod, needs, overdue=False) or next(filter(None, map(_of_container, statuses)), None)
    return replace(found, message=f"pod {name}: {found.message}") if found else None


def _of_container(status: Manifest) -> Blocker | None:
    # A container that is started again after it failed is no better until it is ready.
    ended = status.get("state", {}).get("terminated") or status.get("lastState", {}).get("terminated")
    if not ended or ended.get("exitCode", 0) == 0:
        return None
    return _of_end(status["name"], ended)


def _of_end(container: str, ended: Manifest) -> Blocker:
    said, code = clean(ended.get("message", "")), f"exit code {ended.get('exitCode')}"
    if ended.get("reason") == "OOMKilled":
        return Blocker("OOMKilled", f"container {container!r} ran out of memory; raise {_PATH}.resources.limits")
    if container == FETCH:
        match = _FETCH_MESSAGE.fullmatch(said)
        return Blocker(match["reason"], match["message"]) if match else Blocker("FetchFailed", said or code)
    return Blocker("ServerCrashed", f"container {container!r} ended with {code}" + (f": {said}" if said else ""))


def _of_deployment(deployment: Manifest) -> Blocker | None:
    failure = pods.condition(deployment, "ReplicaFailure")
    if failure.get("status") == "True":
        return Blocker(PODS_NOT_CREATED, f"its pods are refused: {clean(failure.get('message', ''))}")
    progress = pods.condition(deployment, "Progressing")
    if progress.get("status") == "False" and progress.get("reason") == "ProgressDeadlineExceeded":
        return Blocker("ProgressDeadlineExceeded", "its pods have not become ready in time; see their logs")
    return None
