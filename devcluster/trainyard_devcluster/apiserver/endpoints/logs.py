"""What nodes tell: logs of the pods that they run, and what those use."""

import asyncio
import ssl
from collections.abc import Mapping
from http import HTTPStatus
from urllib.parse import urlencode

import aiohttp
from aiohttp import web

from trainyard_devcluster.apiserver import errors
from trainyard_devcluster.apiserver.cluster import Cluster
from trainyard_devcluster.apiserver.values import Object, dig

_PASSED = (
    "follow", "previous", "sinceSeconds", "sinceTime", "timestamps", "tailLines", "limitBytes",
    "insecureSkipTLSVerifyBackend", "stream",
)  # fmt: skip
_SUMMARY_TIMEOUT = aiohttp.ClientTimeout(total=5)


class Logs:
    """Fetches logs from kubelet endpoints.

    Args:
        cluster: where the nodes are registered.
        tls: the client certificate that proves to a node that the API server asks.
    """

    def __init__(self, cluster: Cluster, tls: ssl.SSLContext) -> None:
        self._cluster = cluster
        self._tls = tls
        self._session: aiohttp.ClientSession | None = None

    async def stream(self, request: web.Request, pod: Object, query: Mapping[str, str]) -> web.StreamResponse:
        """Answer with a container's log.

        Raises:
            ApiError: 400, the container is not named, unknown or not started; 500, the node does not answer.
        """
        container = query.get("container") or _only_container(pod)
        _check_container(pod, container)
        url = (
            f"{self._endpoint(pod)}/containerLogs/{pod['metadata']['namespace']}/{pod['metadata']['name']}/{container}"
        )
        passed = urlencode({name: query[name] for name in _PASSED if name in query})
        try:
            async with self._client().get(f"{url}?{passed}") as upstream:
                return await _pass_on(request, upstream)
        except aiohttp.ClientConnectionError as error:
            raise errors.ApiError(500, "InternalError", f"Get {url!r}: {error}") from error

    async def summaries(self) -> list[tuple[Object, Object]]:
        """Return the nodes that say what they and their containers use, each with its answer."""
        nodes = list(self._cluster.store.objects("nodes"))
        answers = await asyncio.gather(*(self._summary(node["metadata"]["name"]) for node in nodes))
        return [(node, answer) for node, answer in zip(nodes, answers, strict=True) if answer]

    async def _summary(self, node: str) -> Object | None:
        try:
            url = f"{self._endpoint({'metadata': {'name': node}, 'spec': {'nodeName': node}})}/stats/summary"
            async with self._client().get(url, timeout=_SUMMARY_TIMEOUT) as answer:
                return dict(await answer.json()) if answer.status == HTTPStatus.OK else None
        except (aiohttp.ClientError, TimeoutError, errors.ApiError, ValueError):
            return None

    async def close(self) -> None:
        """Close the connections to nodes."""
        if self._session is not None:
            await self._session.close()

    def _client(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(ssl=self._tls, limit=0),
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=10),
            )
        return self._session

    def _endpoint(self, pod: Object) -> str:
        name = dig(pod, "spec", "nodeName")
        if not name:
            raise errors.bad_request(f"pod {pod['metadata']['name']} does not have a host assigned")
        node = self._cluster.store.get("nodes", ("", name))
        port = dig(node.obj, "status", "daemonEndpoints", "kubeletEndpoint", "Port") if node else None
        addresses = (dig(node.obj, "status", "addresses") or ()) if node else ()
        address = next((each["address"] for each in addresses if each["type"] == "InternalIP"), None)
        if not port or not address:
            raise errors.ApiError(500, "InternalError", f"no preferred addresses found for node {name}")
        return f"https://{address}:{port}"


def _only_container(pod: Object) -> str:
    names = [each["name"] for each in pod["spec"]["containers"]]
    chosen = (pod["metadata"].get("annotations") or {}).get("kubectl.kubernetes.io/default-container")
    if chosen in names:
        return str(chosen)
    if len(names) == 1:
        return str(names[0])
    initial = [each["name"] for each in pod["spec"].get("initContainers") or ()]
    more = f" or one of the init containers: [{' '.join(initial)}]" if initial else ""
    raise errors.bad_request(
        f"a container name must be specified for pod {pod['metadata']['name']}, "
        f"choose one of: [{' '.join(names)}]{more}"
    )


def _check_container(pod: Object, name: str) -> None:
    known = [each["name"] for field in ("containers", "initContainers") for each in pod["spec"].get(field) or ()]
    if name not in known:
        raise errors.bad_request(f"container {name} is not valid for pod {pod['metadata']['name']}")


async def _pass_on(request: web.Request, upstream: aiohttp.ClientResponse) -> web.StreamResponse:
    if upstream.status >= 400:
        message = (await upstream.text()).strip() or f"the node answered {upstream.status}"
        reason = {400: "BadRequest", 404: "NotFound"}.get(upstream.status, "InternalError")
        raise errors.ApiError(upstream.status, reason, message)
    response = web.StreamResponse(headers={"Content-Type": "text/plain"})
    await response.prepare(request)
    async for chunk in upstream.content.iter_any():
        await response.write(chunk)
    await response.write_eof()
    return response
