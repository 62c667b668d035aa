"""A stand-in for an API server, for the devcluster's parts: any resource, list and watch, patches, tokens, no rules."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

from aiohttp import web
from aiohttp.test_utils import TestServer

from trainyard_devcluster.client import Client
from trainyard_devcluster.kubeconfig import Access
from trainyard_devcluster.resources import Object, Resource

Key = tuple[str, str, str]
"""Plural, namespace, name."""

KINDS = {
    "configmaps": "ConfigMap",
    "endpointslices": "EndpointSlice",
    "events": "Event",
    "leases": "Lease",
    "nodes": "Node",
    "persistentvolumeclaims": "PersistentVolumeClaim",
    "persistentvolumes": "PersistentVolume",
    "pods": "Pod",
    "secrets": "Secret",
    "serviceaccounts": "ServiceAccount",
    "services": "Service",
}


class KubeStub:
    """Objects, and the watches on them. Tests change objects with `put` and `remove` as any other client would."""

    def __init__(self) -> None:
        self.objects: dict[Key, Object] = {}
        self.refuse: Callable[[str, str], int | None] = lambda method, path: None
        """Gives an HTTP status for requests that are to fail."""
        self._version = count(1)
        self._uids = count(1)
        self._watches: set[tuple[str, str, str, asyncio.Queue[tuple[str, Object]]]] = set()

    def put(self, resource: Resource, obj: Object) -> Object:
        """Create or replace an object."""
        return self._store(resource.plural, obj)

    def remove(self, resource: Resource, name: str, namespace: str = "") -> None:
        """Take an object away, whatever its finalizers say."""
        self._drop((resource.plural, namespace, name))

    def get(self, resource: Resource, name: str, namespace: str = "") -> Object | None:
        """An object as it is now."""
        return self.objects.get((resource.plural, namespace, name))

    def list(self, resource: Resource) -> list[Object]:
        """All objects of a resource."""
        return [obj for (plural, _, _), obj in sorted(self.objects.items()) if plural == resource.plural]

    @asynccontextmanager
    async def serve(self) -> AsyncIterator[Client]:
        """Serve on a free port; yields a client."""
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._handle)
        async with TestServer(app) as server:
            url = str(server.make_url("/")).rstrip("/")
            access = Access(server=url, token="stub", tls=None, tls_server_name=None, namespace="default", authority="")
            async with Client(access) as client:
                yield client

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        if code := self.refuse(request.method, request.path):
            return _status(code, "refused by the test")
        namespace, plural, name, subresource = _parsed(request.path)
        if name is None:
            if request.method == "POST":
                return self._create(plural, namespace, await request.json())
            return await self._list(request, plural, namespace)
        key = (plural, namespace, name)
        if subresource == "token":
            expires = (datetime.now(UTC) + timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
            return web.json_response({"status": {"token": f"token-of-{name}", "expirationTimestamp": expires}})
        if key not in self.objects:
            return _status(404, f'{plural} "{name}" not found', "NotFound")
        if request.method == "PATCH":
            return self._patch(key, await request.json(), subresource)
        if request.method == "DELETE":
            return self._delete(key, await request.json())
        return web.json_response(self.objects[key])

    def _create(self, plural: str, namespace: str, body: Object) -> web.Response:
        if (plural, namespace, body["metadata"]["name"]) in self.objects:
            return _status(409, "already exists", "AlreadyExists")
        body["metadata"].setdefault("namespace", namespace)
        return web.json_response(self._store(plural, body), status=201)

    def _patch(self, key: Key, change: Object, subresource: str | None) -> web.Response:
        current = self.objects[key]
        if change.get("metadata", {}).get("uid", current["metadata"]["uid"]) != current["metadata"]["uid"]:
            return _status(409, "the uid is another", "Conflict")
        part = {"status": change.get("status")} if subresource == "status" else change
        return web.json_response(self._store(key[0], _merged(current, part)))

    def _delete(self, key: Key, options: Object) -> web.Response:
        current = self.objects[key]
        grace = options.get("gracePeriodSeconds")
        if key[0] == "pods" and grace != 0 and current["spec"].get("nodeName"):
            now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
            grace = current["spec"].get("terminationGracePeriodSeconds", 30) if grace is None else grace
            going = {"deletionTimestamp": now, "deletionGracePeriodSeconds": grace}
            return web.json_response(self._store(key[0], _merged(current, {"metadata": going})))
        self._drop(key)
        return web.json_response(current)

    async def _list(self, request: web.Request, plural: str, namespace: str) -> web.StreamResponse:
        selector = request.query.get("fieldSelector", "")
        if not request.query.get("watch"):
            items = [o for (p, _, _), o in self.objects.items() if p == plural and _selected(o, namespace, selector)]
            version = str(next(self._version))
            return web.json_response({"metadata": {"resourceVersion": version}, "items": items})
        response = web.StreamResponse()
        await response.prepare(request)
        events: asyncio.Queue[tuple[str, Object]] = asyncio.Queue()
        watch = (plural, namespace, selector, events)
        self._watches.add(watch)
        try:
            since = int(request.query["resourceVersion"])
            for (p, _, _), obj in self.objects.items():
                late = int(obj["metadata"]["resourceVersion"]) > since
                if p == plural and late and _selected(obj, namespace, selector):
                    events.put_nowait(("ADDED", obj))
            while True:
                kind, obj = await events.get()
                await response.write(json.dumps({"type": kind, "object": obj}).encode() + b"\n")
        except (ConnectionResetError, asyncio.CancelledError):
            return response
        finally:
            self._watches.discard(watch)

    def _store(self, plural: str, obj: Object) -> Object:
        obj = json.loads(json.dumps(obj))
        metadata = obj["metadata"]
        key = (plural, metadata.get("namespace", ""), metadata["name"])
        known = self.objects.get(key)
        metadata.setdefault("uid", known["metadata"]["uid"] if known else f"uid-{next(self._uids)}")
        metadata["resourceVersion"] = str(next(self._version))
        obj.setdefault("apiVersion", "v1")
        obj.setdefault("kind", KINDS[plural])
        self.objects[key] = obj
        self._tell("MODIFIED" if known else "ADDED", plural, obj)
        return obj

    def _drop(self, key: Key) -> None:
        obj = self.objects.pop(key)
        gone = obj | {"metadata": obj["metadata"] | {"resourceVersion": str(next(self._version))}}
        self._tell("DELETED", key[0], gone)

    def _tell(self, kind: str, plural: str, obj: Object) -> None:
        for watched, namespace, selector, events in self._watches:
            if watched == plural and _selected(obj, namespace, selector):
                events.put_nowait((kind, obj))


def _parsed(path: str) -> tuple[str, str, str | None, str | None]:
    parts = path.strip("/").split("/")
    parts = parts[2:] if parts[0] == "api" else parts[3:]
    namespace = ""
    if parts[0] == "namespaces" and len(parts) > 2:
        namespace, parts = parts[1], parts[2:]
    padded: list[Any] = [*parts, None, None]
    return namespace, padded[0], padded[1], padded[2]


def _selected(obj: Object, namespace: str, selector: str) -> bool:
    if namespace and obj["metadata"].get("namespace", "") != namespace:
        return False
    for term in filter(None, selector.split(",")):
        path, _, wanted = term.partition("=")
        value: Any = obj
        for step in path.split("."):
            value = (value or {}).get(step)
        if value != wanted:
            return False
    return True


def _merged(old: Any, new: Any) -> Any:
    """A merge patch that merges conditions by type, as far as strategic merge matters here."""
    if not isinstance(old, dict) or not isinstance(new, dict):
        return new
    result = dict(old)
    for key, value in new.items():
        if value is None:
            result.pop(key, None)
        elif key == "conditions":
            by_type = {each["type"]: each for each in old.get(key) or ()}
            for each in value:
                by_type[each["type"]] = _merged(by_type.get(each["type"], {}), each)
            result[key] = list(by_type.values())
        else:
            result[key] = _merged(old.get(key, {} if isinstance(value, dict) else None), value)
    return result


def _status(code: int, message: str, reason: str = "") -> web.Response:
    body = {"kind": "Status", "code": code, "message": message, "reason": reason}
    return web.json_response(body, status=code)
