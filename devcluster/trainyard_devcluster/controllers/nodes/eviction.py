"""Ending pods from outside, with a condition that says whose doing it was."""

from datetime import datetime

from trainyard_devcluster.client import Client, NotFoundError, PatchType
from trainyard_devcluster.events import timestamp
from trainyard_devcluster.resources import PODS, Object, name_of, namespace_of, uid_of


async def disrupt(client: Client, pod: Object, reason: str, message: str, now: datetime, *, failed: bool) -> None:
    """Mark a pod with DisruptionTarget; with `failed`, as ended too, where no node is left to say so."""
    condition = {
        "type": "DisruptionTarget",
        "status": "True",
        "reason": reason,
        "message": message,
        "lastTransitionTime": timestamp(now),
    }
    status: Object = {"conditions": [condition]} | ({"phase": "Failed"} if failed else {})
    await _patch_status(client, pod, status)


async def fail(client: Client, pod: Object) -> None:
    """Mark a pod as ended that never ran, where no node is there to say so."""
    await _patch_status(client, pod, {"phase": "Failed"})


async def delete(client: Client, pod: Object, *, at_once: bool) -> None:
    """Delete a pod, with its grace period or at once."""
    try:
        grace = 0 if at_once else None
        await client.delete(PODS, name_of(pod), namespace_of(pod), uid=uid_of(pod), grace_seconds=grace)
    except NotFoundError:
        return


async def _patch_status(client: Client, pod: Object, status: Object) -> None:
    body = {"metadata": {"uid": uid_of(pod)}, "status": status}
    try:
        await client.patch(PODS, name_of(pod), body, namespace_of(pod), kind=PatchType.STRATEGIC, subresource="status")
    except NotFoundError:
        return
