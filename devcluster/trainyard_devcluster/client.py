"""A small asyncio client for the Kubernetes API: typed errors, plain dicts."""

import json
import random
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeAlias

import aiohttp

from trainyard_devcluster import kubeconfig
from trainyard_devcluster.resources import Object, Resource, name_of, namespace_of

REQUEST_TIMEOUT_SECONDS = 30.0
WATCH_SECONDS = (300, 600)
"""How long we ask the server to keep one watch open; spread, so that watches do not all renew at once."""


Body: TypeAlias = Object | list[Object]
"""What a request sends; a list is a JSON patch."""


class ApiError(Exception):
    """The API server refused a request. `status` is the Status object it sent."""

    def __init__(self, code: int, status: Object) -> None:
        self.code = code
        self.status = status
        self.reason = str(status.get("reason") or "")
        super().__init__(str(status.get("message") or f"HTTP {code}"))

    @property
    def namespace_is_ending(self) -> bool:
        """Whether a create was refused because its namespace is being deleted. Trying again does not help."""
        causes = (self.status.get("details") or {}).get("causes") or ()
        return any(cause.get("reason") == "NamespaceTerminating" for cause in causes)


class NotFoundError(ApiError):
    """404: no such object (or no such resource)."""


class AlreadyExistsError(ApiError):
    """409 on create: the name is taken."""


class ConflictError(ApiError):
    """409: the object changed since it was read, or a precondition does not hold. Read again, decide again."""


class GoneError(ApiError):
    """410: the resourceVersion is too old to watch from. List again."""


class InvalidError(ApiError):
    """422: the object does not pass validation. Trying again does not help."""


class UnavailableError(ApiError):
    """No answer, or a server-side failure (429, 5xx). Try again later."""


class PatchType(Enum):
    """What a patch body means; the value is its content type."""

    MERGE = "application/merge-patch+json"
    STRATEGIC = "application/strategic-merge-patch+json"
    JSON = "application/json-patch+json"
    APPLY = "application/apply-patch+yaml"


@dataclass(frozen=True, slots=True)
class ObjectList:
    """A list response: the objects, and the resourceVersion to watch from."""

    items: list[Object]
    resource_version: str


@dataclass(frozen=True, slots=True)
class WatchEvent:
    """One event of a watch. `kind` is ADDED, MODIFIED, DELETED or BOOKMARK; ERROR events are raised instead."""

    kind: str
    object: Object


