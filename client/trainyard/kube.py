"""The port to the API server, by the official Kubernetes client: its kubeconfigs, tokens, TLS and connections."""

import json
import os
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import kubernetes.client
import kubernetes.config
import urllib3
from kubernetes.client.exceptions import ApiException
from kubernetes.config.config_exception import ConfigException

from trainyard.cluster import Manifest, Reply, Resource
from trainyard.errors import ClusterError, Conflict, Forbidden, NotFound, Refused, TrainyardError, Unreachable, Usage

_CONNECT_SECONDS, _READ_SECONDS = 10.0, 60.0
_WATCH_SECONDS = 240.0
_AGAIN_SECONDS = 1.0
_NAMESPACE_FILE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")
_JSON = "application/json"
_MERGE, _STRATEGIC = "application/merge-patch+json", "application/strategic-merge-patch+json"


def connect(kubeconfig: str | Path | None = None, context: str | None = None) -> "KubernetesCluster":
    """Return the cluster of a kubeconfig ($KUBECONFIG, ~/.kube/config), or the one this process runs in.

    Raises:
        Usage: there is neither, or no such context.
    """
    if kubeconfig and not Path(kubeconfig).exists():
        raise Usage(
            f"the kubeconfig {kubeconfig} does not exist: give the path of one with --kubeconfig or $KUBECONFIG"
        )
    # The official client reads the variable when it is imported, which may be long ago.
    file = str(kubeconfig) if kubeconfig else os.environ.get("KUBECONFIG") or None
    try:
        try:
            _, active = kubernetes.config.list_kube_config_contexts(file)
            chosen = _context(file, context) if context else active
            api_client = kubernetes.config.new_client_from_config(file, context, persist_config=False)
            return KubernetesCluster(api_client, chosen["context"].get("namespace") or "default")
        except ConfigException as error:
            if file or context or not _NAMESPACE_FILE.exists():
                raise Usage(_no_cluster(file, error)) from error
        configuration = kubernetes.client.Configuration()
        kubernetes.config.load_incluster_config(configuration)
        return KubernetesCluster(kubernetes.client.ApiClient(configuration), _NAMESPACE_FILE.read_text().strip())
    except (ConfigException, OSError, ValueError) as error:
        raise Usage(_no_cluster(file, error)) from error


def _context(file: str | None, name: str) -> Any:
    contexts, _ = kubernetes.config.list_kube_config_contexts(file)
    found = [entry for entry in contexts if entry["name"] == name]
    if not found:
        names = ", ".join(entry["name"] for entry in contexts)
        raise Usage(f"the kubeconfig has no context {name!r}: it has {names}")
    return found[0]


def _no_cluster(file: str | None, error: Exception) -> str:
    where = file or os.environ.get("KUBECONFIG") or "~/.kube/config"
    why = " ".join(str(error).split())
    return f"no cluster to talk to: {where}: {why}; set KUBECONFIG, or add --local to work without a cluster"


