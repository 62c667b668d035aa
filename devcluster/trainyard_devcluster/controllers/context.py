"""What every controller gets: the API client, shared informers, an event recorder, the clock and the settings."""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from ipaddress import IPv4Network
from pathlib import Path
from typing import Protocol

from trainyard_devcluster.client import Client
from trainyard_devcluster.events import Clock, Recorder, utc_now
from trainyard_devcluster.informer import Informer, Key
from trainyard_devcluster.resources import Object, Resource, controller_of, name_of, namespace_of
from trainyard_devcluster.workqueue import WorkQueue, work


@dataclass(frozen=True, slots=True)
class Settings:
    """What a person may choose. Times are in seconds."""

    volumes_dir: Path | None = None
    """Where claimed volumes live; without it none are made."""
    node_grace: float = 40.0
    """How long a node may be silent before it counts as lost."""
    eviction_delay: float = 300.0
    """How long pods stay on a lost node, where they do not say themselves."""
    cluster_cidr: IPv4Network | None = None
    """Where nodes' ranges of pod addresses are taken from; without it none are."""
    autoscaler_period: float = 15.0
    """Between two looks of a HorizontalPodAutoscaler at its metrics."""


class Controller(Protocol):
    """One control loop. `sync` brings everything about one key closer to what is wanted, and may be called any time."""

    name: str
    queue: WorkQueue[Key]

    async def sync(self, key: Key) -> None:
        """Observe, decide, act. Raises ApiError to be called again."""


@dataclass(slots=True)
class Context:
    """The shared part of all controllers in this process."""

    client: Client
    settings: Settings = field(default_factory=Settings)
    clock: Clock = utc_now
    _informers: dict[Resource, Informer] = field(default_factory=dict)

    def informer(self, resource: Resource) -> Informer:
        """The one informer for a resource, with the indexes `namespace`, `controller` (uid) and, for pods, `node`."""
        if resource not in self._informers:
            indexes = {"namespace": _namespace, "controller": _controller, "node": _node}
            self._informers[resource] = Informer(self.client, resource, indexes=indexes)
        return self._informers[resource]

    def shared(self, resource: Resource) -> Informer | None:
        """The informer for a resource if some controller asked for one before `run`."""
        return self._informers.get(resource)

    def recorder(self, component: str) -> Recorder:
        """A recorder of events in the name of one controller."""
        return Recorder(self.client, component, clock=self.clock)

    def now(self) -> datetime:
        """The time by this process's clock."""
        return self.clock()

    async def run(self, controllers: Iterable[Controller]) -> None:
        """Fill all informers, then run the controllers until cancelled."""
        async with asyncio.TaskGroup() as group:
            for informer in self._informers.values():
                group.create_task(informer.run())
            # Acting before everything is known would create what is already there.
            await asyncio.gather(*(informer.synced.wait() for informer in self._informers.values()))
            for controller in controllers:
                group.create_task(work(controller.queue, controller.sync, name=controller.name))


def key_of(obj: Object) -> Key:
    """The key of an object in queues and informers."""
    return namespace_of(obj), name_of(obj)


def enqueue_owner(queue: WorkQueue[Key], kind: str, obj: Object | None) -> None:
    """Queue the controller of an object, if it is of this kind."""
    owner = controller_of(obj) if obj is not None else None
    if obj is not None and owner is not None and owner["kind"] == kind:
        queue.add((namespace_of(obj), owner["name"]))


def enqueue(queue: WorkQueue[Key], obj: Object | None) -> None:
    """Queue an object itself."""
    if obj is not None:
        queue.add(key_of(obj))


def _namespace(obj: Object) -> list[str]:
    return [namespace_of(obj)]


def _controller(obj: Object) -> list[str]:
    owner = controller_of(obj)
    return [owner["uid"]] if owner else []


def _node(obj: Object) -> list[str]:
    node = (obj.get("spec") or {}).get("nodeName") if obj.get("kind") == "Pod" else None
    return [node] if node else []
