"""ModelServices on a cluster, by the real operator: its own process, serving the test's namespace only."""

import random
import time
from collections import defaultdict

import pytest
from kubernetes import client
from kubernetes.dynamic.exceptions import DynamicApiError

from support.kube_api import Api
from support.line_service import (
    SECONDS,
    a_service,
    a_training_that_made,
    because,
    condition,
    deployments,
    is_serving,
)
from support.manifests import a_claim
from support.operator_process import OperatorProcess
from support.published import STORE, Client, publish

pytestmark = pytest.mark.usefixtures("cluster_crds", "trainyard_images", "pods_in_reach")


@pytest.fixture(autouse=True)
def store(api: Api, default_class: str) -> None:
    api.apply(a_claim(STORE))


def test_a_model_is_served_scaled_stopped_and_removed(
    api: Api, api_client: client.ApiClient, operator: OperatorProcess
) -> None:
    publish(api, 1)
    service = a_service()
    api.apply(service)

    served = api.wait_for(service, is_serving(1), timeout=SECONDS)

    status = served["status"]
    assert status["url"] == f"http://line.{api.namespace}.svc:8501/v1/models/line"
    assert status["grpc"] == f"line.{api.namespace}.svc:8500"
    for protocol in ("rest", "grpc"):
        user = Client(api, "line", protocol)
        user.wait_for(1.0)
        user.stop()
    api.wait_for_event("line", "RolledOut")  # it goes out after the status it tells of
    reasons = [each["reason"] for each in api.events("line") if each["involvedObject"]["kind"] == "ModelService"]
    assert sorted(reasons) == ["RolledOut", "RolloutStarted"]
    assert not served["metadata"].get("finalizers")
    assert not served["metadata"].get("annotations")

    client.CustomObjectsApi(api_client).patch_namespaced_custom_object_scale(
        "trainyard.dev", "v1alpha1", api.namespace, "modelservices", "line", {"spec": {"replicas": 2}}
    )
    scaled = api.wait_for(service, is_serving(1, 2), timeout=SECONDS)
    assert scaled["status"]["replicas"] == 2
    pods = api.list("v1", "Pod", label_selector=scaled["status"]["selector"])
    assert len(pods) == 2
    stopped = a_service(replicas=0)
    api.apply(stopped)
    api.wait_for(stopped, lambda each: each["status"]["phase"] == "Stopped")
    (deployment,) = deployments(api)
    assert deployment["spec"]["replicas"] == 0

    api.delete(service)
    for child in (deployment, *api.list("v1", "Service")):
        api.wait_until_gone(child)


def test_a_new_version_takes_over_without_a_failed_request(api: Api, operator: OperatorProcess) -> None:
    publish(api, 1, 2)
    replicas = 2
    api.apply(a_service(1, replicas=replicas))
    api.wait_for(a_service(), is_serving(1, replicas), timeout=SECONDS)
    (old,) = deployments(api)
    users = [Client(api, "line", protocol) for protocol in ("rest", "grpc")]
    for user in users:
        user.wait_for(1.0)

    api.apply(a_service(2, replicas=replicas))
    api.wait_for(a_service(), is_serving(2, replicas), timeout=SECONDS)

    for user in users:
        user.wait_for(2.0)
    api.wait_until_gone(old)
    api.wait_for(a_service(), lambda _: len(api.list("v1", "Pod")) == replicas + len(users), timeout=SECONDS)
    for user in users:
        count, errors = user.stop()
        assert errors == []
        assert count > 50


def test_the_newest_training_is_followed_but_nothing_unverified_is_served(api: Api, operator: OperatorProcess) -> None:
    digests = publish(api, 1, 2)
    service = a_service(model={"fromTraining": {"selector": {"matchLabels": {"model": "line"}}}})
    api.apply(service)
    api.wait_for(service, because("NoTrainingJob", "Ready"))

    for version, digest in digests.items():
        api.apply(a_training_that_made(version, digest))
        served = api.wait_for(service, is_serving(version), timeout=SECONDS)
        assert served["status"]["current"]["digest"] == digest
        assert served["status"]["current"]["trainingJob"] == f"line-{version}"

    forged = a_training_that_made(1, "sha256:" + "ab" * 32)
    forged["metadata"]["name"] = "forged"
    api.apply(forged)
    stuck = api.wait_for(service, because("DigestMismatch"), timeout=SECONDS)

    assert stuck["status"]["current"]["modelVersion"] == 2
    assert condition(stuck, "Available")["status"] == "True"
    api.wait_for_event("line", "RolloutFailed", containing="DigestMismatch")


