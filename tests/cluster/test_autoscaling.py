"""Replicas that follow the load, on a cluster: a ModelService, its autoscaler, and clients that never ask twice."""

import pytest
from kubernetes import client

from support.kube_api import Api, Object
from support.manifests import a_claim
from support.operator_process import OperatorProcess
from support.published import STORE, Client, publish

pytestmark = pytest.mark.usefixtures("cluster_crds", "trainyard_images", "pods_in_reach")

SECONDS = 120
CUSTOM_METRICS = "custom.metrics.k8s.io"
SERVICE = {"apiVersion": "trainyard.dev/v1alpha1", "kind": "ModelService", "metadata": {"name": "line"}}
AUTOSCALER = {"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "metadata": {"name": "line"}}


@pytest.fixture(autouse=True)
def store(api: Api, api_client: client.ApiClient, default_class: str) -> None:
    groups = client.ApisApi(api_client).get_api_versions().groups
    if CUSTOM_METRICS not in [group.name for group in groups]:
        pytest.skip(f"nobody serves {CUSTOM_METRICS} on this cluster: install an adapter (docs/how-to/autoscaling.md)")
    api.apply(a_claim(STORE))


def a_service(version: int, *, requests_per_second: int) -> Object:
    scaling = {
        "max": 2,
        "metrics": [{"requestsPerSecond": requests_per_second}],
        "behavior": {"scaleDown": {"stabilizationWindowSeconds": 0}},
    }
    return SERVICE | {"spec": {"model": {"uri": f"pvc://{STORE}/line/{version}"}, "scaling": scaling}}


def serves(version: int, replicas: int, service: Object) -> bool:
    status = service.get("status", {})
    return (
        status.get("phase") == "Ready"
        and status["current"]["modelVersion"] == version
        and status["ready"] == f"{replicas}/{replicas}"
        and service["spec"]["replicas"] == replicas
        and status["observedGeneration"] == service["metadata"]["generation"]
    )


def test_replicas_follow_the_load_through_a_version_change_without_a_failed_request(
    api: Api, operator: OperatorProcess
) -> None:
    publish(api, 1, 2)
    api.apply(a_service(1, requests_per_second=100_000))
    api.wait_for(SERVICE, lambda service: serves(1, 1, service), timeout=SECONDS, description="version 1 serves")
    autoscaler = api.wait_for(AUTOSCALER, bool, description="there is an autoscaler")
    users = [Client(api, "line", protocol) for protocol in ("rest", "grpc")]
    for user in users:
        user.wait_for(1.0)

    # The autoscaler acts while the new version comes up.
    api.apply(a_service(2, requests_per_second=1))
    api.wait_for(SERVICE, lambda service: serves(2, 2, service), timeout=SECONDS, description="version 2 serves on two")
    for user in users:
        user.wait_for(2.0)

    api.apply(a_service(2, requests_per_second=100_000))
    api.wait_for(SERVICE, lambda service: serves(2, 1, service), timeout=SECONDS, description="one replica is enough")
    # What serves last goes through its whole end under load.
    api.wait_for(SERVICE, lambda _: len(_servers(api)) == 1, timeout=SECONDS, description="the second has gone")

    for user in users:
        count, errors = user.stop()
        assert errors == []
        assert count > 50
    found = api.get(AUTOSCALER)
    assert found is not None
    assert found["metadata"]["uid"] == autoscaler["metadata"]["uid"]
    api.wait_for_event("line", "SuccessfulRescale", containing="New size: 2")


def test_handing_over_to_an_autoscaler_and_back_stops_no_pod(api: Api, operator: OperatorProcess) -> None:
    publish(api, 1)
    fixed = SERVICE | {"spec": {"model": {"uri": f"pvc://{STORE}/line/1"}, "replicas": 2}}
    api.apply(fixed)
    api.wait_for(SERVICE, lambda service: serves(1, 2, service), timeout=SECONDS, description="two serve")
    before = _servers(api)

    # `replicas` is left out, so that the API server fills in 1.
    api.apply(a_service(1, requests_per_second=100_000) | {"spec": _resting()})
    api.wait_for(AUTOSCALER, bool, timeout=SECONDS, description="there is an autoscaler")
    api.wait_for(SERVICE, lambda service: serves(1, 2, service), timeout=SECONDS, description="two still serve")
    api.apply(SERVICE | {"spec": {"model": {"uri": f"pvc://{STORE}/line/1"}}})
    api.wait_until_gone(AUTOSCALER)
    api.wait_for(SERVICE, lambda service: serves(1, 2, service), timeout=SECONDS, description="and so it stays")

    assert _servers(api) == before


def _resting() -> Object:
    """An autoscaler that takes nothing away by itself."""
    spec = a_service(1, requests_per_second=100_000)["spec"]
    return spec | {"scaling": spec["scaling"] | {"behavior": {"scaleDown": {"selectPolicy": "Disabled"}}}}


def _servers(api: Api) -> set[str]:
    pods = api.list("v1", "Pod", label_selector="trainyard.dev/model-service=line")
    return {pod["metadata"]["uid"] for pod in pods}
