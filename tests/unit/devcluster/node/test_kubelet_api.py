"""Who may read a container's log over HTTPS, and what they get."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import aiohttp
import pytest
import trustme
from aiohttp import web

from support.kube_stub import KubeStub
from trainyard_devcluster.client import Client
from trainyard_devcluster.kubeconfig import Access
from trainyard_devcluster.node.kubelet_api import Authorizer, application, client_authority, options, tls_context
from trainyard_devcluster.node.logs import ContainerLog, LogFile, LogOptions

HOST = "127.0.0.1"


class Logs:
    """One container's log."""

    def __init__(self, log: ContainerLog) -> None:
        self._log = log

    def log_file(self, namespace: str, pod: str, container: str, *, previous: bool) -> LogFile:
        if (namespace, pod, container, previous) != ("ns", "p", "c", False):
            raise KeyError(f'pod "{namespace}/{pod}" is not on this node')
        return LogFile(self._log.path, self._log)


async def serve(app: web.Application, tls: ssl.SSLContext | None = None) -> tuple[web.AppRunner, int]:
    runner = web.AppRunner(app, shutdown_timeout=0)
    await runner.setup()
    await web.TCPSite(runner, HOST, 0, ssl_context=tls).start()
    return runner, runner.addresses[0][1]


@pytest.fixture
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
async def api_server(authority: trustme.CA) -> AsyncIterator[Client]:
    """An API server that publishes its client authority and lets only `apiserver` of `system:masters` read logs."""

    async def review(request: web.Request) -> web.Response:
        spec = (await request.json())["spec"]
        assert spec["resourceAttributes"] == {"verb": "get", "resource": "nodes", "subresource": "proxy"}
        allowed = (spec["user"], spec["groups"]) == ("apiserver", ["system:masters"])
        return web.json_response({"status": {"allowed": allowed}})

    async def config_map(_: web.Request) -> web.Response:
        return web.json_response({"data": {"client-ca-file": authority.cert_pem.bytes().decode()}})

    app = web.Application()
    app.router.add_post("/apis/authorization.k8s.io/v1/subjectaccessreviews", review)
    app.router.add_get("/api/v1/namespaces/kube-system/configmaps/extension-apiserver-authentication", config_map)
    runner, port = await serve(app)
    access = Access(
        server=f"http://{HOST}:{port}", token=None, tls=None, tls_server_name=None, namespace="default", authority=""
    )
    async with Client(access) as client:
        yield client
    await runner.cleanup()


@pytest.fixture
async def log(tmp_path: Path) -> AsyncIterator[ContainerLog]:
    log = ContainerLog(tmp_path / "0.log")
    log.stream("stdout").data_received(b"one\ntwo\n")  # type: ignore[attr-defined]
    yield log
    log.close()


@pytest.fixture
async def url(api_server: Client, log: ContainerLog) -> AsyncIterator[str]:
    tls = tls_context(HOST, "node", await client_authority(api_server))
    runner, port = await serve(application(Logs(log), Authorizer(api_server)), tls)
    yield f"https://{HOST}:{port}/containerLogs"
    await runner.cleanup()


async def get(url: str, tls: ssl.SSLContext | bool = False, **headers: str) -> tuple[int, str]:
    async with (
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=tls)) as session,
        session.get(url, headers=headers) as response,
    ):
        return response.status, await response.text()


@pytest.fixture
def masters(authority: trustme.CA) -> ssl.SSLContext:
    """The API server's client certificate."""
    return with_certificate(authority, "apiserver", "system:masters")


def with_certificate(authority: trustme.CA, user: str, group: str) -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    authority.issue_cert("client.example", common_name=user, organization_name=group).configure_cert(context)
    return context


async def test_the_api_server_reads_the_log_by_its_client_certificate(url: str, masters: ssl.SSLContext) -> None:
    assert await get(f"{url}/ns/p/c", masters) == (200, "one\ntwo\n")
    assert await get(f"{url}/ns/p/c?tailLines=1", masters) == (200, "two\n")


async def test_whoever_may_not_reach_nodes_does_not(url: str, authority: trustme.CA) -> None:
    somebody = with_certificate(authority, "somebody", "people")
    assert (await get(f"{url}/ns/p/c", somebody))[0] == 401


@pytest.mark.parametrize("authorization", ["", "Bearer", "Bearer guess"])
async def test_nobody_does_without_a_certificate(url: str, authorization: str) -> None:
    assert (await get(f"{url}/ns/p/c", Authorization=authorization))[0] == 401


async def test_a_certificate_of_another_authority_is_refused(url: str) -> None:
    with pytest.raises(aiohttp.ClientError):
        await get(f"{url}/ns/p/c", with_certificate(trustme.CA(), "apiserver", "system:masters"))


async def test_a_cluster_that_does_not_tell_whom_to_trust_is_named(caplog: pytest.LogCaptureFixture) -> None:
    async with KubeStub().serve() as client:
        assert await client_authority(client) is None
    assert "ConfigMap kube-system/extension-apiserver-authentication" in caplog.text
    assert "Nobody can read logs from this node" in caplog.text


@pytest.mark.parametrize(("path", "status"), [("/ns/other/c", 404), ("/ns/p/c?tailLines=many", 400)])
async def test_what_cannot_be_read_is_said_so(url: str, masters: ssl.SSLContext, path: str, status: int) -> None:
    assert (await get(url + path, masters))[0] == status


async def test_a_log_is_followed_to_the_end_of_the_container(
    url: str, masters: ssl.SSLContext, log: ContainerLog
) -> None:
    following = asyncio.create_task(get(f"{url}/ns/p/c?follow=true", masters))
    stream = log.stream("stderr")
    stream.data_received(b"three\n")  # type: ignore[attr-defined]
    await asyncio.sleep(0)
    log.close()
    assert await following == (200, "one\ntwo\nthree\n")


def test_the_query_of_kubectl_logs_is_understood() -> None:
    query = {"follow": "true", "timestamps": "true", "tailLines": "3", "limitBytes": "9"}
    query["sinceTime"] = "2026-11-24T00:00:00Z"
    since = datetime(2026, 11, 24, tzinfo=UTC)
    assert options(query) == LogOptions(True, True, 3, since, 9)
    assert options({}) == LogOptions()
    assert options({"sinceSeconds": "60"}).since is not None
