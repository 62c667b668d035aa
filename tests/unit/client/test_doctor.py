"""What the doctor finds, on a cluster in memory."""

import copy
from collections.abc import Callable

import pytest

from support.client_cluster import NAMESPACE, MemoryCluster
from trainyard.cluster import CRDS, DEPLOYMENTS, NODES, STORAGE_CLASSES, Cluster, Manifest, Resource
from trainyard.doctor import Finding, examine
from trainyard.errors import Forbidden, Unreachable
from trainyard_api.crd import RESOURCES, crd

DEFAULT = {"storageclass.kubernetes.io/is-default-class": "true"}


def a_healthy_cluster() -> MemoryCluster:
    found = MemoryCluster()
    found.answers = {
        "/version": {"major": "1", "minor": "36+", "gitVersion": "v1.36.2"},
        "/apis": {"groups": [{"name": "kueue.x-k8s.io"}]},
    }
    node = {
        "metadata": {"name": "n", "labels": {"nvidia.com/cuda.driver-version.full": "580.1"}},
        "status": {
            "allocatable": {"cpu": "4", "nvidia.com/gpu": "8"},
            "conditions": [{"type": "Ready", "status": "True"}],
        },
    }
    found.put(node, NODES)
    for resource in RESOURCES:
        found.put(crd(resource), CRDS)
    found.put({"metadata": {"name": "fast", "annotations": DEFAULT}}, STORAGE_CLASSES)
    operator = {
        "metadata": {
            "name": "trainyard-operator",
            "namespace": NAMESPACE,
            "labels": {"app.kubernetes.io/name": "trainyard"},
        },
        "spec": {"template": {"spec": {"containers": [{"image": "trainyard/operator:1.2.3"}]}}},
        "status": {"conditions": [{"type": "Available", "status": "True"}]},
    }
    found.put(operator, DEPLOYMENTS)
    return found


def levels(cluster: Cluster) -> dict[str, list[Finding]]:
    found = list(examine(cluster, NAMESPACE))
    assert found
    return {level: [each for each in found if each.level == level] for level in ("ok", "warn", "fix")}


def test_a_healthy_cluster_needs_nothing() -> None:
    found = levels(a_healthy_cluster())

    assert (found["warn"], found["fix"]) == ([], [])
    texts = [each.text for each in found["ok"]]
    assert "Kubernetes 1.36.2" in texts
    assert "1 of 1 nodes ready, 8 nvidia.com/gpu (driver 580.1)" in texts
    assert "Kueue is there" in texts


def remove(resource: Resource) -> Callable[[MemoryCluster], None]:
    def change(cluster: MemoryCluster) -> None:
        cluster.objects = {key: value for key, value in cluster.objects.items() if key[0] != resource.plural}

    return change


def an_old_version(cluster: MemoryCluster) -> None:
    cluster.answers["/version"] = {"major": "1", "minor": "28", "gitVersion": "v1.28.0"}


def an_old_definition(cluster: MemoryCluster) -> None:
    key = ("customresourcedefinitions", NAMESPACE, "trainingjobs.trainyard.dev")
    old: Manifest = copy.deepcopy(cluster.objects[key])
    schema = old["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    del schema["properties"]["spec"]["properties"]["tuning"]
    cluster.objects[key] = old


def an_operator_that_is_down(cluster: MemoryCluster) -> None:
    cluster.objects["deployments", NAMESPACE, "trainyard-operator"]["status"] = {}


def a_class_that_is_not_the_default(cluster: MemoryCluster) -> None:
    cluster.objects["storageclasses", NAMESPACE, "fast"]["metadata"]["annotations"] = {}


@pytest.mark.parametrize(
    ("change", "level", "text", "fix"),
    [
        pytest.param(an_old_version, "fix", "Kubernetes 1.28.0 is older than 1.29", "upgrade the cluster", id="old"),
        pytest.param(
            remove(CRDS), "fix", "the CRD trainingjobs.trainyard.dev is not there", "helm install", id="no CRD"
        ),
        pytest.param(an_old_definition, "fix", "it lacks spec.tuning", "kubectl apply --server-side", id="an old CRD"),
        pytest.param(remove(DEPLOYMENTS), "fix", "no Deployment of the operator", "helm install", id="no operator"),
        pytest.param(an_operator_that_is_down, "fix", "is not available", "kubectl describe pods -n team", id="down"),
        pytest.param(
            a_class_that_is_not_the_default,
            "warn",
            "no StorageClass is the default",
            "annotate storageclass fast",
            id="class",
        ),
        pytest.param(remove(STORAGE_CLASSES), "warn", "there is no StorageClass", "--store s3://", id="no class"),
    ],
)
def test_what_is_wrong_is_said_with_what_mends_it(
    change: Callable[[MemoryCluster], None], level: str, text: str, fix: str
) -> None:
    cluster = a_healthy_cluster()
    change(cluster)

    found = levels(cluster)[level]

    (first, *_) = [each for each in found if text in each.text]
    assert fix in first.fix


def test_a_check_that_may_not_look_says_so_and_the_others_go_on() -> None:
    cluster = a_healthy_cluster()
    cluster.refuse["list", "nodes"] = Forbidden("nodes is forbidden")

    found = levels(cluster)

    assert [each.text for each in found["warn"]] == ["cannot look: nodes is forbidden"]
    assert len(found["ok"]) > 5


def test_a_cluster_that_does_not_answer_is_the_only_finding() -> None:
    class Silent(MemoryCluster):
        def raw(self, path: str) -> Manifest:
            raise Unreachable("the API server does not answer")

    assert [each.level for each in examine(Silent(), NAMESPACE)] == ["fix"]
