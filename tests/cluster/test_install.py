"""Both ways of installing: the operator runs as a pod, with the rights of its service account and no others."""

import os
from collections.abc import Iterator
from pathlib import Path

import helm_python
import pytest
from kubernetes import client

from support.devcluster import devcluster
from support.install import CHART, NAMESPACE, by_name, manifests
from support.kube_api import Api, Object, connect
from support.manifests import a_claim, a_config_map
from trainyard_api.crd import RESOURCES, crd

# Both install into one namespace, so they take turns.
pytestmark = pytest.mark.xdist_group("install")

CRDS = [crd(resource) for resource in RESOURCES]
HOME = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}
DEPLOYMENT = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "trainyard-operator", "namespace": NAMESPACE},
}
CLUSTER_ROLE = {
    "apiVersion": "rbac.authorization.k8s.io/v1",
    "kind": "ClusterRole",
    "metadata": {"name": "trainyard-operator"},
}


@pytest.fixture(scope="module")
def kubeconfig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A cluster of these tests' own: an operator that serves all namespaces would serve the other tests', too."""
    if given := os.environ.get("KUBECONFIG"):
        if os.environ.get("TRAINYARD_TEST_IMAGES") != "1":
            pytest.skip(
                "installs an operator for all namespaces: where this cluster can pull trainyard/operator and has "
                "nothing of Trainyard, run this file alone with TRAINYARD_TEST_IMAGES=1"
            )
        yield Path(given)
    else:
        with devcluster(tmp_path_factory.mktemp("install")) as path:
            yield path


@pytest.fixture(scope="module")
def api_client(kubeconfig: Path) -> Iterator[client.ApiClient]:
    """The official client, connected to a cluster without Trainyard."""
    with connect(kubeconfig) as connected:
        api = Api(connected, "default")
        if any(api.get(each) for each in (*CRDS, HOME)):
            pytest.skip("Trainyard is on this cluster already, and is left alone")
        yield connected


@pytest.fixture(autouse=True)
def inputs(api: Api, default_class: str) -> None:
    rows = "x,y\n" + "".join(f"{n},{2 * n}\n" for n in range(50))
    api.apply(a_config_map("rows", **{"rows.csv": rows}), a_claim("models"))


@pytest.fixture
def helm(kubeconfig: Path) -> Iterator[helm_python.Config]:
    with helm_python.Config(kubeconfig_path=kubeconfig, namespace=NAMESPACE) as config:
        yield config


def a_training_job(name: str, namespace: str | None = None) -> Object:
    return {
        "apiVersion": "trainyard.dev/v1alpha1",
        "kind": "TrainingJob",
        "metadata": {"name": name} | ({"namespace": namespace} if namespace else {}),
        "spec": {
            "program": {"keras": {"task": "regression", "hidden": [4]}},
            "data": {"source": {"configMap": {"name": "rows", "key": "rows.csv"}}, "label": "y"},
            "fit": {"epochs": 1},
            "output": {"store": {"persistentVolumeClaim": {"claimName": "models"}}},
        },
    }


def the_job_of(name: str) -> Object:
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": f"{name}-worker-0"}}


def rolled_out(deployment: Object) -> bool:
    """What `kubectl rollout status` waits for."""
    status, wanted = deployment.get("status", {}), deployment["spec"]["replicas"]
    counts = [status.get(count) for count in ("replicas", "updatedReplicas", "availableReplicas")]
    return status.get("observedGeneration") == deployment["metadata"]["generation"] and counts == [wanted] * 3


def is_forbidden(job: Object) -> bool:
    return any("forbidden" in condition["message"] for condition in job.get("status", {}).get("conditions", ()))


def test_the_manifests_install_an_operator_that_works_with_its_rights_and_not_without(api: Api) -> None:
    installed = manifests()
    try:
        api.apply(*installed)
        api.wait_for(DEPLOYMENT, rolled_out)
        api.apply(a_training_job("first"))
        job = api.wait_for(the_job_of("first"), bool, description="the operator has made it")
        assert job["metadata"]["ownerReferences"][0]["kind"] == "TrainingJob"

        role = by_name(installed)["ClusterRole", "trainyard-operator"]
        api.apply(role | {"rules": [_without_create(rule) for rule in role["rules"]]})
        api.apply(a_training_job("second"))
        stuck = api.wait_for(a_training_job("second"), is_forbidden)
        api.wait_for_event("second", _reason_of(stuck), containing="forbidden")
        assert api.get(the_job_of("second")) is None

        api.apply(role)
        api.wait_for(the_job_of("second"), bool, description="the operator has made it", timeout=120)
    finally:
        _remove(api, *reversed(installed))


def _reason_of(job: Object) -> str:
    return next(condition["reason"] for condition in job["status"]["conditions"] if condition["type"] == "Running")


def _without_create(rule: Object) -> Object:
    verbs = [verb for verb in rule["verbs"] if verb != "create"] if "jobs" in rule["resources"] else rule["verbs"]
    return rule | {"verbs": verbs}


def test_the_chart_installs_upgrades_and_is_removed_without_the_crds_and_the_work(
    api: Api, helm: helm_python.Config
) -> None:
    try:
        helm.install(str(CHART), "trainyard", create_namespace=True)
        first = api.wait_for(DEPLOYMENT, rolled_out)
        helm.test("trainyard")
        api.apply(a_training_job("first"))
        api.wait_for(the_job_of("first"), bool, description="the operator has made it")

        # With one namespace to serve it has a Role there and nothing else, which must be enough.
        helm.upgrade(str(CHART), "trainyard", {"watchNamespaces": [api.namespace], "log": {"level": "debug"}})
        second = api.wait_for(DEPLOYMENT, rolled_out)
        assert second["metadata"]["generation"] > first["metadata"]["generation"]
        assert api.get(CLUSTER_ROLE) is None
        api.apply(a_training_job("elsewhere", "default"), a_training_job("second"))
        api.wait_for(the_job_of("second"), bool, description="the operator has made it")
        assert "status" not in (api.get(a_training_job("elsewhere", "default")) or {})

        helm.uninstall("trainyard")
        api.wait_until_gone(DEPLOYMENT)
        assert all(api.get(each) for each in (*CRDS, a_training_job("first"), the_job_of("second")))
    finally:
        helm.uninstall("trainyard", ignore_not_found=True)
        _remove(api, *CRDS, HOME)


def _remove(api: Api, *installed: Object) -> None:
    api.delete(*installed)
    for each in installed:
        api.wait_until_gone(each)