class KubernetesCluster:
    """Speaks to one API server. One object can be used by several threads."""

    def __init__(self, api_client: kubernetes.client.ApiClient, namespace: str) -> None:
        self._api = api_client
        self.namespace = namespace

    @property
    def server(self) -> str:
        """The address of the API server."""
        return str(self._api.configuration.host)

    def get(self, resource: Resource, namespace: str | None, name: str) -> Manifest:
        """Return the object."""
        return self._json("GET", resource.path(namespace, name))

    def select(
        self, resource: Resource, namespace: str | None, *, labels: str | None = None, fields: str | None = None
    ) -> list[Manifest]:
        """Return the objects of a namespace, or of all."""
        query = {"labelSelector": labels, "fieldSelector": fields, "limit": "500"}
        items: list[Manifest] = []
        while True:
            page = self._json("GET", resource.path(namespace), query=query)
            items += page.get("items") or ()
            query["continue"] = page.get("metadata", {}).get("continue")
            if not query["continue"]:
                return items

    def watch(self, resource: Resource, namespace: str, name: str, *, seconds: float) -> Iterator[Manifest | None]:
        """Yield the object as it is and on every change; a watch that breaks begins again with a list."""
        deadline = time.monotonic() + seconds
        fields = f"metadata.name={name}"
        while (left := deadline - time.monotonic()) > 0:
            page = self._json("GET", resource.path(namespace), query={"fieldSelector": fields})
            yield next(iter(page.get("items") or ()), None)
            query = {"fieldSelector": fields, "watch": "true", "resourceVersion": page["metadata"]["resourceVersion"]}
            limit = max(1, int(min(left, _WATCH_SECONDS)))
            yield from self._changes(resource.path(namespace), query | {"timeoutSeconds": str(limit)}, limit)

    def _changes(self, path: str, query: Mapping[str, str], seconds: float) -> Iterator[Manifest | None]:
        began = time.monotonic()
        try:
            for line in self._lines("GET", path, query, seconds=seconds + _CONNECT_SECONDS):
                event = json.loads(line)
                if event["type"] == "ERROR":  # 410 Gone: list again
                    break
                if event["type"] != "BOOKMARK":
                    yield None if event["type"] == "DELETED" else event["object"]
        except Unreachable:
            pass  # the list that follows says whether the API server is there
        if time.monotonic() - began < _AGAIN_SECONDS:
            time.sleep(_AGAIN_SECONDS)

    def create(self, resource: Resource, namespace: str | None, manifest: Manifest) -> Manifest:
        """Create the object."""
        return self._json("POST", resource.path(namespace), body=manifest, query={"fieldValidation": "Strict"})

    def patch(
        self, resource: Resource, namespace: str, name: str, change: Manifest, *, strategic: bool = False
    ) -> Manifest:
        """Merge a change into an object."""
        path, kind = resource.path(namespace, name), _STRATEGIC if strategic else _MERGE
        return self._json("PATCH", path, body=change, content_type=kind, query={"fieldValidation": "Strict"})

    def delete(self, resource: Resource, namespace: str, name: str) -> None:
        """Delete the object, and in the background what it owns."""
        try:
            self._json("DELETE", resource.path(namespace, name), body={"propagationPolicy": "Background"})
        except NotFound:
            return

    def log(
        self,
        namespace: str,
        pod: str,
        *,
        container: str | None = None,
        follow: bool = False,
        lines: int | None = None,
        previous: bool = False,
    ) -> Iterator[str]:
        """Yield the lines of a container's log."""
        query = {
            "container": container,
            "follow": "true" if follow else None,
            "tailLines": None if lines is None else str(lines),
            "previous": "true" if previous else None,
        }
        path = f"/api/v1/namespaces/{namespace}/pods/{pod}/log"
        # A training may be silent for long; TCP's own keepalive notices a connection that is dead.
        for line in self._lines("GET", path, query, seconds=None if follow else _READ_SECONDS):
            yield line.decode(errors="replace")

    def proxy(
        self,
        namespace: str,
        service: str,
        path: str,
        *,
        method: str = "GET",
        body: bytes | None = None,
        query: Mapping[str, str] | None = None,
        seconds: float = _READ_SECONDS,
    ) -> Reply:
        """Send a request to a Service through the API server."""
        url = f"/api/v1/namespaces/{namespace}/services/http:{service}/proxy/{path.lstrip('/')}"
        headers = {"Content-Type": "application/octet-stream" if method == "PUT" else _JSON} if body is not None else {}
        answer = self._send(method, url, body=body, query=query, headers=headers, seconds=seconds)
        content = _read(answer)
        status = _kubernetes_status(content)
        if status is not None and answer.status >= 400:
            raise _error(answer.status, status)
        return Reply(answer.status, content)

    def raw(self, path: str) -> Manifest:
        """Return what a path answers."""
        return self._json("GET", path)

    def _json(
        self,
        method: str,
        path: str,
        *,
        body: Manifest | None = None,
        query: Mapping[str, str | None] | None = None,
        content_type: str = _JSON,
    ) -> Manifest:
        sent = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": content_type} if sent is not None else {}
        answer = self._send(method, path, body=sent, query=query, headers=headers, seconds=_READ_SECONDS)
        content = _read(answer)
        if answer.status >= 400:
            raise _error(answer.status, _kubernetes_status(content) or {"message": content.decode(errors="replace")})
        found: Manifest = json.loads(content)
        return found

    def _lines(
        self, method: str, path: str, query: Mapping[str, str | None], *, seconds: float | None
    ) -> Iterator[bytes]:
        answer = self._send(method, path, query=query, headers={}, seconds=seconds)
        if answer.status >= 400:
            content = _read(answer)
            raise _error(answer.status, _kubernetes_status(content) or {"message": content.decode(errors="replace")})
        rest = b""
        try:
            for piece in answer.stream(1 << 16, decode_content=True):
                *lines, rest = (rest + piece).split(b"\n")
                yield from lines
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise Unreachable(_unreachable(self.server, error)) from error
        finally:
            answer.release_conn()
        if rest:
            yield rest

    def _send(
        self,
        method: str,
        path: str,
        *,
        headers: Mapping[str, str],
        seconds: float | None,
        body: bytes | None = None,
        query: Mapping[str, str | None] | None = None,
    ) -> urllib3.BaseHTTPResponse:
        given = [(name, value) for name, value in (query or {}).items() if value is not None]
        accept = {"Accept": "application/json, */*"}
        try:
            _, url, full, _, _ = self._api.param_serialize(
                method, path, query_params=given, header_params=accept | dict(headers), auth_settings=["BearerToken"]
            )
            answer: urllib3.BaseHTTPResponse = self._api.rest_client.pool_manager.request(
                method,
                url,
                body=body,
                headers=full,
                preload_content=False,
                retries=urllib3.Retry(connect=1, read=0, redirect=False, status=0),
                timeout=urllib3.Timeout(connect=_CONNECT_SECONDS, read=seconds),
            )
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise Unreachable(_unreachable(self.server, error)) from error
        except (ApiException, ConfigException) as error:
            raise Forbidden(f"the credentials of the kubeconfig cannot be used: {error}; log in again") from error
        return answer


