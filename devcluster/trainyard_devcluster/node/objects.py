"""ConfigMaps and Secrets that pods use: read afresh for every start, watched while a pod of this node names them."""

import asyncio
from collections.abc import Callable, Iterable
from typing import TypeAlias

from trainyard_devcluster.client import Client, NotFoundError
from trainyard_devcluster.informer import Informer
from trainyard_devcluster.node.tasks import spawn
from trainyard_devcluster.resources import CONFIG_MAPS, SECRETS, Object

Reference: TypeAlias = tuple[str, str, str]
"""Kind (`ConfigMap` or `Secret`), namespace, name."""

RESOURCES = {"ConfigMap": CONFIG_MAPS, "Secret": SECRETS}


def references(pod: Object) -> set[Reference]:
    """Every ConfigMap and Secret that a pod names, whether in its volumes or its variables."""
    namespace = pod["metadata"].get("namespace", "")
    found: set[tuple[str, str]] = set()
    for volume in pod["spec"].get("volumes") or ():
        for source in [volume, *((volume.get("projected") or {}).get("sources") or ())]:
            found |= _volume_source(source)
    for container in [*(pod["spec"].get("initContainers") or ()), *pod["spec"]["containers"]]:
        found |= _variables(container)
    return {(kind, namespace, name) for kind, name in found if name}


def _volume_source(source: Object) -> set[tuple[str, str]]:
    return {
        (kind, (source.get(field) or {}).get(key, ""))
        for kind, field, key in (
            ("ConfigMap", "configMap", "name"),
            ("Secret", "secret", "secretName"),
            ("Secret", "secret", "name"),
        )
    }


def _variables(container: Object) -> set[tuple[str, str]]:
    values = [each.get("valueFrom") or {} for each in container.get("env") or ()]
    named = [("ConfigMap", value.get("configMapKeyRef")) for value in values]
    named += [("Secret", value.get("secretKeyRef")) for value in values]
    for source in container.get("envFrom") or ():
        named += [("ConfigMap", source.get("configMapRef")), ("Secret", source.get("secretRef"))]
    return {(kind, reference["name"]) for kind, reference in named if reference}


class ObjectStore:
    """Reads referenced objects, and tells whoever uses them when they change."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._users: dict[Reference, list[Callable[[], None]]] = {}
        self._watches: dict[Reference, asyncio.Task[None]] = {}

    async def read(self, wanted: Iterable[Reference]) -> dict[Reference, Object]:
        """The objects that exist. Read from the server: a watch may lag behind the pod that needs them."""
        ordered = sorted(wanted)
        found = await asyncio.gather(*map(self._read, ordered))
        return {reference: obj for reference, obj in zip(ordered, found, strict=True) if obj is not None}

    def use(self, wanted: Iterable[Reference], changed: Callable[[], None]) -> None:
        """Call `changed` whenever one of these objects appears, changes or goes, until `release`."""
        for reference in wanted:
            self._users.setdefault(reference, []).append(changed)
            if reference not in self._watches:
                self._watches[reference] = spawn(self._watch(reference), f"watch of {reference}")

    def release(self, wanted: Iterable[Reference], changed: Callable[[], None]) -> None:
        """End a `use` with the same arguments."""
        for reference in wanted:
            users = self._users.get(reference, [])
            if changed in users:
                users.remove(changed)
            if not users:
                self._users.pop(reference, None)
                if watch := self._watches.pop(reference, None):
                    watch.cancel()

    async def _read(self, reference: Reference) -> Object | None:
        kind, namespace, name = reference
        try:
            return {"kind": kind} | await self._client.get(RESOURCES[kind], name, namespace)
        except NotFoundError:
            return None

    async def _watch(self, reference: Reference) -> None:
        kind, namespace, name = reference
        informer = Informer(self._client, RESOURCES[kind], namespace=namespace, field_selector=f"metadata.name={name}")
        informer.on_change(lambda old, new: self._tell(reference))
        await informer.run()

    def _tell(self, reference: Reference) -> None:
        for changed in self._users.get(reference, ()):
            changed()
