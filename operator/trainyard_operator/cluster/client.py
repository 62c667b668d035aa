"""The port to the API server over HTTP: plain dicts and server-side apply.

The typed models of kubernetes 37 are left alone on purpose: they drop the fields they do not know, and reading them
costs ten times as much as reading JSON.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any

from trainyard_api.names import FIELD_MANAGER
from trainyard_operator.cluster.answers import json_in, object_in, page_in
from trainyard_operator.cluster.errors import NotFound, Unavailable
from trainyard_operator.cluster.events import EventRecorder
from trainyard_operator.cluster.kinds import EVENT, POD, Kind
from trainyard_operator.cluster.port import Event, Manifest
from trainyard_operator.cluster.transport import Request, Transport

_PAGE = 500
_EVENTS = 100
_APPLY = "application/apply-patch+yaml"
_MERGE = "application/merge-patch+json"
_IDENTITY = ("name", "namespace", "uid", "resourceVersion")


class KubernetesCluster:
    """Implements `port.Cluster`. Open it with `async with`.

    Args:
        timeout: Seconds for one request, connecting included.
        patience: Seconds for one request and its repetitions, where the server asks for them.
        observe: Told of each request: HTTP method, status (0 where no answer came) and seconds.
    """

    def __init__(
        self,
        *,
        timeout: float = 30.0,
        patience: float = 30.0,
        observe: Callable[[str, int, float], None] = lambda *_: None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._transport = Transport(timeout=timeout, patience=patience, observe=observe, sleep=sleep)
        self._recorder = EventRecorder(self)

    async def __aenter__(self) -> "KubernetesCluster":
        await self._transport.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._transport.__aexit__()

    async def get(self, kind: Kind, namespace: str, name: str, *, live: bool = False) -> Manifest:
        request = Request("GET", path(kind, namespace, name))
        return object_in(await self._transport.fetch(request), kind, str(request), name=name)

    async def select(
        self, kind: Kind, namespace: str | None = None, *, labels: Mapping[str, str] | None = None, live: bool = False
    ) -> list[Manifest]:
        found, _ = await self.snapshot(kind, namespace, labels=labels)
        return sorted(
            found, key=lambda manifest: (manifest["metadata"].get("namespace", ""), manifest["metadata"]["name"])
        )

    async def snapshot(
        self, kind: Kind, namespace: str | None = None, *, labels: Mapping[str, str] | None = None
    ) -> tuple[list[Manifest], str]:
        """Return all objects with these labels and the resourceVersion of the list, where a watch goes on."""
        query = {"limit": str(_PAGE)} | _selector(labels)
        found: list[Manifest] = []
        while True:
            request = Request("GET", path(kind, namespace), query)
            items, version, token = page_in(await self._transport.fetch(request), kind, str(request))
            found += items
            if not token:
                return found, version
            if token == query.get("continue"):
                raise Unavailable(f"{request}: the list goes on with the page that has just come")
            query = query | {"continue": token}

    def watch(
        self, kind: Kind, namespace: str | None, *, labels: Mapping[str, str], version: str
    ) -> AsyncIterator[bytes]:
        """Yield the events since a version, each as a line of JSON."""
        query = {
            "watch": "true",
            "allowWatchBookmarks": "true",
            "resourceVersion": version,
            # Not all watches of all operators end in the same second.
            "timeoutSeconds": str(random.randint(300, 600)),  # noqa: S311
        }
        return self._transport.stream(Request("GET", path(kind, namespace), query | _selector(labels)))

    async def log(self, namespace: str, pod: str, *, container: str, lines: int, most_bytes: int) -> str:
        query = {"container": container, "tailLines": str(lines), "limitBytes": str(most_bytes)}
        content = await self._transport.fetch(Request("GET", path(POD, namespace, pod) + "/log", query))
        return content.decode(errors="replace")

    async def create(self, kind: Kind, manifest: Manifest) -> Manifest:
        url, body = path(kind, manifest["metadata"]["namespace"]), typed(kind, without_nulls(manifest))
        return await self._write(Request("POST", url, {"fieldManager": FIELD_MANAGER}, body), kind)

    async def apply(self, kind: Kind, manifest: Manifest) -> Manifest:
        removed, kept = apart(manifest)
        if removed:
            # A field from the POST that created the object belongs to that too, so no apply removes it.
            metadata = {key: kept["metadata"][key] for key in _IDENTITY if key in kept["metadata"]}
            url = path(kind, metadata["namespace"], metadata["name"])
            body = removed | {"metadata": metadata | removed.get("metadata", {})}
            found = await self._write(Request("PATCH", url, {"fieldManager": FIELD_MANAGER}, body, _MERGE), kind)
            version = {"resourceVersion": found["metadata"]["resourceVersion"]}
            kept = kept | {"metadata": kept["metadata"] | version}
        return await self._apply(kind, kept)

    async def scale(self, kind: Kind, manifest: Manifest, replicas: int) -> None:
        metadata = manifest["metadata"]
        url = path(kind, metadata["namespace"], metadata["name"]) + "/scale"
        body = {"metadata": {"resourceVersion": metadata["resourceVersion"]}, "spec": {"replicas": replicas}}
        request = Request("PATCH", url, {"fieldManager": FIELD_MANAGER}, body, _MERGE)
        json_in(await self._transport.fetch(request), str(request))

    async def apply_status(self, kind: Kind, manifest: Manifest) -> Manifest:
        return await self._apply(kind, manifest, "/status")

    async def delete(self, kind: Kind, namespace: str, name: str, *, uid: str) -> None:
        options = {"propagationPolicy": "Background", "preconditions": {"uid": uid}}
        request = Request("DELETE", path(kind, namespace, name), body=options)
        try:
            json_in(await self._transport.fetch(request), str(request))
        except NotFound:
            return

    async def emit(self, regarding: Manifest, event: Event, *, again: bool = False) -> bool:
        return await self._recorder.record(regarding, event, again=again)

    async def review(self, url: str, review: Manifest) -> Manifest:
        """Return the API server's answer to a TokenReview or a SubjectAccessReview, which stores nothing."""
        request = Request("POST", url, body=review)
        return json_in(await self._transport.fetch(request), str(request))

    async def events_of(self, namespace: str, uid: str) -> list[Manifest]:
        """Return the events about an object, the newest first; a hundred at most."""
        query = {"fieldSelector": f"involvedObject.uid={uid}", "limit": str(_EVENTS)}
        request = Request("GET", path(EVENT, namespace), query)
        found, _, _ = page_in(await self._transport.fetch(request), EVENT, str(request))
        return sorted(
            found, key=lambda event: str(event.get("lastTimestamp") or event.get("eventTime") or ""), reverse=True
        )

    async def _apply(self, kind: Kind, manifest: Manifest, subresource: str = "") -> Manifest:
        metadata = manifest["metadata"]
        url = path(kind, metadata["namespace"], metadata["name"]) + subresource
        query = {"fieldManager": FIELD_MANAGER, "force": "true"}
        return await self._write(Request("PATCH", url, query, typed(kind, manifest), _APPLY), kind)

    async def _write(self, request: Request, kind: Kind) -> Manifest:
        name = request.body["metadata"]["name"] if request.body else None
        return object_in(await self._transport.fetch(request), kind, str(request), name=name)


