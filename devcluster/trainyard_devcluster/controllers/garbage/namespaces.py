"""Namespaces that are deleted: their pods go first, then everything else, then they themselves."""

import asyncio

from trainyard_devcluster import pods
from trainyard_devcluster.client import ApiError, NotFoundError
from trainyard_devcluster.controllers.context import Context, enqueue
from trainyard_devcluster.controllers.garbage.collector import GarbageCollector
from trainyard_devcluster.informer import Key
from trainyard_devcluster.resources import EVENTS, NAMESPACES, PODS, Object, Resource, name_of, namespace_of, uid_of
from trainyard_devcluster.workqueue import WorkQueue

FINALIZER = "kubernetes"
LOOK_AGAIN_SECONDS = 5.0


class NamespaceController:
    """Empties and finalizes namespaces."""

    name = "namespace-controller"

    def __init__(self, context: Context, collector: GarbageCollector) -> None:
        self._client = context.client
        self._catalog = collector.catalog
        self.queue: WorkQueue[Key] = WorkQueue()
        self._namespaces = context.informer(NAMESPACES)
        self._namespaces.on_change(lambda old, new: enqueue(self.queue, new))
        collector.on_change(self._content_changed)

    async def sync(self, key: Key) -> None:
        """Take one namespace a step further towards its end."""
        namespace = self._namespaces.get(*key)
        if namespace is None or not pods.is_terminating(namespace):
            return
        if FINALIZER not in (namespace["spec"].get("finalizers") or ()):
            return
        await self._catalog.ready.wait()
        if await self._empty(name_of(namespace)):
            await self._finalize(namespace)
        else:
            # The next deletion brings us back; this is for what nobody tells us of.
            self.queue.add_after(key, LOOK_AGAIN_SECONDS)

    async def _empty(self, namespace: str) -> bool:
        if await self._clear(PODS, namespace):
            return False
        rest = [entry for entry in self._catalog.resources if entry.namespaced and entry != PODS]
        left = await asyncio.gather(*(self._clear(resource, namespace) for resource in [*rest, EVENTS]))
        return not sum(left)

    async def _clear(self, resource: Resource, namespace: str) -> int:
        """Delete all objects; returns how many are still there."""
        try:
            found = (await self._client.list(resource, namespace)).items
            if not found:
                return 0
            await asyncio.gather(*(self._delete(resource, entry) for entry in found))
            return len((await self._client.list(resource, namespace)).items)
        except NotFoundError:
            # The custom resource itself went meanwhile.
            return 0

    async def _delete(self, resource: Resource, entry: Object) -> None:
        if pods.is_terminating(entry):
            return
        try:
            await self._client.delete(
                resource, name_of(entry), namespace_of(entry), uid=uid_of(entry), propagation="Background"
            )
        except ApiError as error:
            if error.code not in (404, 409):
                raise

    async def _finalize(self, namespace: Object) -> None:
        kept = [entry for entry in namespace["spec"]["finalizers"] if entry != FINALIZER]
        body = namespace | {"spec": namespace["spec"] | {"finalizers": kept}}
        try:
            await self._client.update(NAMESPACES, body, subresource="finalize")
        except NotFoundError:
            return

    def _content_changed(self, old: Object | None, new: Object | None) -> None:
        if new is None and old is not None:
            namespace = self._namespaces.get("", namespace_of(old)) if namespace_of(old) else None
            if namespace is not None and pods.is_terminating(namespace):
                enqueue(self.queue, namespace)
