"""The cluster that these tests run against: the one KUBECONFIG names, else a devcluster of their own.

On a cluster that was there before, tests work in namespaces that they make and remove, and touch nothing else. Under
pytest-xdist all workers share one devcluster.
"""

import fcntl
import os
import secrets
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from kubernetes import client

from support.devcluster import devcluster, shared
from support.kube_api import Api, Object, connect
from support.manifests import a_pod, a_python
from support.operator_process import OperatorProcess, running_operator
from support.published import OPERATOR_IMAGE, TRAINER_IMAGE

CRDS = Path(__file__).parents[2] / "manifests" / "crds"
GPUS = 2
GPU = "nvidia.com/gpu"
DEFAULT_CLASS = "storageclass.kubernetes.io/is-default-class"
MADE_BY_LABEL = "trainyard.dev/made-by-tests"
NOT_PULLED = ("ErrImagePull", "ImagePullBackOff", "ErrImageNeverPull", "InvalidImageName")
PORT = 8080
REACH_SECONDS = 10
PAGE = "docs/how-to/devcluster.md"


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


@pytest.fixture(scope="session")
def lacking() -> dict[str, str]:
    """Why tests are skipped on this cluster, by what they need; an empty reason where it is there."""
    return {}


@pytest.fixture
def trainyard_images(api: Api, lacking: dict[str, str]) -> None:
    """For tests whose pods run Trainyard: skipped where another cluster cannot pull the images of this checkout."""
    for image in (TRAINER_IMAGE, OPERATOR_IMAGE) if os.environ.get("KUBECONFIG") else ():
        if image not in lacking:
            pod = a_pod({"name": "main", "image": image, "command": ["python", "-c", "pass"]}, name="has-image")
            api.create(pod)
            state = api.wait_for(pod, _knows_its_image, timeout=300)["status"]["containerStatuses"][0]["state"]
            why = state.get("waiting", {}).get("message", "")
            lacking[image] = f"no node has {image}: build it and load it ({PAGE}). {why}" if "waiting" in state else ""
            api.delete(pod, grace_seconds=0)
            api.wait_until_gone(pod)
        if lacking[image]:
            pytest.skip(lacking[image])


@pytest.fixture
def pods_in_reach(api: Api, lacking: dict[str, str]) -> None:
    """For tests whose operator, a process here, asks pods: skipped where another cluster's network ends before here."""
    if os.environ.get("KUBECONFIG") and "pods" not in lacking:
        pod = a_pod(a_python(f"import http.server as s; s.test(s.SimpleHTTPRequestHandler, port={PORT})"), name="reach")
        api.create(pod)
        running = api.wait_for(pod, lambda each: each["status"].get("phase") == "Running", description="it runs")
        reached = _reaches(running["status"]["podIP"])
        lacking["pods"] = "" if reached else f"pods cannot be reached from here: add a route to their network ({PAGE})"
        api.delete(pod, grace_seconds=0)
    if lacking.get("pods"):
        pytest.skip(lacking["pods"])


@pytest.fixture
def tensorflow_ports(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """For trainings in several pods, of which one test has its turn at a time.

    TensorFlow takes its ports at all addresses, and those of a devcluster's pods are all this machine's.
    """
    with (tmp_path_factory.getbasetemp().parent / "tensorflow-ports").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _knows_its_image(pod: Object) -> bool:
    """Whether the container has run, or its image cannot be had."""
    [status] = pod.get("status", {}).get("containerStatuses") or [{}]
    state = status.get("state") or {}
    return "terminated" in state or state.get("waiting", {}).get("reason") in NOT_PULLED


def _reaches(ip: str) -> bool:
    deadline = time.monotonic() + REACH_SECONDS
    while time.monotonic() < deadline:
        try:
            socket.create_connection((ip, PORT), timeout=2).close()
        except OSError:
            time.sleep(0.2)
        else:
            return True
    return False


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