def path(kind: Kind, namespace: str | None = None, name: str | None = None) -> str:
    """Return the path of a collection or of one object in it."""
    parts = [f"/apis/{kind.api_version}" if kind.group else f"/api/{kind.version}"]
    if namespace and kind.namespaced:
        parts += ["namespaces", namespace]
    return "/".join([*parts, kind.plural, *([name] if name else [])])


def apart(manifest: Manifest) -> tuple[Manifest, Manifest]:
    """Return the fields that are null, which are to be removed, and the others, each below their parents."""
    removed: Manifest = {}
    kept: Manifest = {}
    for key, value in manifest.items():
        if value is None:
            removed[key] = None
        elif isinstance(value, dict):
            inner, kept[key] = apart(value)
            removed |= {key: inner} if inner else {}
        else:
            kept[key] = without_nulls(value)
    return removed, kept


def without_nulls(value: Any) -> Any:
    """Return a value without the fields that are null: what is written whole, as lists are, has no field to remove."""
    if isinstance(value, dict):
        return {key: without_nulls(inner) for key, inner in value.items() if inner is not None}
    return [without_nulls(item) for item in value] if isinstance(value, list) else value


def typed(kind: Kind, manifest: Manifest) -> Manifest:
    """Return the manifest with its apiVersion and kind, which the API server insists on."""
    return {"apiVersion": kind.api_version, "kind": kind.name} | manifest


def _selector(labels: Mapping[str, str] | None) -> dict[str, str]:
    return {"labelSelector": ",".join(f"{key}={value}" for key, value in sorted(labels.items()))} if labels else {}
