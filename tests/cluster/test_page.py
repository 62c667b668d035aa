"""The page of a running operator: the API server's own answers decide who sees what."""

import socket
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
import urllib3
from kubernetes import client

from support.kube_api import Api, Object
from support.operator_process import running_operator

pytestmark = pytest.mark.usefixtures("cluster_crds")

ROLES = "rbac.authorization.k8s.io"
ROBOT: Object = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "robot"}}
JOB: Object = {
    "apiVersion": "trainyard.dev/v1alpha1",
    "kind": "TrainingJob",
    "metadata": {"name": "waits"},
    "spec": {
        "program": {"keras": {"family": "linear", "task": "regression"}},
        "data": {"source": {"persistentVolumeClaim": {"claimName": "rows", "path": "rows.csv"}}, "label": "y"},
        "output": {"store": {"persistentVolumeClaim": {"claimName": "models"}}},
    },
}
Look = Callable[[str, str], tuple[int, str]]


@pytest.fixture
def page(api: Api, kubeconfig: Path, namespace: str, tmp_path: Path) -> Iterator[Look]:
    """Looks at a path with a token, at an operator that stands by: another leads for ten minutes."""
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    held = {"holderIdentity": "another", "leaseDurationSeconds": 600, "acquireTime": now, "renewTime": now}
    api.create({
        "apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": "trainyard-operator"},
        "spec": held | {"leaseTransitions": 0},
    })  # fmt: skip
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    pool = urllib3.PoolManager()

    def look(path: str, token: str) -> tuple[int, str]:
        answer = pool.request("GET", f"http://127.0.0.1:{port}{path}", headers={"Authorization": f"Bearer {token}"})
        return answer.status, answer.data.decode()

    flags = ["--page-port", str(port), "--leader-election", "on", "--lease-namespace", namespace]
    with running_operator(kubeconfig, namespace, tmp_path, flags=flags):
        yield look


def test_a_service_account_sees_what_its_role_lets_it_see(
    api: Api, api_client: client.ApiClient, namespace: str, page: Look
) -> None:
    api.apply(JOB, ROBOT)
    made = client.CoreV1Api(api_client).create_namespaced_service_account_token(
        "robot", namespace, {"spec": {"expirationSeconds": 600, "audiences": []}}
    )
    token, path = made.status.token, f"/trainings/{namespace}/waits"

    assert page("/", "no token of this cluster")[0] == 401
    status, text = page("/", token)
    assert (status, "waits" in text) == (200, False)
    assert page(path, token)[0] == 404

    rule = {"apiGroups": ["trainyard.dev"], "resources": ["trainingjobs"], "verbs": ["get", "list"]}
    api.create({"apiVersion": f"{ROLES}/v1", "kind": "Role", "metadata": {"name": "robot"}, "rules": [rule]})
    api.create({
        "apiVersion": f"{ROLES}/v1", "kind": "RoleBinding", "metadata": {"name": "robot"},
        "roleRef": {"apiGroup": ROLES, "kind": "Role", "name": "robot"},
        "subjects": [{"kind": "ServiceAccount", "name": "robot", "namespace": namespace}],
    })  # fmt: skip
    deadline = time.monotonic() + 60  # an answer counts for 20 seconds
    while path not in page("/", token)[1]:
        assert time.monotonic() < deadline, "the new right does not show"
        time.sleep(0.5)

    status, text = page(path, token)
    assert status == 200
    assert "status" not in api.wait_for(JOB, bool), "somebody leads"
    assert "You may not list events" in text
    assert page(path.replace(namespace, "default"), token)[0] == 404
