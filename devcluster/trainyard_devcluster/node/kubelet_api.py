"""The part of the kubelet's HTTPS API that the API server calls: container logs, and what containers use."""

import asyncio
import logging
import ssl
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from datetime import timedelta
from typing import Protocol, TypeAlias

import trustme
from aiohttp import web

from trainyard_devcluster.client import ApiError, Client, UnavailableError
from trainyard_devcluster.events import parse_timestamp, utc_now
from trainyard_devcluster.node import logs
from trainyard_devcluster.node.logs import LogFile, LogOptions
from trainyard_devcluster.resources import CONFIG_MAPS, Object

log = logging.getLogger(__name__)

RETRY_SECONDS = 1.0
AUTHENTICATION = ("kube-system", "extension-apiserver-authentication")
"""The ConfigMap in which every API server publishes the authority of its client certificates."""

Allowed: TypeAlias = Callable[[web.Request], Awaitable[bool]]


class LogSource(Protocol):
    """Finds logs by namespace, pod and container.

    KeyError where there is no such container, ValueError where it has no log; both say so.
    """

    def log_file(self, namespace: str, pod: str, container: str, *, previous: bool) -> LogFile:
        """The log of the container's current run, or of the one before."""


def options(query: Mapping[str, str]) -> LogOptions:
    """What the query parameters ask for. ValueError where one is not what it should be."""
    since = parse_timestamp(query["sinceTime"]) if query.get("sinceTime") else None
    if query.get("sinceSeconds"):
        since = utc_now() - timedelta(seconds=int(query["sinceSeconds"]))
    return LogOptions(
        follow=query.get("follow") == "true",
        timestamps=query.get("timestamps") == "true",
        tail_lines=int(query["tailLines"]) if query.get("tailLines") else None,
        since=since,
        limit_bytes=int(query["limitBytes"]) if query.get("limitBytes") else None,
    )


class Authorizer:
    """Decides who may read logs: whoever has a client certificate of the cluster's authority and may
    `get nodes/proxy`, as the kubelet asks too."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._known: dict[tuple[str, tuple[str, ...]], bool] = {}

    async def __call__(self, request: web.Request) -> bool:
        """Whether this request may be answered."""
        certificate = request.transport and request.transport.get_extra_info("peercert")
        if not certificate:
            return False
        user, groups = _identity(certificate)
        if not self._known.get((user, groups)):
            self._known[user, groups] = await self._may_proxy(user, groups)
        return self._known[user, groups]

    async def _may_proxy(self, user: str, groups: tuple[str, ...]) -> bool:
        attributes = {"verb": "get", "resource": "nodes", "subresource": "proxy"}
        body = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SubjectAccessReview",
            "spec": {"user": user, "groups": list(groups), "resourceAttributes": attributes},
        }
        path = "/apis/authorization.k8s.io/v1/subjectaccessreviews"
        try:
            answer = await self._client.request("POST", path, body=body)
        except ApiError as error:
            log.warning("cannot ask whether %s may read logs: %s", user, error)
            return False
        return bool(answer["status"].get("allowed"))


def _identity(certificate: Mapping[str, object]) -> tuple[str, tuple[str, ...]]:
    subject = [pair for part in certificate.get("subject", ()) for pair in part]  # type: ignore[attr-defined]
    user = next((value for name, value in subject if name == "commonName"), "")
    return user, tuple(sorted(value for name, value in subject if name == "organizationName"))


async def client_authority(client: Client) -> str | None:
    """The authority of the API server's client certificates (PEM), where it publishes one that we may read.

    Tries until the API server answers.
    """
    namespace, name = AUTHENTICATION
    while True:
        try:
            published = await client.get(CONFIG_MAPS, name, namespace)
        except UnavailableError as error:
            log.warning("cannot read ConfigMap %s/%s: %s; trying again", namespace, name, error)
            await asyncio.sleep(RETRY_SECONDS)
        except ApiError as error:
            _warn_of_missing_authority(str(error))
            return None
        else:
            authority: str | None = (published.get("data") or {}).get("client-ca-file")
            if not authority:
                _warn_of_missing_authority("it has no client-ca-file")
            return authority


def _warn_of_missing_authority(reason: str) -> None:
    log.warning(
        "ConfigMap %s/%s does not tell which client certificates to trust: %s. Nobody can read logs from this node; "
        "let the node agent's user read the ConfigMap and start the agent again.",
        *AUTHENTICATION,
        reason,
    )


def tls_context(address: str, name: str, authority: str | None) -> ssl.SSLContext:
    """A certificate of our own for the node, which the API server does not check unless it is told to."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    trustme.CA(organization_name="trainyard devcluster node").issue_cert(address, name).configure_cert(context)
    if authority:
        context.load_verify_locations(cadata=authority)
        context.verify_mode = ssl.CERT_OPTIONAL
    return context


def application(source: LogSource, allowed: Allowed, *, usage: Callable[[], Object] = dict) -> web.Application:
    """The API. `usage` answers `/stats/summary`."""

    async def healthz(_: web.Request) -> web.Response:
        return web.Response(text="ok")

    async def container_logs(request: web.Request) -> web.StreamResponse:
        return await _serve_log(request, source)

    async def summary(_: web.Request) -> web.Response:
        return web.json_response(usage())

    @web.middleware
    async def authorize(
        request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        if request.path != "/healthz" and not await allowed(request):
            return web.Response(status=401, text="Unauthorized")
        return await handler(request)

    app = web.Application(middlewares=[authorize])
    app.router.add_get("/healthz", healthz)
    app.router.add_get("/stats/summary", summary)
    app.router.add_get("/containerLogs/{namespace}/{pod}/{container}", container_logs)
    return app


async def _serve_log(request: web.Request, source: LogSource) -> web.StreamResponse:
    match = request.match_info
    previous = request.query.get("previous") == "true"
    try:
        asked = options(request.query)
        found = source.log_file(match["namespace"], match["pod"], match["container"], previous=previous)
    except ValueError as error:
        return web.Response(status=400, text=str(error))
    except KeyError as error:
        return web.Response(status=404, text=str(error.args[0]))
    response = web.StreamResponse(headers={"Content-Type": "text/plain"})
    await response.prepare(request)
    with suppress(ConnectionResetError):
        async for piece in logs.read(found.path, asked, found.live):
            await response.write(piece)
        await response.write_eof()
    return response
