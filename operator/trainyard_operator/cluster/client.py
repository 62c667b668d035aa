"""The port to the API server over `kubernetes.aio`: plain dicts and server-side apply.

The typed models of kubernetes 37 are left alone on purpose: they drop the fields they do not know, and reading them
costs ten times as much as reading JSON.
"""

import asyncio
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import aiohttp
from kubernetes.aio.client import ApiClient

from trainyard_api.names import FIELD_MANAGER
from trainyard_operator.cluster.connect import load_configuration
from trainyard_operator.cluster.errors import (
    AlreadyExists,
    ApiError,
    Conflict,
    Forbidden,
    Invalid,
    NotFound,
    Unavailable,
)
from trainyard_operator.cluster.events import EventRecorder
from trainyard_operator.cluster.kinds import POD, Kind
from trainyard_operator.cluster.port import Event, Manifest

_PAGE = 500
_APPLY = "application/apply-patch+yaml"
_BY_CODE = {400: Invalid, 401: Forbidden, 403: Forbidden, 404: NotFound, 409: Conflict, 422: Invalid}


@dataclass(frozen=True, slots=True)
class _Answer:
    """What came back; `pause` is the Retry-After header."""

    code: int
    content: bytes
    pause: str | None

    def status(self) -> Manifest:
        """Return it as the `metav1.Status` of a refusal."""
        status = _parse(self.content)
        if self.pause and self.pause.isdigit():
            status["details"] = {"retryAfterSeconds": int(self.pause)} | (status.get("details") or {})
        return status


