"""Writes a pod's status, and in the end deletes the pod: the node's side of the pod's object."""

import asyncio
import logging
from collections.abc import Callable

from trainyard_devcluster.client import ApiError, Client, ConflictError, NotFoundError, PatchType
from trainyard_devcluster.resources import PODS, Object, name_of, namespace_of, uid_of

log = logging.getLogger(__name__)

FIRST_RETRY_SECONDS, LAST_RETRY_SECONDS = 0.1, 5.0


class StatusReporter:
    """Writes what `compute` makes of the pod each time `changed` was called; several changes may share one write."""

    def __init__(self, client: Client, pod: Object, compute: Callable[[Object], Object]) -> None:
        self._client = client
        self._pod = pod
        self._compute = compute
        self._sent: Object | None = None
        self._wanted = 0
        self._written = 0
        self._wake = asyncio.Event()
        self._progress = asyncio.Condition()

    def observe(self, pod: Object) -> None:
        """Take in what the API server has, unless we know newer already."""
        if _version(pod) > _version(self._pod):
            self._pod = pod

    def changed(self) -> None:
        """The status is to be computed and written again."""
        self._wanted += 1
        self._wake.set()

    async def flush(self) -> None:
        """Wait until everything up to now is written, or there is no such pod any more."""
        self.changed()
        target = self._wanted
        async with self._progress:
            await self._progress.wait_for(lambda: self._written >= target)

    async def run(self) -> None:
        """Write until cancelled."""
        delay = FIRST_RETRY_SECONDS
        while True:
            await self._wake.wait()
            self._wake.clear()
            target = self._wanted
            try:
                await self._write()
            except (NotFoundError, ConflictError):
                pass  # this pod is gone; another may have its name
            except ApiError as error:
                log.warning("status of pod %s: %s; trying again in %.2g s", self._label, error, delay)
                await asyncio.sleep(delay)
                delay = min(delay * 2, LAST_RETRY_SECONDS)
                self._wake.set()
                continue
            delay = FIRST_RETRY_SECONDS
            async with self._progress:
                self._written = target
                self._progress.notify_all()

    async def delete(self) -> None:
        """Tell the API server that nothing of the pod is left here."""
        delay = FIRST_RETRY_SECONDS
        while True:
            try:
                await self._client.delete(
                    PODS, name_of(self._pod), namespace_of(self._pod), uid=uid_of(self._pod), grace_seconds=0
                )
            except (NotFoundError, ConflictError):
                return
            except ApiError as error:
                log.warning("deletion of pod %s: %s; trying again in %.2g s", self._label, error, delay)
                await asyncio.sleep(delay)
                delay = min(delay * 2, LAST_RETRY_SECONDS)
            else:
                return

    async def _write(self) -> None:
        status = self._compute(self._pod)
        if status == self._sent:
            return
        body: Object = {"metadata": {"uid": uid_of(self._pod)}, "status": status}
        answer = await self._client.patch(
            PODS,
            name_of(self._pod),
            body,
            namespace_of(self._pod),
            kind=PatchType.STRATEGIC,
            subresource="status",
        )
        self._sent = status
        self.observe(answer)

    @property
    def _label(self) -> str:
        return f"{namespace_of(self._pod)}/{name_of(self._pod)}"


def _version(pod: Object) -> int:
    return int(pod["metadata"].get("resourceVersion") or 0)
