"""The scheduler's shell: watches pods and nodes, binds, and says why where it cannot."""

import asyncio
import logging
from collections.abc import Iterator

from trainyard_devcluster import pods
from trainyard_devcluster.client import ApiError, Client, ConflictError, NotFoundError, PatchType
from trainyard_devcluster.events import Clock, Recorder, timestamp, utc_now
from trainyard_devcluster.informer import Informer
from trainyard_devcluster.resources import (
    NODES,
    PERSISTENT_VOLUME_CLAIMS,
    PODS,
    Object,
    name_of,
    namespace_of,
    uid_of,
)
from trainyard_devcluster.scheduler.choose import choose
from trainyard_devcluster.scheduler.fit import rooms
from trainyard_devcluster.scheduler.queue import SchedulingQueue

log = logging.getLogger(__name__)

NAME = "default-scheduler"
GATED = "Scheduling is blocked due to non-empty scheduling gates"
RETRY_SECONDS = 1.0
"""After a binding that failed for a reason which is not the pod's."""


class Scheduler:
    """Gives every pod of this scheduler's name a node."""

    def __init__(self, client: Client, *, clock: Clock = utc_now) -> None:
        self._client = client
        self._clock = clock
        self._recorder = Recorder(client, NAME, clock=clock)
        self._queue = SchedulingQueue()
        self._assumed: dict[str, tuple[str, Object]] = {}
        self._tasks = asyncio.TaskGroup()
        self._pods = Informer(client, PODS)
        self._nodes = Informer(client, NODES)
        self._claims = Informer(client, PERSISTENT_VOLUME_CLAIMS)
        self._pods.on_change(self._pod_changed)
        self._nodes.on_change(self._node_changed)
        self._claims.on_change(self._claim_changed)

    async def run(self) -> None:
        """Schedule until cancelled."""
        informers = (self._nodes, self._claims, self._pods)
        async with self._tasks:
            for informer in informers:
                self._tasks.create_task(informer.run())
            await asyncio.gather(*(informer.synced.wait() for informer in informers))
            while True:
                self._schedule(await self._queue.get())

    def _schedule(self, pod: Object) -> None:
        moves = self._queue.moves
        available = rooms(self._nodes, self._running())
        choice = choose(pod, available, lambda name: self._claims.get(namespace_of(pod), name))
        if choice.node is None:
            self._queue.park(pod, moves)
            self._tasks.create_task(self._tell(pod, choice.reason))
            return
        # Its room is taken from now on; the binding goes out while the next pod is looked at.
        self._assumed[uid_of(pod)] = (choice.node, pod)
        self._tasks.create_task(self._bind(pod, choice.node))

    def _running(self) -> Iterator[tuple[str, Object]]:
        for pod in self._pods:
            if pod["spec"].get("nodeName") and not pods.is_terminal(pod):
                yield pod["spec"]["nodeName"], pod
        yield from self._assumed.values()

    async def _bind(self, pod: Object, node: str) -> None:
        binding = {
            "apiVersion": "v1",
            "kind": "Binding",
            "metadata": {"name": name_of(pod), "namespace": namespace_of(pod), "uid": uid_of(pod)},
            "target": {"apiVersion": "v1", "kind": "Node", "name": node},
        }
        try:
            await self._client.create(PODS, binding, subresource="binding")
        except (NotFoundError, ConflictError) as error:
            # Gone, or bound by somebody else: the watch says which.
            log.debug("pod %s/%s: %s", namespace_of(pod), name_of(pod), error)
            self._forget(uid_of(pod))
        except ApiError as error:
            log.warning("pod %s/%s could not be bound to %s: %s", namespace_of(pod), name_of(pod), node, error)
            self._forget(uid_of(pod))
            await self._recorder.warning(pod, "FailedScheduling", f"binding rejected: {error}")
            await asyncio.sleep(RETRY_SECONDS)
            self._retry(pod)
        else:
            full_name = f"{namespace_of(pod)}/{name_of(pod)}"
            await self._recorder.normal(pod, "Scheduled", f"Successfully assigned {full_name} to {node}")

    def _retry(self, pod: Object) -> None:
        current = self._pods.get(namespace_of(pod), name_of(pod))
        if current is not None and uid_of(current) == uid_of(pod) and self._is_ours(current):
            self._queue.put(current)

    async def _tell(self, pod: Object, message: str, *, reason: str = "Unschedulable") -> None:
        known = pods.condition(pod, "PodScheduled") or {}
        if (known.get("status"), known.get("reason"), known.get("message")) == ("False", reason, message):
            return
        moved = known.get("lastTransitionTime") if known.get("status") == "False" else None
        condition = {
            "type": "PodScheduled",
            "status": "False",
            "reason": reason,
            "message": message,
            "lastTransitionTime": moved or timestamp(self._clock()),
        }
        change = {"metadata": {"uid": uid_of(pod)}, "status": {"conditions": [condition]}}
        try:
            await self._client.patch(
                PODS, name_of(pod), change, namespace_of(pod), kind=PatchType.STRATEGIC, subresource="status"
            )
        except ApiError as error:
            log.debug("pod %s/%s: %s", namespace_of(pod), name_of(pod), error)
            return
        if reason == "Unschedulable":
            await self._recorder.warning(pod, "FailedScheduling", message)

    def _is_ours(self, pod: Object) -> bool:
        spec = pod["spec"]
        return not spec.get("nodeName") and spec.get("schedulerName", NAME) == NAME and pods.is_active(pod)

    def _pod_changed(self, old: Object | None, new: Object | None) -> None:
        if new is None or pods.is_terminal(new):
            if old is not None and old["spec"].get("nodeName") and not (new and pods.is_terminal(old)):
                self._queue.move()
            self._forget(uid_of(new or old or {}))
        elif new["spec"].get("nodeName"):
            self._forget(uid_of(new))
        elif not self._is_ours(new):
            self._queue.drop(uid_of(new))
        elif uid_of(new) in self._assumed:
            return
        elif new["spec"].get("schedulingGates"):
            self._tasks.create_task(self._tell(new, GATED, reason="SchedulingGated"))
        else:
            # Our own report of failure changes the status only, and must not start the next attempt.
            self._queue.update(new, helps=old is None or old["spec"] != new["spec"])

    def _forget(self, uid: str) -> None:
        self._queue.drop(uid)
        self._assumed.pop(uid, None)

    def _node_changed(self, old: Object | None, new: Object | None) -> None:
        if new is not None and (old is None or _offer(old) != _offer(new)):
            self._queue.move()

    def _claim_changed(self, old: Object | None, new: Object | None) -> None:
        if old is None or new is None or old["spec"].get("volumeName") != new["spec"].get("volumeName"):
            self._queue.move()


def _offer(node: Object) -> tuple[object, ...]:
    # Heartbeats change the conditions every few seconds; they help nobody.
    spec = node["spec"]
    return (
        node.get("status", {}).get("allocatable"),
        node["metadata"].get("labels"),
        spec.get("taints"),
        spec.get("unschedulable"),
    )
