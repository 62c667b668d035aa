"""Pods waiting for a node: those to try now, by priority, and those that wait for the cluster to change."""

import asyncio

from trainyard_devcluster.resources import Object, name_of, namespace_of, uid_of


class SchedulingQueue:
    """Pods by uid. A pod that found no node comes back when something changes that may help."""

    def __init__(self) -> None:
        self._ready: dict[str, Object] = {}
        self._waiting: dict[str, Object] = {}
        self._moves = 0
        self._arrived = asyncio.Event()

    def put(self, pod: Object) -> None:
        """Try the pod (again), as it is now."""
        self._waiting.pop(uid_of(pod), None)
        self._ready[uid_of(pod)] = pod
        self._arrived.set()

    def update(self, pod: Object, *, helps: bool) -> None:
        """Take note of a newer version of a pod; `helps` says that it may fit now."""
        waits = uid_of(pod) in self._waiting
        if waits and not helps:
            self._waiting[uid_of(pod)] = pod
        else:
            self.put(pod)

    def drop(self, uid: str) -> None:
        """Forget a pod."""
        self._ready.pop(uid, None)
        self._waiting.pop(uid, None)

    def park(self, pod: Object, moves: int) -> None:
        """Let a pod wait that found no node; `moves` is the value of `moves` from before the attempt."""
        if uid_of(pod) in self._ready:
            return
        if moves != self._moves:
            self.put(pod)
        else:
            self._waiting[uid_of(pod)] = pod

    def move(self) -> None:
        """The cluster has changed: all waiting pods are tried again."""
        self._moves += 1
        for pod in list(self._waiting.values()):
            self.put(pod)

    @property
    def moves(self) -> int:
        """How often the cluster has changed."""
        return self._moves

    async def get(self) -> Object:
        """Wait for the pod to try next: the highest priority, then the oldest."""
        while not self._ready:
            self._arrived.clear()
            await self._arrived.wait()
        pod = min(self._ready.values(), key=_rank)
        del self._ready[uid_of(pod)]
        return pod


def _rank(pod: Object) -> tuple[object, ...]:
    return (
        -int(pod["spec"].get("priority") or 0),
        pod["metadata"].get("creationTimestamp", ""),
        int(pod["metadata"].get("resourceVersion") or 0),
        namespace_of(pod),
        name_of(pod),
    )