@pytest.mark.thorough
def test_killing_the_operator_over_and_over_during_rollouts_changes_nothing(
    api: Api, operator: OperatorProcess
) -> None:
    versions = 15
    publish(api, *range(1, versions + 1))
    api.apply(a_service(1))
    api.wait_for(a_service(), is_serving(1), timeout=SECONDS)
    user = Client(api, "line", "rest")
    user.wait_for(1.0)
    chance, made, version, kills = random.Random(20261123), defaultdict(set), 1, 0

    def take_note() -> None:
        for each in deployments(api):
            made[each["metadata"]["name"]].add(each["metadata"]["uid"])

    # Ten kills, each of them before the rollout that is under way has ended.
    while kills < 10:
        if is_serving(version)(api.get(a_service()) or {}):
            version += 1
            assert version <= versions, f"{kills} kills before the end of {versions} rollouts"
            api.apply(a_service(version))
        time.sleep(chance.uniform(0, 1))
        take_note()
        kills += not is_serving(version)(api.get(a_service()) or {})
        operator.kill()
        take_note()
        operator.start()

    api.wait_for(a_service(), is_serving(version), timeout=SECONDS)
    api.wait_for(a_service(), lambda _: len(deployments(api)) == 1, timeout=SECONDS)
    take_note()
    # One Deployment for each version: none was made twice.
    assert {len(uids) for uids in made.values()} == {1}
    assert len(made) == version
    user.wait_for(float(version))
    count, errors = user.stop()
    assert errors == []
    assert count > 50


def test_a_version_that_never_appears_leaves_the_old_one_serving(api: Api, operator: OperatorProcess) -> None:
    publish(api, 1)
    api.apply(a_service(1))
    api.wait_for(a_service(), is_serving(1), timeout=SECONDS)

    api.apply(a_service(9))
    stuck = api.wait_for(a_service(), because("ModelNotFound"), timeout=SECONDS)

    assert stuck["status"]["phase"] == "Degraded"
    assert "/line/9 does not exist" in condition(stuck, "Ready")["message"]
    assert condition(stuck, "Available")["status"] == "True"
    assert stuck["status"]["current"]["modelVersion"] == 1
    api.wait_for_event("line", "RolloutFailed", containing="ModelNotFound")

    api.apply(a_service(1))
    api.wait_for(a_service(), is_serving(1), timeout=SECONDS)
    assert len(deployments(api)) == 1


def test_what_is_missing_is_told(api: Api, operator: OperatorProcess) -> None:
    homeless = a_service(model={"uri": "pvc://nowhere/line/1"}) | {"metadata": {"name": "homeless"}}
    hopeless = a_service(9) | {"metadata": {"name": "hopeless"}}
    greedy = a_service(server={"gpus": 63}) | {"metadata": {"name": "greedy"}}
    api.apply(homeless, hopeless, greedy)

    for service, reason, said in (
        (hopeless, "ModelNotFound", "/line/9 does not exist"),
        (homeless, "StoreNotFound", "'nowhere'"),
        (greedy, "Unschedulable", "63 nvidia.com/gpu"),
    ):
        stuck = api.wait_for(service, because(reason), timeout=SECONDS)
        assert said in condition(stuck, "Ready")["message"]
        api.wait_for_event(service["metadata"]["name"], reason, containing=said)


def test_a_spec_that_cannot_work_is_refused_at_once(api: Api) -> None:
    for spec, said in (
        ({"model": {}}, "exactly one of fromTraining and uri"),
        ({"model": {"uri": "ftp://models/line/1"}}, "spec.model.uri"),
        ({"model": {"uri": f"pvc://{STORE}/../line/1"}}, ".."),
        ({"replicas": -1}, "spec.replicas"),
    ):
        with pytest.raises(DynamicApiError) as refusal:
            api.apply(a_service(**spec))

        assert said in str(refusal.value.body)
