"""Every resource that the API server serves, custom ones included, and an informer for each."""

import asyncio
import logging

from trainyard_devcluster.client import ApiError, Client, NotFoundError
from trainyard_devcluster.controllers.context import Context
from trainyard_devcluster.informer import Handler, Informer
from trainyard_devcluster.resources import EVENTS, Object, Resource

log = logging.getLogger(__name__)

DEFINITIONS = Resource(
    "apiextensions.k8s.io", "v1", "customresourcedefinitions", "CustomResourceDefinition", namespaced=False
)
NEEDED_VERBS = frozenset({"delete", "list", "watch"})
RETRY_SECONDS = 1.0


async def discover(client: Client) -> list[Resource]:
    """The resources whose objects can be listed, watched and deleted, each in its preferred version."""
    groups = (await client.request("GET", "/apis"))["groups"]
    versions = [("", "v1"), *((group["name"], group["preferredVersion"]["version"]) for group in groups)]
    found = await asyncio.gather(*(_of_version(client, group, version) for group, version in versions))
    return [resource for resources in found for resource in resources]


async def _of_version(client: Client, group: str, version: str) -> list[Resource]:
    try:
        answer = await client.request("GET", f"/apis/{group}/{version}" if group else f"/api/{version}")
    except NotFoundError:
        # A custom resource's last version went between the two requests.
        return []
    return [
        Resource(group, version, entry["name"], entry["kind"], namespaced=bool(entry["namespaced"]))
        for entry in answer["resources"]
        if "/" not in entry["name"] and set(entry["verbs"]) >= NEEDED_VERBS
    ]


class Catalog:
    """Follows which resources there are, and feeds all their objects to one handler."""

    def __init__(self, context: Context, handler: Handler) -> None:
        self._context = context
        self._client = context.client
        self._handler = handler
        self._informers: dict[Resource, Informer] = {}
        self._tasks: dict[Resource, asyncio.Task[None]] = {}
        self._stale = asyncio.Event()
        context.informer(DEFINITIONS).on_change(lambda old, new: self._stale.set())
        self.ready = asyncio.Event()
        """Set once every resource that was there at the start has been read."""

    @property
    def resources(self) -> list[Resource]:
        """All of them, but events: those belong to nobody and are many."""
        return list(self._informers)

    def find(self, group: str, kind: str) -> Resource | None:
        """The resource of a kind, whatever its version."""
        for resource in self._informers:
            if (resource.group, resource.kind) == (group, kind):
                return resource
        return None

    async def run(self) -> None:
        """Follow until cancelled."""
        async with asyncio.TaskGroup() as group:
            while True:
                self._stale.clear()
                try:
                    await self._renew(await discover(self._client), group)
                except ApiError as error:
                    log.debug("discovery failed: %s", error)
                    await asyncio.sleep(RETRY_SECONDS)
                    continue
                await self._stale.wait()

    async def _renew(self, found: list[Resource], group: asyncio.TaskGroup) -> None:
        wanted = [resource for resource in found if resource.kind != EVENTS.kind]
        for resource in set(self._informers) - set(wanted):
            self._retire(resource)
        for resource in wanted:
            if resource not in self._informers:
                self._follow(resource, group)
        read = asyncio.ensure_future(self._all_read())
        stale = asyncio.ensure_future(self._stale.wait())
        # A resource that goes away before it was read never will be: then what is served has changed again.
        await asyncio.wait({read, stale}, return_when=asyncio.FIRST_COMPLETED)
        if read.done():
            self.ready.set()
        for waiting in (read, stale):
            waiting.cancel()

    async def _all_read(self) -> None:
        await asyncio.gather(*(informer.synced.wait() for informer in self._informers.values()))

    def _follow(self, resource: Resource, group: asyncio.TaskGroup) -> None:
        shared = self._context.shared(resource)
        informer = Informer(self._client, resource) if shared is None else shared
        informer.on_change(self._handler)
        self._informers[resource] = informer
        if shared is None:
            self._tasks[resource] = group.create_task(informer.run())

    def _retire(self, resource: Resource) -> None:
        informer = self._informers.pop(resource)
        if task := self._tasks.pop(resource, None):
            task.cancel()
        for obj in informer:
            self._handler(obj, None)


def group_of(reference: Object) -> str:
    """The API group that an owner reference names."""
    group, slash, _ = str(reference["apiVersion"]).partition("/")
    return group if slash else ""
