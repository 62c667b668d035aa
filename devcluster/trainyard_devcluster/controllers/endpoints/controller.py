"""The shell that keeps every Service's EndpointSlices and Endpoints current."""

from trainyard_devcluster import pods
from trainyard_devcluster.client import AlreadyExistsError, NotFoundError
from trainyard_devcluster.controllers.context import Context, enqueue
from trainyard_devcluster.controllers.endpoints import legacy, slices
from trainyard_devcluster.controllers.endpoints.members import has_selector, members
from trainyard_devcluster.informer import Informer, Key
from trainyard_devcluster.resources import (
    ENDPOINT_SLICES,
    ENDPOINTS,
    PODS,
    SERVICES,
    Object,
    name_of,
    namespace_of,
)
from trainyard_devcluster.selectors import matches_labels
from trainyard_devcluster.workqueue import WorkQueue


class EndpointsController:
    """Says which pods stand behind each Service."""

    name = "endpointslice-controller"

    def __init__(self, context: Context) -> None:
        self._client = context.client
        self.queue: WorkQueue[Key] = WorkQueue()
        self._services = context.informer(SERVICES)
        self._pods = context.informer(PODS)
        self._slices = context.informer(ENDPOINT_SLICES)
        self._endpoints = context.informer(ENDPOINTS)
        self._services.on_change(lambda old, new: enqueue(self.queue, new or old))
        self._pods.on_change(self._pod_changed)
        self._slices.on_change(self._slice_changed)
        self._endpoints.on_change(lambda old, new: enqueue(self.queue, new or old))

    async def sync(self, key: Key) -> None:
        """Write one Service's endpoints where they are not as they should be."""
        service = self._services.get(*key)
        if service is None or pods.is_terminating(service):
            # Slices go with their owner; Endpoints have none and are ours by name.
            await self._drop_endpoints(key)
            return
        if not has_selector(service):
            return
        found = members(service, self._pods.by_index("namespace", namespace_of(service)))
        wanted = {name_of(entry): entry for entry in slices.desired(service, found)}
        for entry in wanted.values():
            await self._write(self._slices, entry, ("addressType", "endpoints", "ports"))
        for entry in self._slices_of(key):
            if name_of(entry) not in wanted:
                await self._delete(entry)
        await self._write(self._endpoints, legacy.desired(service, found), ("subsets",))

    def _slices_of(self, key: Key) -> list[Object]:
        return [
            entry
            for entry in self._slices.by_index("namespace", key[0])
            if (entry["metadata"].get("labels") or {}).get(slices.SERVICE_LABEL) == key[1] and _is_ours(entry)
        ]

    async def _write(self, informer: Informer, wanted: Object, fields: tuple[str, ...]) -> None:
        present = informer.get(*_key(wanted))
        if present is None:
            try:
                informer.observe(await self._client.create(informer.resource, wanted))
            except AlreadyExistsError:
                # Made by an earlier run of ours a moment ago; the watch brings it, and with it the next look.
                return
            return
        metadata = present["metadata"]
        same_labels = (metadata.get("labels") or {}) == wanted["metadata"]["labels"]
        if same_labels and all((present.get(name) or []) == (wanted.get(name) or []) for name in fields):
            return
        kept = metadata | {"labels": wanted["metadata"]["labels"]}
        informer.observe(await self._client.update(informer.resource, wanted | {"metadata": kept}))

    async def _delete(self, entry: Object) -> None:
        try:
            await self._client.delete(ENDPOINT_SLICES, name_of(entry), namespace_of(entry))
        except NotFoundError:
            return

    async def _drop_endpoints(self, key: Key) -> None:
        entry = self._endpoints.get(*key)
        labels = (entry["metadata"].get("labels") or {}) if entry else {}
        if labels.get(legacy.MANAGED_BY_LABEL) != legacy.MANAGED_BY:
            return
        try:
            await self._client.delete(ENDPOINTS, key[1], key[0])
        except NotFoundError:
            return

    def _pod_changed(self, old: Object | None, new: Object | None) -> None:
        if old is not None and new is not None and _shown(old) == _shown(new):
            return
        for service in self._services.by_index("namespace", namespace_of(new or old or {})):
            selector = service["spec"].get("selector")
            if any(pod and matches_labels(selector, pod["metadata"].get("labels")) for pod in (old, new)):
                enqueue(self.queue, service)

    def _slice_changed(self, old: Object | None, new: Object | None) -> None:
        entry = new or old or {}
        if _is_ours(entry):
            self.queue.add((namespace_of(entry), entry["metadata"]["labels"].get(slices.SERVICE_LABEL, "")))


def _is_ours(entry: Object) -> bool:
    return (entry["metadata"].get("labels") or {}).get(slices.MANAGED_BY_LABEL) == slices.MANAGED_BY


def _shown(pod: Object) -> tuple[object, ...]:
    return (
        pod.get("status", {}).get("podIP"),
        pods.is_ready(pod),
        pods.is_terminal(pod),
        pods.is_terminating(pod),
        pod["metadata"].get("labels"),
        pod["spec"].get("nodeName"),
    )


def _key(entry: Object) -> Key:
    return namespace_of(entry), name_of(entry)
