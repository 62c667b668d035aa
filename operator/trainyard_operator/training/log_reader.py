"""Reads the last lines of a trainer's log, while its pod is still there."""

import asyncio

from trainyard_api.failure import TAIL_LINES
from trainyard_operator.cluster.errors import ApiError
from trainyard_operator.cluster.port import Cluster, Manifest
from trainyard_operator.training.attempt_pods import has_trained, is_training, terminated
from trainyard_operator.training.failure_card import tail
from trainyard_operator.training.pod import CONTAINER
from trainyard_operator.training.termination_message import Unreadable, read

_MOST_BYTES = 64 * 1024
_TIMEOUT = 5.0


async def last_lines(cluster: Cluster, pod: Manifest | None) -> list[str]:
    """Return the last lines of the trainer; of one whose log is not to be had, what Kubernetes kept of it.

    Never raises: an end is to be recorded, with or without its log.
    """
    if pod is None or not (is_training(pod) or has_trained(pod)):
        return []
    metadata = pod["metadata"]
    try:
        async with asyncio.timeout(_TIMEOUT):
            log = await cluster.log(
                metadata["namespace"], metadata["name"], container=CONTAINER, lines=TAIL_LINES, most_bytes=_MOST_BYTES
            )
    except (ApiError, TimeoutError):
        log = ""
    message = str(terminated(pod).get("message") or "")
    return tail(log) or (tail(message) if isinstance(read(message), Unreadable) else [])
