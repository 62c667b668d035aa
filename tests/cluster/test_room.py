"""Rollouts on a cluster whose GPUs are all in use."""

import pytest

from support.kube_api import Api
from support.line_service import SECONDS, a_service, because, condition, deployments, is_serving
from support.manifests import a_claim
from support.operator_process import OperatorProcess
from support.published import STORE, Client, publish

pytestmark = pytest.mark.usefixtures("cluster_crds", "trainyard_images", "pods_in_reach")


@pytest.fixture(autouse=True)
def store(api: Api, default_class: str) -> None:
    api.apply(a_claim(STORE))


def test_old_pods_make_room_one_at_a_time_and_no_request_fails(api: Api, operator: OperatorProcess, gpus: int) -> None:
    publish(api, 1, 2)
    more = {"replicas": 2, "server": {"gpus": gpus // 2}, "rollout": {"update": "Auto"}}
    if gpus < 2:
        pytest.skip("two replicas need two GPUs of one node")
    api.apply(a_service(1, **more))
    api.wait_for(a_service(), is_serving(1, 2), timeout=SECONDS)
    user = Client(api, "line", "rest")
    user.wait_for(1.0)

    service = a_service(2, **more)
    api.apply(service)

    made = "1 of 2 old pods have made room so far"
    api.wait_for(service, lambda found: made in condition(found, "Ready").get("message", ""), timeout=SECONDS)
    api.wait_for(service, is_serving(2, 2), timeout=2 * SECONDS)
    user.wait_for(2.0)
    count, errors = user.stop()
    assert errors == []
    assert count > 50


def test_a_single_replica_makes_room_where_that_is_allowed(api: Api, operator: OperatorProcess, gpus: int) -> None:
    publish(api, 1, 2)
    more = {"server": {"gpus": gpus}}
    api.apply(a_service(1, **more))
    api.wait_for(a_service(), is_serving(1), timeout=SECONDS)
    service = a_service(2, **more)
    api.apply(service)

    stuck = api.wait_for(service, because("InsufficientGPU"), timeout=SECONDS)
    assert "set spec.rollout.allowUnavailable to true" in condition(stuck, "Ready")["message"]
    assert stuck["status"]["current"]["modelVersion"] == 1
    assert len(deployments(api)) == 2

    service["spec"]["rollout"] = {"allowUnavailable": True}
    api.apply(service)
    api.wait_for(service, is_serving(2), timeout=SECONDS)