def _read(answer: urllib3.BaseHTTPResponse) -> bytes:
    try:
        return bytes(answer.read(decode_content=True))
    except (urllib3.exceptions.HTTPError, OSError) as error:
        raise Unreachable(f"the answer broke off: {_why(error)}; try again") from error
    finally:
        answer.release_conn()


def _kubernetes_status(content: bytes) -> Manifest | None:
    """Return the API server's own error, where that is what came."""
    try:
        found = json.loads(content)
    except ValueError:
        return None
    return found if isinstance(found, dict) and found.get("kind") == "Status" else None


def _error(code: int, status: Manifest) -> TrainyardError:
    message = _message(status)
    if code in (401, 403):
        hint = "log in again" if code == 401 else "ask whoever runs the cluster for the role edit in this namespace"
        return Forbidden(f"{message}; {hint}")
    if code == 404:
        return NotFound(message)
    if code == 409:
        return Conflict(message)
    if code in (400, 422):
        return Refused(message)
    if code in (502, 503, 504):
        return Unreachable(message)
    return ClusterError(f"the API server answered {code}: {message}")


def _message(status: Manifest) -> str:
    """Return what is wrong: the causes one by one where there are any, without what the server says around them."""
    causes = (status.get("details") or {}).get("causes") or ()
    told = [
        f"{cause.get('field', '').strip()}: {cause['message']}".removeprefix(": ").removeprefix("<nil>: ")
        for cause in causes
        if cause.get("message")
    ]
    # A field that is wrong in its type has a cause of its own and one that says that the rules could not be looked at.
    told = [text for text in told if "some validation rules were not checked" not in text] or told
    return "; ".join(told) or " ".join(str(status.get("message", "")).split()) or "no reason was given"


def _unreachable(server: str, error: Exception) -> str:
    return (
        f"the API server {server} does not answer: {_why(error)}; is the cluster up, and is KUBECONFIG the right one?"
    )


def _why(error: BaseException) -> str:
    reason = getattr(error, "reason", None)
    inner = reason if isinstance(reason, BaseException) else error
    text = str(inner).rpartition(">: ")[2] if ">: " in str(inner) else str(inner)
    return " ".join(text.split()) or type(inner).__name__
