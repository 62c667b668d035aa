"""A range of pod addresses for each node, out of the cluster's own."""

import asyncio
from collections.abc import Iterable
from ipaddress import IPv4Network

from trainyard_devcluster.controllers.context import Context, enqueue
from trainyard_devcluster.informer import Key
from trainyard_devcluster.resources import NODES, Object
from trainyard_devcluster.workqueue import WorkQueue

PREFIX = 20
"""Each node's range has 4096 addresses: one is used again only after thousands of pods."""


def free_range(cluster: IPv4Network, taken: Iterable[str]) -> str | None:
    """The cluster's first range for a node that overlaps none of those taken, or None."""
    others = [IPv4Network(each) for each in taken]
    subnets = cluster.subnets(new_prefix=max(PREFIX, cluster.prefixlen))
    return next((str(each) for each in subnets if not any(map(each.overlaps, others))), None)


class NodeRangeController:
    """Keys are nodes. It does nothing where the cluster has no range."""

    name = "node-ipam-controller"

    def __init__(self, context: Context) -> None:
        self._cluster = context.settings.cluster_cidr
        self._client = context.client
        self._recorder = context.recorder("cidrAllocator")
        self.queue: WorkQueue[Key] = WorkQueue()
        self._choosing = asyncio.Lock()
        self._nodes = context.informer(NODES)
        self._nodes.on_change(self._node_changed)

    async def sync(self, key: Key) -> None:
        """Give one node a range, if it has none."""
        if self._cluster is None:
            return
        async with self._choosing:  # what one worker chooses is taken for the next
            node = self._nodes.get(*key)
            if node is None or node["spec"].get("podCIDR"):
                return
            taken = [each["spec"]["podCIDR"] for each in self._nodes if each["spec"].get("podCIDR")]
            chosen = free_range(self._cluster, taken)
            if chosen is None:
                message = f"Node {key[1]} status is now: CIDRNotAvailable"
                await self._recorder.normal(node, "CIDRNotAvailable", message)
                return
            spec = node["spec"] | {"podCIDR": chosen, "podCIDRs": [chosen]}
            self._nodes.observe(await self._client.update(NODES, node | {"spec": spec}))

    def _node_changed(self, old: Object | None, new: Object | None) -> None:
        # A node that went may have left a range to those that wait for one.
        for node in self._nodes if new is None else (new,):
            if not node["spec"].get("podCIDR"):
                enqueue(self.queue, node)