class KubernetesCluster:
    """Implements `port.Cluster`. Open it with `async with`.

    Args:
        timeout: Seconds for one request, connecting included.
        observe: Told of each request: HTTP method, status (0 where no answer came) and seconds.
    """

    def __init__(self, *, timeout: float = 30.0, observe: Callable[[str, int, float], None] = lambda *_: None) -> None:
        self._timeout = timeout
        self._observe = observe
        self._recorder = EventRecorder(self)
        self._client: ApiClient | None = None
        self._login = asyncio.Lock()

    async def __aenter__(self) -> "KubernetesCluster":
        await self._connect()
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._client is not None:
            await self._client.close()

    async def get(self, kind: Kind, namespace: str, name: str) -> Manifest:
        """See `port.Cluster.get`."""
        return await self._request("GET", path(kind, namespace, name))

    async def select(
        self, kind: Kind, namespace: str | None = None, *, labels: Mapping[str, str] | None = None
    ) -> list[Manifest]:
        """See `port.Cluster.select`."""
        query = {"limit": str(_PAGE)}
        if labels:
            query["labelSelector"] = ",".join(f"{key}={value}" for key, value in sorted(labels.items()))
        found: list[Manifest] = []
        while True:
            page = await self._request("GET", path(kind, namespace), query)
            found += page.get("items") or []
            token = page.get("metadata", {}).get("continue")
            if not token:
                break
            query["continue"] = token
        # Items of a list come without their type, which everything else here relies on.
        typed = [{"apiVersion": kind.api_version, "kind": kind.name} | item for item in found]
        return sorted(typed, key=lambda each: (each["metadata"].get("namespace", ""), each["metadata"]["name"]))

    async def log(self, namespace: str, pod: str, *, container: str, lines: int, most_bytes: int) -> str:
        """See `port.Cluster.log`."""
        query = {"container": container, "tailLines": str(lines), "limitBytes": str(most_bytes)}
        content = await self._fetch("GET", path(POD, namespace, pod) + "/log", query)
        return content.decode(errors="replace")

    async def create(self, kind: Kind, manifest: Manifest) -> Manifest:
        """See `port.Cluster.create`."""
        url = path(kind, manifest["metadata"]["namespace"])
        return await self._request("POST", url, {"fieldManager": FIELD_MANAGER}, typed(kind, manifest))

    async def apply(self, kind: Kind, manifest: Manifest) -> Manifest:
        """See `port.Cluster.apply`."""
        return await self._apply(kind, manifest)

    async def apply_status(self, kind: Kind, manifest: Manifest) -> Manifest:
        """See `port.Cluster.apply_status`."""
        return await self._apply(kind, manifest, "/status")

    async def delete(self, kind: Kind, namespace: str, name: str, *, uid: str) -> None:
        """See `port.Cluster.delete`."""
        options = {"propagationPolicy": "Background", "preconditions": {"uid": uid}}
        try:
            await self._request("DELETE", path(kind, namespace, name), body=options)
        except NotFound:
            return

    async def emit(self, regarding: Manifest, event: Event, *, again: bool = False) -> bool:
        """See `port.Cluster.emit`."""
        return await self._recorder.record(regarding, event, again=again)

    async def _apply(self, kind: Kind, manifest: Manifest, subresource: str = "") -> Manifest:
        metadata = manifest["metadata"]
        url = path(kind, metadata["namespace"], metadata["name"]) + subresource
        query = {"fieldManager": FIELD_MANAGER, "force": "true"}
        return await self._request("PATCH", url, query, typed(kind, manifest), content_type=_APPLY)

    async def _request(
        self,
        method: str,
        url: str,
        query: Mapping[str, str] | None = None,
        body: Manifest | None = None,
        *,
        content_type: str = "application/json",
    ) -> Manifest:
        return _parse(await self._fetch(method, url, query, body, content_type=content_type))

    async def _fetch(
        self,
        method: str,
        url: str,
        query: Mapping[str, str] | None = None,
        body: Manifest | None = None,
        *,
        content_type: str = "application/json",
    ) -> bytes:
        answer = await self._exchange(method, url, query, body, content_type)
        if answer.code == 401:
            # Projected tokens rotate and kubeconfig plugins hand out new ones: log in once more.
            await self._connect()
            answer = await self._exchange(method, url, query, body, content_type)
        if answer.code >= 300:
            raise error_of(answer.code, answer.status(), f"{method} {url}")
        return answer.content

    async def _exchange(
        self, method: str, url: str, query: Mapping[str, str] | None, body: Manifest | None, content_type: str
    ) -> _Answer:
        client = self._client
        if client is None:
            raise Unavailable("not connected")
        started = time.monotonic()
        code = 0
        try:
            async with asyncio.timeout(self._timeout):
                request = await client.param_serialize(
                    method,
                    url,
                    query_params=list((query or {}).items()),
                    # As kubectl asks: a log is text, all else is JSON.
                    header_params={"Accept": "application/json, */*", "Content-Type": content_type},
                    body=body,
                    auth_settings=["BearerToken"],
                )
                response = await client.call_api(*request, _request_timeout=self._timeout)
                content = await response.read()
                code = response.status
        except TimeoutError as error:
            raise Unavailable(f"{method} {url}: no answer within {self._timeout:g} s") from error
        except aiohttp.ClientError as error:
            raise Unavailable(f"{method} {url}: {error}") from error
        finally:
            self._observe(method, code, time.monotonic() - started)
        return _Answer(code, content, response.getheader("Retry-After"))

    async def _connect(self) -> None:
        before = self._client
        async with self._login:
            if self._client is not before:
                return
            client = ApiClient(await load_configuration())
            client.user_agent = f"{FIELD_MANAGER}-operator"
            self._client = client
        if before is not None:
            await before.close()


def path(kind: Kind, namespace: str | None = None, name: str | None = None) -> str:
    """Return the path of a collection or of one object in it."""
    parts = [f"/apis/{kind.api_version}" if kind.group else f"/api/{kind.version}"]
    if namespace is not None:
        parts += ["namespaces", namespace]
    return "/".join([*parts, kind.plural, *([name] if name else [])])


def typed(kind: Kind, manifest: Manifest) -> Manifest:
    """Return the manifest with its apiVersion and kind, which the API server insists on."""
    return {"apiVersion": kind.api_version, "kind": kind.name} | manifest


def error_of(code: int, status: Mapping[str, Any], what: str) -> ApiError:
    """Return the error for an answer that is a `metav1.Status` with this HTTP code."""
    reason = str(status.get("reason") or "")
    message = str(status.get("message") or f"{what}: HTTP {code}")
    pause = (status.get("details") or {}).get("retryAfterSeconds")
    kind = AlreadyExists if reason == "AlreadyExists" else _BY_CODE.get(code, ApiError)
    if code == 429 or code >= 500:
        kind = Unavailable
    return kind(message, code=code, reason=reason, retry_after=float(pause) if pause else None)


def _parse(content: bytes) -> Manifest:
    try:
        answer = json.loads(content)
    except ValueError:
        answer = None
    return answer if isinstance(answer, dict) else {"message": content[:200].decode(errors="replace").strip()}
