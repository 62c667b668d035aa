"""What keeps the pods of a revision from answering for its model."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from trainyard_api.names import REST_PORT
from trainyard_api.server import Server
from trainyard_api.times import from_rfc3339
from trainyard_operator.cluster.port import Manifest
from trainyard_operator.serving.canary import Rollback
from trainyard_operator.serving.pod import FETCH, SERVER
from trainyard_operator.serving.revision import Revision
from trainyard_operator.serving.room import Update
from trainyard_operator.workloads import pods
from trainyard_operator.workloads.blockers import PODS_NOT_CREATED, UNSCHEDULABLE, Blocker
from trainyard_operator.workloads.diagnosis import PATIENCE, Needs, not_starting, unschedulable
from trainyard_operator.workloads.pod import references
from trainyard_operator.workloads.text import clean

_PATH = "spec.server"
_QUOTA = "exceeded quota"
_SLOW = timedelta(seconds=120)
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
    faults = [fault for pod in members if (fault := _of_pod(pod, revision, not_serving, now))]
    # A fault that stays says more than a full cluster, which may empty.
    return min(faults, key=lambda fault: fault.transient, default=None) or (
        _of_deployment(deployment, revision) if deployment else None
    )


LACKING = (UNSCHEDULABLE, PODS_NOT_CREATED)
"""What is wrong where something that a pod needs is not there for it."""
INSUFFICIENT_GPU, QUOTA_EXCEEDED = "InsufficientGPU", "QuotaExceeded"
ROOM = (*LACKING, INSUFFICIENT_GPU, QUOTA_EXCEEDED)
"""The same in a rollout, where the old pods hold what is missing."""
_ROOM_PATIENCE = timedelta(seconds=15)
"""How long an autoscaler or a pod that ends may take before an old pod makes room."""


def lacks_room(deployment: Manifest | None, members: Sequence[Manifest], now: datetime) -> bool:
    """Return whether some of a revision's pods have found no node, or no quota, for a while."""
    scheduled = (pods.condition(pod, "PodScheduled") for pod in members)
    refused = [one for one in scheduled if (one.get("status"), one.get("reason")) == ("False", UNSCHEDULABLE)]
    failure = pods.condition(deployment, "ReplicaFailure") if deployment else {}
    if failure.get("status") == "True" and _QUOTA in failure.get("message", ""):
        refused.append(failure)
    since = [from_rfc3339(one["lastTransitionTime"]) for one in refused if one.get("lastTransitionTime")]
    return any(now - time >= _ROOM_PATIENCE for time in since)


def in_rollout(
    found: Blocker, deployment: Manifest | None, revision: str, server: Server, *, update: Update
) -> Blocker:
    """Return what keeps a new revision away, with what the one that serves holds, where that is what is missing."""
    if found.reason not in LACKING:
        return found
    spec = (deployment or {}).get("spec", {})
    containers = spec.get("template", {}).get("spec", {}).get("containers", [])
    limits = next((one.get("resources", {}).get("limits") or {} for one in containers if one["name"] == SERVER), {})
    count, gpus = spec.get("replicas", 0), int(limits.get(server.gpu_resource, 0))
    what = f"{count * gpus} {server.gpu_resource}" if gpus else "their CPUs and memory"
    held = f". The {count} pods of revision {revision}, which serve, hold {what} until the new ones answer"
    if not update.one_by_one:
        hint = "free or add as much for the time of the rollout; or set spec.rollout.update to Auto"
    elif update.floor >= count:
        hint = (
            "free or add as much for the time of the rollout; or let them make room one at a time: lower "
            "spec.rollout.minAvailable, and for a single replica, which is an outage, set "
            "spec.rollout.allowUnavailable to true"
        )
    else:
        hint = "they make room one at a time"
    reason = found.reason
    if _QUOTA in found.message:
        reason = QUOTA_EXCEEDED
    elif server.gpus and f"Insufficient {server.gpu_resource}" in found.message:
        reason = INSUFFICIENT_GPU
    return replace(found, reason=reason, message=f"{found.message}{held}: {hint}")


def rolled_back(rollback: Rollback, revision: Revision | None) -> Blocker:
    """Return that the target was sent back, with the numbers that decided."""
    what = f"{revision.model.title} (revision {rollback.revision})" if revision else f"revision {rollback.revision}"
    return Blocker(
        "RolledBack",
        f"{what} was sent back {rollback.message}. It is not tried again until spec.model, spec.server or spec.rollout "
        "changes, a newer version comes, or a person writes retry into the annotation trainyard.dev/rollout",
    )


def _needs(revision: Revision) -> Needs:
    server = revision.server
    named = references(server.template)
    return Needs(
        path=_PATH,
        gpus=f"{server.gpus} {server.gpu_resource}" if server.gpus else "",
        less="ask for less, or change its template",
        images={SERVER: f"{_PATH}.image", FETCH: "the operator's own image settings"},
        secrets=[*([revision.fetching.secret] if revision.fetching.secret else []), *named.secrets],
        config_maps=named.config_maps,
        claims=[revision.model.claim] if revision.model.claim else [],
    )


def _of_pod(pod: Manifest, revision: Revision, not_serving: Mapping[str, str], now: datetime) -> Blocker | None:
    name, needs = pod["metadata"]["name"], _needs(revision)
    if pods.is_ready(pod):
        if name not in not_serving or now - pods.ready_since(pod) < PATIENCE:
            return None
        return Blocker(
            "ModelNotAvailable", f"pod {name} is ready but does not answer for the model: {not_serving[name]}"
        )
    if refused := unschedulable([pod], needs, count=1):
        return refused
    statuses = pods.container_statuses(pod)
    found = (
        not_starting(pod, needs, overdue=now - pods.created(pod) >= PATIENCE)
        or next(filter(None, map(_of_container, statuses)), None)
        or _not_listening(pod, revision, now)
    )
    return replace(found, message=f"pod {name}: {found.message}") if found else None


def _not_listening(pod: Manifest, revision: Revision, now: datetime) -> Blocker | None:
    """Return that the server has run for a while without opening its port; a large model may take that long."""
    since = pods.state_of(pod, SERVER).get("running", {}).get("startedAt")
    if since is None or now - from_rfc3339(since) < _SLOW:
        return None
    return Blocker(
        "ServerNotListening",
        f"its server (revision {revision.id}, image {revision.server.image}) has run since {since} and has not opened "
        f"port {REST_PORT}; a large model may take that long, up to {_PATH}.startupTimeout "
        f"({revision.server.startup_timeout}); otherwise check the image and the pod's log",
        transient=True,
    )


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


def _of_deployment(deployment: Manifest, revision: Revision) -> Blocker | None:
    failure = pods.condition(deployment, "ReplicaFailure")
    if failure.get("status") == "True":
        return Blocker(PODS_NOT_CREATED, f"its pods are refused: {clean(failure.get('message', ''))}")
    progress = pods.condition(deployment, "Progressing")
    if progress.get("status") == "False" and progress.get("reason") == "ProgressDeadlineExceeded":
        return Blocker(
            "ProgressDeadlineExceeded",
            f"the pods of revision {revision.id} (image {revision.server.image}) have not become ready within "
            f"{_PATH}.startupTimeout ({revision.server.startup_timeout}); see their logs",
        )
    return None
