"""What the demo does with a cluster: apply, look, wait."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from trainyard_devcluster.client import Client, NotFoundError, PatchType
from trainyard_devcluster.resources import Resource

Manifest = dict[str, Any]
NAMESPACE = "default"
POLL_SECONDS = 0.2


class DemoError(Exception):
    """The demo cannot go on; the message says what was awaited and what came."""


class Session:
    """One cluster, as the demo sees it."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def apply(self, manifests: list[Manifest]) -> None:
        """Server-side apply each object, as `kubectl apply --server-side` does."""
        for manifest in manifests:
            resource = await self._resource(manifest)
            await self._client.patch(
                resource,
                manifest["metadata"]["name"],
                manifest,
                manifest["metadata"].get("namespace", NAMESPACE) if resource.namespaced else None,
                kind=PatchType.APPLY,
                field_manager="trainyard-demo",
                force=True,
            )

    async def get(self, resource: Resource, name: str, namespace: str = NAMESPACE) -> Manifest:
        """Return an object, or an empty one where there is none yet."""
        try:
            return await self._client.get(resource, name, namespace)
        except NotFoundError:
            return {}

    async def list(self, resource: Resource, label_selector: str, namespace: str = NAMESPACE) -> list[Manifest]:
        """Return the objects that carry the labels."""
        return (await self._client.list(resource, namespace, label_selector=label_selector)).items

    async def follow(self, resource: Resource, name: str, *, seconds: float) -> AsyncIterator[Manifest]:
        """Yield an object each time its status changes, until the caller has seen enough.

        Raises:
            DemoError: the time is over.
        """
        last: Manifest | None = None
        deadline = asyncio.get_running_loop().time() + seconds
        while asyncio.get_running_loop().time() < deadline:
            seen = await self.get(resource, name)
            if seen.get("status") != last:
                last = seen.get("status")
                yield seen
            await asyncio.sleep(POLL_SECONDS)
        raise DemoError(f"{resource.kind} {name} took longer than {seconds:.0f} s; its status: {last}")

    async def wait(
        self, resource: Resource, name: str, done: Callable[[Manifest], bool], *, namespace: str, seconds: float
    ) -> Manifest:
        """Return the object once `done` holds of it.

        Raises:
            DemoError: the time is over.
        """
        deadline = asyncio.get_running_loop().time() + seconds
        while not done(seen := await self.get(resource, name, namespace)):
            if asyncio.get_running_loop().time() > deadline:
                raise DemoError(f"{resource.kind} {name} took longer than {seconds:.0f} s; last seen: {seen}")
            await asyncio.sleep(POLL_SECONDS)
        return seen

    async def _resource(self, manifest: Manifest) -> Resource:
        group_version, kind = manifest["apiVersion"], manifest["kind"]
        root = f"/apis/{group_version}" if "/" in group_version else f"/api/{group_version}"
        group, _, version = group_version.rpartition("/")
        for _ in range(50):  # a CustomResourceDefinition is served a moment after it was applied
            try:
                served = (await self._client.request("GET", root))["resources"]
            except NotFoundError:
                served = []
            for entry in served:
                if entry["kind"] == kind and "/" not in entry["name"]:
                    return Resource(group, version, entry["name"], kind, namespaced=entry["namespaced"])
            await asyncio.sleep(POLL_SECONDS)
        raise DemoError(f"the cluster does not serve {group_version} {kind}")


@asynccontextmanager
async def open_session(kubeconfig: Path) -> AsyncIterator[Session]:
    """Connect with a kubeconfig."""
    async with Client.from_kubeconfig(kubeconfig, user_agent="trainyard-demo") as client:
        yield Session(client)
