"""Containers of an earlier node agent: their processes ended with it, and their pods' status says what they were."""

from collections.abc import Iterable
from datetime import datetime

from trainyard_devcluster.events import parse_timestamp
from trainyard_devcluster.node.status import Terminated
from trainyard_devcluster.resources import Object

LOST_EXIT_CODE = 137
LOST_REASON = "ContainerStatusUnknown"


def ended(status: Object, now: datetime) -> Terminated | None:
    """How a container ended, by its `containerStatus`: None where it never ran. One that ran was killed."""
    state = status.get("state") or {}
    if terminated := state.get("terminated") or (
        "running" not in state and (status.get("lastState") or {}).get("terminated")
    ):
        return Terminated(
            exit_code=terminated["exitCode"],
            reason=terminated.get("reason", ""),
            message=terminated.get("message", ""),
            started=_moment(terminated.get("startedAt")),
            finished=_moment(terminated.get("finishedAt")) or now,
            container_id=terminated.get("containerID", ""),
        )
    if running := state.get("running"):
        message = "The container's process was ended together with the node agent that ran it"
        started = _moment(running.get("startedAt"))
        return Terminated(LOST_EXIT_CODE, LOST_REASON, message, started, now, status.get("containerID", ""))
    return None


def statuses(pod: Object) -> Iterable[tuple[str, Object]]:
    """Every container status of a pod by the container's name."""
    status = pod.get("status") or {}
    for field in ("initContainerStatuses", "containerStatuses"):
        for each in status.get(field) or ():
            yield each["name"], each


def _moment(text: str | None) -> datetime | None:
    return parse_timestamp(text) if text else None
