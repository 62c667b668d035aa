"""A HorizontalPodAutoscaler on a plain Deployment, by processor time: no part of it is Trainyard's."""

import pytest
from kubernetes import client

from support.kube_api import Api, Object
from support.manifests import a_shell

DEPLOYMENT = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "busy"}}
AUTOSCALER = {"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "metadata": {"name": "busy"}}
SECONDS = 120


@pytest.fixture(autouse=True)
def metrics(api_client: client.ApiClient) -> None:
    groups = [group.name for group in client.ApisApi(api_client).get_api_versions().groups]
    if "metrics.k8s.io" not in groups:
        pytest.skip("this cluster has no metrics-server")


def a_deployment(**resources: Object) -> Object:
    pod = {
        "metadata": {"labels": {"app": "busy"}},
        "spec": {
            "containers": [a_shell("while :; do :; done", resources=resources)],
            "terminationGracePeriodSeconds": 1,
        },
    }
    return DEPLOYMENT | {"spec": {"replicas": 1, "selector": {"matchLabels": {"app": "busy"}}, "template": pod}}


def an_autoscaler(percent: int) -> Object:
    target = {"type": "Utilization", "averageUtilization": percent}
    return AUTOSCALER | {
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "busy"},
            "maxReplicas": 2,
            "metrics": [{"type": "Resource", "resource": {"name": "cpu", "target": target}}],
            "behavior": {"scaleDown": {"stabilizationWindowSeconds": 0}},
        }
    }


def condition(autoscaler: Object, kind: str) -> Object:
    found = autoscaler.get("status", {}).get("conditions") or ()
    return next((each for each in found if each["type"] == kind), {})


def test_pods_that_are_busy_get_company_up_to_the_most(api: Api) -> None:
    api.create(a_deployment(requests={"cpu": "10m"}))
    api.create(an_autoscaler(50))

    scaled = api.wait_for(AUTOSCALER, lambda found: condition(found, "ScalingLimited").get("status") == "True",
                          timeout=SECONDS)  # fmt: skip

    assert condition(scaled, "ScalingActive")["reason"] == "ValidMetricFound"
    assert condition(scaled, "ScalingLimited")["reason"] == "TooManyReplicas"
    (metric,) = scaled["status"]["currentMetrics"]
    assert metric["resource"]["current"]["averageUtilization"] > 50
    api.wait_for(DEPLOYMENT, lambda found: found["spec"]["replicas"] == 2, timeout=SECONDS)
    api.wait_for_event("busy", "SuccessfulRescale", containing="New size: 2; reason: cpu resource utilization")


def test_what_is_lacking_is_told(api: Api) -> None:
    api.create(a_deployment())
    api.create(an_autoscaler(50))

    stuck = api.wait_for(AUTOSCALER, lambda found: condition(found, "ScalingActive").get("status") == "False",
                         timeout=SECONDS)  # fmt: skip

    assert condition(stuck, "ScalingActive")["reason"] == "FailedGetResourceMetric"
    api.wait_for_event("busy", "FailedGetResourceMetric", timeout=SECONDS, containing="missing request for cpu")