class Client:
    """The API server as seen with one set of credentials. Use as an async context manager."""

    def __init__(self, access: kubeconfig.Access, *, user_agent: str = "trainyard-devcluster") -> None:
        self._access = access
        headers = {"User-Agent": user_agent, "Accept": "application/json"}
        if access.token:
            headers["Authorization"] = f"Bearer {access.token}"
        self._headers = headers
        self._session: aiohttp.ClientSession | None = None

    @classmethod
    def from_kubeconfig(cls, path: str | Path, *, user_agent: str = "trainyard-devcluster") -> Self:
        """A client for the file's current context."""
        return cls(kubeconfig.load(path), user_agent=user_agent)

    @property
    def server(self) -> str:
        """The API server's URL."""
        return self._access.server

    @property
    def default_namespace(self) -> str:
        """The namespace of the kubeconfig's context."""
        return self._access.namespace

    @property
    def authority(self) -> str:
        """The certificate (PEM) that the server's own is checked by; empty where the kubeconfig names none."""
        return self._access.authority

    async def __aenter__(self) -> Self:
        # Watches hold connections for minutes, so the pool has no upper bound.
        connector = aiohttp.TCPConnector(ssl=self._access.tls or True, limit=0)
        self._session = aiohttp.ClientSession(connector=connector, headers=self._headers)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session:
            await self._session.close()

    async def get(
        self, resource: Resource, name: str, namespace: str | None = None, *, subresource: str | None = None
    ) -> Object:
        """Read one object (or one of its subresources, such as `scale`)."""
        return await self.request("GET", resource.path(namespace, name, subresource))

    async def list(
        self,
        resource: Resource,
        namespace: str | None = None,
        *,
        label_selector: str | None = None,
        field_selector: str | None = None,
    ) -> ObjectList:
        """List objects, of all namespaces where none is given. Items carry apiVersion and kind."""
        query = {"labelSelector": label_selector, "fieldSelector": field_selector}
        answer = await self.request("GET", resource.path(namespace), query=query)
        identity = {"apiVersion": resource.api_version, "kind": resource.kind}
        items = [identity | item for item in answer.get("items") or ()]
        return ObjectList(items, str(answer["metadata"].get("resourceVersion", "")))

    async def create(
        self, resource: Resource, body: Object, namespace: str | None = None, *, subresource: str | None = None
    ) -> Object:
        """Create an object, or POST to a subresource such as `binding` of the object that the body names.

        AlreadyExistsError where the name is taken.
        """
        parent = name_of(body) if subresource else None
        path = resource.path(namespace or namespace_of(body), parent, subresource)
        return await self.request("POST", path, body=_identified(resource, body) if not subresource else body)

    async def update(self, resource: Resource, body: Object, *, subresource: str | None = None) -> Object:
        """Replace an object. ConflictError where its resourceVersion is not the current one."""
        path = resource.path(namespace_of(body), name_of(body), subresource)
        return await self.request("PUT", path, body=_identified(resource, body))

    async def update_status(self, resource: Resource, body: Object) -> Object:
        """Replace an object's status."""
        return await self.update(resource, body, subresource="status")

    async def patch(
        self,
        resource: Resource,
        name: str,
        body: Body,
        namespace: str | None = None,
        *,
        kind: PatchType = PatchType.MERGE,
        subresource: str | None = None,
        field_manager: str | None = None,
        force: bool = False,
    ) -> Object:
        """Change parts of an object. APPLY needs a field manager; `force` takes fields over from other managers."""
        query = {"fieldManager": field_manager, "force": "true" if force else None}
        path = resource.path(namespace, name, subresource)
        return await self.request("PATCH", path, query=query, body=body, content_type=kind.value)

    async def delete(
        self,
        resource: Resource,
        name: str,
        namespace: str | None = None,
        *,
        uid: str | None = None,
        resource_version: str | None = None,
        propagation: str | None = None,
        grace_seconds: int | None = None,
    ) -> Object:
        """Delete an object; with `uid`, only that very one (else ConflictError). Returns the object or a Status."""
        preconditions = {"uid": uid, "resourceVersion": resource_version}
        options: Object = {
            "apiVersion": "v1",
            "kind": "DeleteOptions",
            "preconditions": {key: value for key, value in preconditions.items() if value} or None,
            "propagationPolicy": propagation,
            "gracePeriodSeconds": grace_seconds,
        }
        body = {key: value for key, value in options.items() if value is not None}
        return await self.request("DELETE", resource.path(namespace, name), body=body)

    async def watch(
        self,
        resource: Resource,
        resource_version: str,
        namespace: str | None = None,
        *,
        label_selector: str | None = None,
        field_selector: str | None = None,
    ) -> AsyncIterator[WatchEvent]:
        """Follow changes from a resourceVersion on until the server ends the watch. GoneError: list again."""
        seconds = random.randint(*WATCH_SECONDS)  # noqa: S311 - jitter
        query = {
            "watch": "true",
            "resourceVersion": resource_version,
            "allowWatchBookmarks": "true",
            "timeoutSeconds": str(seconds),
            "labelSelector": label_selector,
            "fieldSelector": field_selector,
        }
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=REQUEST_TIMEOUT_SECONDS, sock_read=seconds + 15)
        try:
            async with self._open("GET", resource.path(namespace), query=query, timeout=timeout) as response:
                await _raise_for_status(response)
                async for line in _lines(response):
                    event = json.loads(line)
                    if event["type"] == "ERROR":
                        raise _error(int(event["object"].get("code") or 500), event["object"])
                    yield WatchEvent(event["type"], event["object"])
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise _unanswered(error) from error

    async def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str | None] | None = None,
        body: Body | None = None,
        content_type: str = "application/json",
    ) -> Object:
        """Send any request and return the JSON object it answers with. ApiError or one of its kinds otherwise."""
        timeout = aiohttp.ClientTimeout(total=REQUEST_TIMEOUT_SECONDS)
        try:
            async with self._open(
                method, path, query=query, body=body, content_type=content_type, timeout=timeout
            ) as response:
                await _raise_for_status(response)
                answer: Object = await response.json(content_type=None)
                return answer
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise _unanswered(error) from error

    def _open(
        self,
        method: str,
        path: str,
        *,
        timeout: aiohttp.ClientTimeout,
        query: Mapping[str, str | None] | None = None,
        body: Body | None = None,
        content_type: str = "application/json",
    ) -> Any:
        if self._session is None:
            raise RuntimeError("a Client is used inside `async with`")
        return self._session.request(
            method,
            self._access.server + path,
            params={key: value for key, value in (query or {}).items() if value is not None},
            data=None if body is None else json.dumps(body),
            headers={} if body is None else {"Content-Type": content_type},
            timeout=timeout,
            server_hostname=self._access.tls_server_name,
        )


def _identified(resource: Resource, body: Object) -> Object:
    return {"apiVersion": resource.api_version, "kind": resource.kind} | body


async def _lines(response: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
    # Not readline(): it refuses lines longer than its buffer, and one object may be a megabyte.
    rest = b""
    async for chunk in response.content.iter_any():
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            if line.strip():
                yield line


async def _raise_for_status(response: aiohttp.ClientResponse) -> None:
    if response.status < 400:
        return
    text = await response.text()
    try:
        status = json.loads(text)
    except ValueError:
        status = {"kind": "Status", "code": response.status, "message": text.strip()}
    raise _error(response.status, status if isinstance(status, dict) else {"message": text})


def _error(code: int, status: Object) -> ApiError:
    if code == 409:
        return (AlreadyExistsError if status.get("reason") == "AlreadyExists" else ConflictError)(code, status)
    if code == 429 or code >= 500:
        return UnavailableError(code, status)
    kinds = {404: NotFoundError, 410: GoneError, 422: InvalidError}
    return kinds.get(code, ApiError)(code, status)


def _unanswered(error: Exception) -> UnavailableError:
    message = f"the API server did not answer: {error or type(error).__name__}"
    return UnavailableError(503, {"kind": "Status", "code": 503, "reason": "ServiceUnavailable", "message": message})
