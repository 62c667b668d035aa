"""A node is drained under a ModelService: one replica after the other, and no request fails."""

import time

import pytest
from kubernetes import client
from kubernetes.client.exceptions import ApiException

from support.kube_api import Api, Object
from support.manifests import a_claim
from support.operator_process import OperatorProcess
from support.published import STORE, Client, publish

pytestmark = pytest.mark.usefixtures("cluster_crds", "trainyard_images", "pods_in_reach")

SECONDS = 120
SERVICE = {"apiVersion": "trainyard.dev/v1alpha1", "kind": "ModelService", "metadata": {"name": "line"}}
BUDGET = {"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": {"name": "line"}}
TOO_MANY_REQUESTS = 429


def test_a_drain_takes_one_replica_after_the_other_without_a_failed_request(
    api: Api, api_client: client.ApiClient, operator: OperatorProcess, default_class: str
) -> None:
    api.apply(a_claim(STORE))
    publish(api, 1)
    api.apply(SERVICE | {"spec": {"model": {"uri": f"pvc://{STORE}/line/1"}, "replicas": 2}})
    api.wait_for(SERVICE, _is_ready, timeout=SECONDS)
    api.wait_for(BUDGET, _allows_one, timeout=SECONDS)
    users = [Client(api, "line", protocol) for protocol in ("rest", "grpc")]
    for user in users:
        user.wait_for(1.0)

    first, second = sorted(pod["metadata"]["name"] for pod in api.list("v1", "Pod", label_selector=_SERVERS))
    assert _evict(api, api_client, first)
    refused = not _evict(api, api_client, second)
    _evict_in_the_end(api, api_client, second)
    api.wait_for(SERVICE, _is_ready, timeout=SECONDS)
    api.wait_for(SERVICE, lambda _: not {first, second} & _names(api), timeout=SECONDS, description="both have gone")

    assert refused, "both replicas could be taken away at once"
    for user in users:
        count, errors = user.stop()
        assert errors == []
        assert count > 50


_SERVERS = "trainyard.dev/model-service=line"


def _names(api: Api) -> set[str]:
    return {pod["metadata"]["name"] for pod in api.list("v1", "Pod", label_selector=_SERVERS)}


def _is_ready(service: Object) -> bool:
    status = service.get("status", {})
    return bool(status.get("phase") == "Ready" and status["ready"] == "2/2")


def _allows_one(budget: Object) -> bool:
    return bool(budget.get("status", {}).get("disruptionsAllowed") == 1)


def _evict(api: Api, api_client: client.ApiClient, pod: str) -> bool:
    """Ask for the eviction of a pod, as `kubectl drain` does; return whether the budget lets it go."""
    body = client.V1Eviction(metadata=client.V1ObjectMeta(name=pod, namespace=api.namespace))
    try:
        client.CoreV1Api(api_client).create_namespaced_pod_eviction(pod, api.namespace, body)
    except ApiException as error:
        if error.status != TOO_MANY_REQUESTS:
            raise
        return False
    return True


def _evict_in_the_end(api: Api, api_client: client.ApiClient, pod: str) -> None:
    deadline = time.monotonic() + SECONDS
    while not _evict(api, api_client, pod):
        assert time.monotonic() < deadline, f"pod {pod} may never be evicted"
        time.sleep(1)
