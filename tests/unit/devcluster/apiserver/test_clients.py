"""The official clients and kopf against the server, unmodified."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import kopf
import pytest
from kubernetes import aio, client, config, watch
from kubernetes.client.exceptions import ApiException
from kubernetes.dynamic import DynamicClient

from support.api_process import api_server
from support.objects import (
    OPEN,
    a_config_map,
    a_definition,
    a_deployment,
    a_job,
    a_pod,
    a_service,
    a_widget,
)


@pytest.fixture(scope="module")
def kubeconfig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with api_server(tmp_path_factory.mktemp("server")) as file:
        yield file


@pytest.fixture(scope="module")
def api_client(kubeconfig: Path) -> Iterator[client.ApiClient]:
    with config.new_client_from_config(str(kubeconfig)) as connected:
        account = {"metadata": {"name": "default"}}
        client.CoreV1Api(connected).create_namespaced_service_account("default", account)
        yield connected


@pytest.fixture(scope="module")
def widgets(api_client: client.ApiClient) -> None:
    client.ApiextensionsV1Api(api_client).create_custom_resource_definition(a_definition(OPEN))


def test_typed_objects_go_in_and_out(api_client: client.ApiClient) -> None:
    core, apps, batch = client.CoreV1Api(api_client), client.AppsV1Api(api_client), client.BatchV1Api(api_client)
    pod = core.create_namespaced_pod("default", a_pod("typed"))
    assert (pod.spec.restart_policy, pod.status.phase) == ("Always", "Pending")
    core.delete_namespaced_pod("typed", "default", grace_period_seconds=0)
    deployment = apps.create_namespaced_deployment("default", a_deployment("typed"))
    deployment.spec.replicas = 3
    assert apps.replace_namespaced_deployment("typed", "default", deployment).metadata.generation == 2
    assert apps.read_namespaced_deployment_scale("typed", "default").spec.replicas == 3
    job = batch.create_namespaced_job("default", a_job("typed"))
    assert job.spec.selector.match_labels["batch.kubernetes.io/controller-uid"] == job.metadata.uid
    batch.delete_namespaced_job("typed", "default", propagation_policy="Background")
    service = core.create_namespaced_service("default", a_service("typed"))
    assert service.spec.cluster_ip.startswith("127.32.")


def test_errors_are_told_apart(api_client: client.ApiClient) -> None:
    with pytest.raises(ApiException) as refused:
        client.CoreV1Api(api_client).read_namespaced_pod("none", "default")
    assert (refused.value.status, refused.value.reason) == (404, "Not Found")


def test_a_typed_watch_follows_changes(api_client: client.ApiClient) -> None:
    core = client.CoreV1Api(api_client)
    version = core.list_namespaced_config_map("default").metadata.resource_version
    core.create_namespaced_config_map("default", a_config_map("watched"))
    core.patch_namespaced_config_map("watched", "default", {"data": {"a": "b"}})
    core.delete_namespaced_config_map("watched", "default")
    events = watch.Watch().stream(
        core.list_namespaced_config_map, "default", resource_version=version, timeout_seconds=1
    )
    seen = [(event["type"], event["object"].metadata.name) for event in events]
    assert seen == [("ADDED", "watched"), ("MODIFIED", "watched"), ("DELETED", "watched")]


@pytest.mark.usefixtures("widgets")
def test_the_dynamic_client_finds_and_applies(api_client: client.ApiClient) -> None:
    dynamic = DynamicClient(api_client)
    resource = dynamic.resources.get(api_version="example.dev/v1", kind="Widget")
    applied = resource.server_side_apply(body=a_widget("dynamic", size=1), namespace="default", field_manager="tests")
    assert applied.spec.size == 1
    assert [each.metadata.name for each in resource.get(namespace="default", label_selector="").items] == ["dynamic"]
    status = resource.status.patch(
        body={"status": {"phase": "Fine"}},
        name="dynamic",
        namespace="default",
        content_type="application/merge-patch+json",
    )
    assert status.status.phase == "Fine"


async def test_the_asynchronous_client_applies_and_watches(kubeconfig: Path) -> None:
    settings = aio.client.Configuration()
    await aio.config.load_kube_config(str(kubeconfig), client_configuration=settings)
    async with aio.client.ApiClient(settings) as connected:
        core = aio.client.CoreV1Api(connected)
        applied = await core.patch_namespaced_config_map(
            "asynchronous", "default", a_config_map("asynchronous", a="1"), field_manager="tests",
            _content_type="application/apply-patch+yaml",
        )  # fmt: skip
        assert applied.data == {"a": "1"}
        async with aio.watch.Watch() as events:
            async for event in events.stream(core.list_config_map_for_all_namespaces, timeout_seconds=5):
                if event["object"].metadata.name == "asynchronous":
                    break


@contextlib.asynccontextmanager
async def an_operator(registry: kopf.OperatorRegistry) -> AsyncIterator[None]:
    """Run kopf as our operator does: cluster-wide, without peering or a progress store."""
    settings = kopf.OperatorSettings()
    settings.posting.enabled = False
    ready, stop = asyncio.Event(), asyncio.Event()
    running = asyncio.create_task(
        kopf.operator(
            registry=registry, settings=settings, clusterwide=True, standalone=True, ready_flag=ready, stop_flag=stop
        )
    )
    try:
        async with asyncio.timeout(20):
            await ready.wait()
        yield
    finally:
        stop.set()
        await running


@pytest.mark.usefixtures("widgets")
async def test_kopf_hears_of_custom_and_built_in_resources(
    kubeconfig: Path, api_client: client.ApiClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBECONFIG", str(kubeconfig))
    registry, heard = kopf.OperatorRegistry(), asyncio.Queue[tuple[str, str | None, str]]()

    @kopf.on.login(registry=registry)
    def log_in(**arguments: Any) -> kopf.ConnectionInfo | None:
        return kopf.login_with_kubeconfig(**arguments)

    @kopf.on.event("example.dev", "v1", "widgets", registry=registry)
    @kopf.on.event("batch", "v1", "jobs", registry=registry)
    async def note(type: str | None, name: str, resource: kopf.Resource, **_: Any) -> None:
        if name == "heard":
            heard.put_nowait((resource.plural, type, name))

    objects, batch = client.CustomObjectsApi(api_client), client.BatchV1Api(api_client)
    async with an_operator(registry), asyncio.timeout(20):
        await asyncio.to_thread(
            objects.create_namespaced_custom_object, "example.dev", "v1", "default", "widgets", a_widget("heard")
        )
        assert (await heard.get())[0] == "widgets"
        await asyncio.to_thread(batch.create_namespaced_job, "default", a_job("heard"))
        # None where the job was there before kopf's watch of jobs began.
        assert (await heard.get())[:2] in [("jobs", "ADDED"), ("jobs", None)]
        await asyncio.to_thread(batch.delete_namespaced_job, "heard", "default", propagation_policy="Background")
        assert (await heard.get())[:2] == ("jobs", "DELETED")
