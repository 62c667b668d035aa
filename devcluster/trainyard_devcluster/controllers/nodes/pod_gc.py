"""Pods that no node agent can end: on nodes that are gone, or deleted before they had a node."""

from trainyard_devcluster import pods
from trainyard_devcluster.client import NotFoundError
from trainyard_devcluster.controllers.context import Context, enqueue
from trainyard_devcluster.controllers.nodes import eviction
from trainyard_devcluster.informer import Key
from trainyard_devcluster.resources import NODES, PODS, Object, name_of
from trainyard_devcluster.workqueue import WorkQueue


class PodGarbageCollector:
    """Keys are pods."""

    name = "pod-garbage-collector"

    def __init__(self, context: Context) -> None:
        self._context = context
        self._client = context.client
        self.queue: WorkQueue[Key] = WorkQueue()
        self._pods = context.informer(PODS)
        self._nodes = context.informer(NODES)
        self._pods.on_change(self._pod_changed)
        self._nodes.on_change(self._node_changed)

    async def sync(self, key: Key) -> None:
        """End one pod if nobody else can."""
        pod = self._pods.get(*key)
        if pod is None:
            return
        if not pod["spec"].get("nodeName"):
            if pods.is_terminating(pod):
                if not pods.is_terminal(pod):
                    await eviction.fail(self._client, pod)
                await eviction.delete(self._client, pod, at_once=True)
            return
        if await self._node_is_gone(pod["spec"]["nodeName"]):
            if not pods.is_terminal(pod):
                message = "PodGC: node no longer exists"
                now = self._context.now()
                await eviction.disrupt(self._client, pod, "DeletionByPodGC", message, now, failed=True)
            await eviction.delete(self._client, pod, at_once=True)

    async def _node_is_gone(self, name: str) -> bool:
        if self._nodes.get("", name) is not None:
            return False
        try:
            # The pod may have been bound to a node that our copy does not show yet.
            await self._client.get(NODES, name)
        except NotFoundError:
            return True
        return False

    def _pod_changed(self, old: Object | None, new: Object | None) -> None:
        if new is None:
            return
        node = new["spec"].get("nodeName")
        if (node and self._nodes.get("", node) is None) or (not node and pods.is_terminating(new)):
            enqueue(self.queue, new)

    def _node_changed(self, old: Object | None, new: Object | None) -> None:
        if new is None and old is not None:
            for pod in self._pods.by_index("node", name_of(old)):
                enqueue(self.queue, pod)
