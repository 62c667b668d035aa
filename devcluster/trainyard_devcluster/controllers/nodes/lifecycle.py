"""The shell that notices silent nodes, taints them, and evicts the pods that do not tolerate it."""

from datetime import datetime, timedelta

from trainyard_devcluster import pods
from trainyard_devcluster.controllers.conditions import with_condition
from trainyard_devcluster.controllers.context import Context, enqueue
from trainyard_devcluster.controllers.nodes import eviction, health
from trainyard_devcluster.events import parse_timestamp
from trainyard_devcluster.informer import Key
from trainyard_devcluster.resources import LEASES, NODES, PODS, Object, name_of, namespace_of
from trainyard_devcluster.workqueue import WorkQueue

LEASE_NAMESPACE = "kube-node-lease"


class NodeLifecycleController:
    """Keys are nodes."""

    name = "node-lifecycle-controller"

    def __init__(self, context: Context) -> None:
        self._context = context
        self._client = context.client
        self._recorder = context.recorder("node-controller")
        self.queue: WorkQueue[Key] = WorkQueue()
        self._nodes = context.informer(NODES)
        self._leases = context.informer(LEASES)
        self._pods = context.informer(PODS)
        self._nodes.on_change(lambda old, new: enqueue(self.queue, new))
        self._leases.on_change(self._lease_changed)
        self._pods.on_change(self._pod_changed)

    async def sync(self, key: Key) -> None:
        """Look after one node."""
        node = self._nodes.get(*key)
        if node is None:
            return
        now = self._context.now()
        lease = self._leases.get(LEASE_NAMESPACE, name_of(node))
        lost_at = health.last_sign_of_life(node, lease) + timedelta(seconds=self._context.settings.node_grace)
        if now >= lost_at:
            node = await self._lose(node, now)
        else:
            self.queue.add_after(key, (lost_at - now).total_seconds())
        wanted = health.taints(node, now)
        if wanted != (node["spec"].get("taints") or []):
            node = await self._client.update(NODES, node | {"spec": node["spec"] | {"taints": wanted}})
            self._nodes.observe(node)
        await self._evict(node, now)

    async def _lose(self, node: Object, now: datetime) -> Object:
        conditions = health.conditions_of_lost(node, now)
        if conditions != (node.get("status", {}).get("conditions") or []):
            status = node.get("status", {}) | {"conditions": conditions}
            node = await self._client.update_status(NODES, node | {"status": status})
            self._nodes.observe(node)
            message = f"Node {name_of(node)} status is now: NodeNotReady"
            await self._recorder.normal(node, "NodeNotReady", message)
        for pod in self._pods.by_index("node", name_of(node)):
            if pods.is_ready(pod):
                await self._mark_unready(pod, now)
        return node

    async def _mark_unready(self, pod: Object, now: datetime) -> None:
        # Services must not send anything there any more, and the node cannot say so itself.
        conditions = with_condition(
            pod["status"]["conditions"], {"type": "Ready", "status": "False", "reason": "NodeNotReady"}, now
        )
        body = pod | {"status": pod["status"] | {"conditions": conditions}}
        self._pods.observe(await self._client.update_status(PODS, body))

    async def _evict(self, node: Object, now: datetime) -> None:
        for taint in node["spec"].get("taints") or ():
            if taint["effect"] != "NoExecute":
                continue
            since = parse_timestamp(taint["timeAdded"]) if taint.get("timeAdded") else now
            for pod in self._pods.by_index("node", name_of(node)):
                tolerations = pod["spec"].get("tolerations") or ()
                delay = health.eviction_delay(taint, tolerations, self._context.settings.eviction_delay)
                if delay is None or not pods.is_active(pod):
                    continue
                left = delay - (now - since).total_seconds()
                if left > 0:
                    self.queue.add_after(("", name_of(node)), left)
                else:
                    await self._take_off(pod, now)

    async def _take_off(self, pod: Object, now: datetime) -> None:
        message = "Taint manager: deleting due to NoExecute taint"
        await eviction.disrupt(self._client, pod, "DeletionByTaintManager", message, now, failed=False)
        await eviction.delete(self._client, pod, at_once=False)
        full_name = f"{namespace_of(pod)}/{name_of(pod)}"
        await self._recorder.normal(pod, "TaintManagerEviction", f"Marking for deletion Pod {full_name}")

    def _lease_changed(self, old: Object | None, new: Object | None) -> None:
        if new is not None and namespace_of(new) == LEASE_NAMESPACE:
            self.queue.add(("", name_of(new)))

    def _pod_changed(self, old: Object | None, new: Object | None) -> None:
        arrived = old is None or old["spec"].get("nodeName") != (new or old)["spec"].get("nodeName")
        if new is not None and arrived and new["spec"].get("nodeName"):
            self.queue.add(("", new["spec"]["nodeName"]))
