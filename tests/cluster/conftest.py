"""The cluster that these tests run against: the one KUBECONFIG names, else a devcluster of their own.

On a cluster that was there before, tests work in namespaces that they make and remove, and touch nothing else. Under
pytest-xdist all workers share one devcluster.
"""

import os
import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from kubernetes import client

from support.devcluster import devcluster, shared
from support.kube_api import Api, connect
from support.operator_process import OperatorProcess, running_operator

CRDS = Path(__file__).parents[2] / "manifests" / "crds"
GPUS = 2
GPU = "nvidia.com/gpu"
DEFAULT_CLASS = "storageclass.kubernetes.io/is-default-class"
MADE_BY_LABEL = "trainyard.dev/made-by-tests"


@pytest.fixture(scope="session")
def kubeconfig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The kubeconfig of the cluster under test."""
    options = ["--gpus", str(GPUS), "--autoscaler-period", "2"]
    if given := os.environ.get("KUBECONFIG"):
        yield Path(given)
    elif "PYTEST_XDIST_WORKER" in os.environ:
        with shared(tmp_path_factory.getbasetemp().parent / "devcluster", *options) as file:
            yield file
    else:
        with devcluster(tmp_path_factory.mktemp("devcluster"), *options) as file:
            yield file


@pytest.fixture(scope="session")
def api_client(kubeconfig: Path) -> Iterator[client.ApiClient]:
    """The official client, connected."""
    with connect(kubeconfig) as connected:
        yield connected


@pytest.fixture
def gpus(api_client: client.ApiClient) -> int:
    """The most GPUs that one node offers; the test is skipped where no node has any."""
    nodes = client.CoreV1Api(api_client).list_node().items
    found = max((int(node.status.allocatable.get(GPU, "0")) for node in nodes), default=0)
    if not found:
        pytest.skip("no node of this cluster declares a GPU")
    return found


@pytest.fixture
def default_class(api_client: client.ApiClient) -> str:
    """The name of the StorageClass that claims get who name none; the test is skipped where there is none."""
    classes = client.StorageV1Api(api_client).list_storage_class().items
    for entry in classes:
        if (entry.metadata.annotations or {}).get(DEFAULT_CLASS) == "true":
            return str(entry.metadata.name)
    pytest.skip(
        "this cluster has no default StorageClass: "
        "`python -m trainyard_devcluster controllers --only volumes` brings one (docs/how-to/devcluster.md)"
    )


@pytest.fixture
def namespace(api_client: client.ApiClient) -> Iterator[str]:
    """A namespace of the test's own, removed afterwards."""
    name = f"trainyard-test-{secrets.token_hex(4)}"
    api = Api(api_client, name)
    manifest = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
    try:
        api.create(manifest)
        # Until it has its account no pod can be made in it.
        account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default"}}
        api.wait_for(account, bool, description="the namespace has its account")
        yield name
    finally:
        api.delete(manifest)


@pytest.fixture
def api(api_client: client.ApiClient, namespace: str) -> Api:
    """The API server, in the test's own namespace."""
    return Api(api_client, namespace)


@pytest.fixture
def operator(kubeconfig: Path, namespace: str, tmp_path: Path) -> Iterator[OperatorProcess]:
    """The real operator: its own process, serving the test's namespace only."""
    with running_operator(kubeconfig, namespace, tmp_path) as process:
        yield process


@pytest.fixture(scope="session")
def cluster_crds(api_client: client.ApiClient) -> None:
    """Trainyard's CustomResourceDefinitions: those that are missing are made, and removed once all workers are done."""
    api = Api(api_client, "default")
    for file in sorted(CRDS.glob("*.yaml")):
        for manifest in yaml.safe_load_all(file.read_text()):
            if manifest.get("kind") != "CustomResourceDefinition":
                continue
            if api.get(manifest) is None:
                manifest["metadata"].setdefault("labels", {})[MADE_BY_LABEL] = "true"
                api.apply(manifest)
            api.wait_for(manifest, established)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Remove what `cluster_crds` made, from the one process that outlives all workers."""
    given = os.environ.get("KUBECONFIG")
    if not given or hasattr(session.config, "workerinput"):
        return
    with connect(Path(given)) as connected:
        api = Api(connected, "default")
        version, kind = "apiextensions.k8s.io/v1", "CustomResourceDefinition"
        made = api.list(version, kind, label_selector=f"{MADE_BY_LABEL}=true")
        api.delete(*({"apiVersion": version, "kind": kind, "metadata": each["metadata"]} for each in made))


def established(definition: dict[str, object]) -> bool:
    """Whether the API server serves the resource."""
    status = definition.get("status") or {}
    assert isinstance(status, dict)
    return any(each["type"] == "Established" and each["status"] == "True" for each in status.get("conditions") or ())
