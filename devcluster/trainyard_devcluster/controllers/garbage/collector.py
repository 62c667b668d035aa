"""The garbage collector's shell."""

from trainyard_devcluster import pods
from trainyard_devcluster.client import ConflictError, NotFoundError
from trainyard_devcluster.controllers.context import Context
from trainyard_devcluster.controllers.garbage.catalog import Catalog, group_of
from trainyard_devcluster.controllers.garbage.graph import (
    FOREGROUND,
    ORPHAN,
    Graph,
    Owner,
    blocks,
    judge,
    leaves_orphans,
    waits_for_dependents,
)
from trainyard_devcluster.informer import Handler, Key
from trainyard_devcluster.resources import Object, Resource, name_of, namespace_of, uid_of
from trainyard_devcluster.workqueue import WorkQueue


class GarbageCollector:
    """Deletes what nobody owns any more. Its keys are kind and uid."""

    name = "garbage-collector"

    def __init__(self, context: Context) -> None:
        self._client = context.client
        self._graph = Graph()
        self._handlers: list[Handler] = [self._changed]
        self.queue: WorkQueue[Key] = WorkQueue()
        self.catalog = Catalog(context, self._hand_on)

    def on_change(self, handler: Handler) -> None:
        """Have somebody else hear of every object too."""
        self._handlers.append(handler)

    async def sync(self, key: Key) -> None:
        """Decide about one object."""
        await self.catalog.ready.wait()
        obj = self._graph.get(key[1])
        if obj is None:
            return
        if leaves_orphans(obj):
            await self._leave_orphans(obj)
        elif waits_for_dependents(obj):
            await self._go_after_dependents(obj)
        elif not pods.is_terminating(obj):
            await self._judge(obj)

    async def _judge(self, obj: Object) -> None:
        references = obj["metadata"].get("ownerReferences") or ()
        owners = [(entry, await self._state(entry, obj)) for entry in references]
        verdict = judge(obj, owners, self._graph.dependents(uid_of(obj)))
        if verdict.keep is not None:
            await self._patch(obj, {"ownerReferences": list(verdict.keep) or None})
        if verdict.delete is not None:
            await self._delete(obj, verdict.delete)

    async def _state(self, reference: Object, dependent: Object) -> Owner:
        uid = reference["uid"]
        known = self._graph.get(uid)
        if known is not None:
            return Owner.WAITING if waits_for_dependents(known) else Owner.PRESENT
        if self._graph.has_departed(uid):
            return Owner.ABSENT
        resource = self.catalog.find(group_of(reference), reference["kind"])
        if resource is None or (resource.namespaced and not namespace_of(dependent)):
            # Not a kind that can be looked up from here, so nothing is known that would justify deleting.
            return Owner.PRESENT
        try:
            owner = await self._client.get(resource, reference["name"], namespace_of(dependent))
        except NotFoundError:
            return Owner.ABSENT
        return Owner.PRESENT if uid_of(owner) == uid else Owner.ABSENT

    async def _go_after_dependents(self, obj: Object) -> None:
        dependents = self._graph.dependents(uid_of(obj))
        if any(blocks(entry, uid_of(obj)) for entry in dependents):
            for entry in dependents:
                self._add(entry)
            return
        await self._drop_finalizer(obj, FOREGROUND)

    async def _leave_orphans(self, obj: Object) -> None:
        for entry in self._graph.dependents(uid_of(obj)):
            references = entry["metadata"].get("ownerReferences") or ()
            kept = [reference for reference in references if reference["uid"] != uid_of(obj)]
            await self._patch(entry, {"ownerReferences": kept or None})
        await self._drop_finalizer(obj, ORPHAN)

    async def _drop_finalizer(self, obj: Object, finalizer: str) -> None:
        kept = [entry for entry in obj["metadata"]["finalizers"] if entry != finalizer]
        await self._patch(obj, {"finalizers": kept or None})

    async def _patch(self, obj: Object, metadata: Object) -> None:
        resource = self._resource(obj)
        # Lists are replaced whole, so only where they are still what was read.
        precondition = {"uid": uid_of(obj), "resourceVersion": obj["metadata"]["resourceVersion"]}
        if resource is None:
            return
        try:
            await self._client.patch(resource, name_of(obj), {"metadata": precondition | metadata}, namespace_of(obj))
        except NotFoundError:
            return

    async def _delete(self, obj: Object, propagation: str) -> None:
        resource = self._resource(obj)
        if resource is None:
            return
        try:
            await self._client.delete(
                resource, name_of(obj), namespace_of(obj), uid=uid_of(obj), propagation=propagation
            )
        except NotFoundError:
            return
        except ConflictError:
            # Another object has the name by now; the graph hears of it.
            return

    def _resource(self, obj: Object) -> Resource | None:
        return self.catalog.find(group_of(obj), obj["kind"])

    def _add(self, obj: Object) -> None:
        self.queue.add((obj["kind"], uid_of(obj)))

    def _hand_on(self, old: Object | None, new: Object | None) -> None:
        for handler in self._handlers:
            handler(old, new)

    def _changed(self, old: Object | None, new: Object | None) -> None:
        obj = new or old or {}
        if new is None:
            self._graph.remove(obj)
            for entry in self._graph.dependents(uid_of(obj)):
                self._add(entry)
        else:
            self._graph.put(new)
            if new["metadata"].get("ownerReferences") or pods.is_terminating(new):
                self._add(new)
        for reference in (old or obj)["metadata"].get("ownerReferences") or ():
            owner = self._graph.get(reference["uid"])
            if owner is not None and waits_for_dependents(owner):
                self._add(owner)
