"""From S3 to S3 to a server, by the real operator, trainer and init container, on the devcluster."""

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.kube_api import Api, Object
from support.operator_process import OperatorProcess, running_operator

pytestmark = [
    pytest.mark.usefixtures("cluster_crds"),
    pytest.mark.skipif(
        bool(os.environ.get("KUBECONFIG")), reason="starts an S3 server that only pods on this machine reach"
    ),
]

ROOT = Path(__file__).parents[2]
TRAINER_PYTHON = ROOT / ".venv" / "trainer" / "bin" / "python"
SECONDS = 240
SERVER = """
import sys, time
from pathlib import Path
from support.stores import s3_server
with s3_server() as s3:
    s3.bucket("lake")
    s3.bucket("models")
    s3.put("lake", "cancer/rows.csv", Path(sys.argv[1]).read_bytes())
    print(s3.endpoint, flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def operator(kubeconfig: Path, namespace: str, tmp_path: Path) -> Iterator[OperatorProcess]:
    with running_operator(kubeconfig, namespace, tmp_path) as process:
        yield process


@pytest.fixture
def endpoint() -> Iterator[str]:
    rows = ROOT / "examples" / "quickstart" / "breast-cancer.csv"
    process = subprocess.Popen(
        [str(TRAINER_PYTHON), "-c", SERVER, str(rows)],
        env=os.environ | {"PYTHONPATH": str(ROOT / "tests")},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    yield process.stdout.readline().strip()
    process.communicate("")


def a_secret(endpoint: str) -> Object:
    keys = {"AWS_ACCESS_KEY_ID": "AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY": "hunter2", "AWS_ENDPOINT_URL": endpoint}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s3"}, "stringData": keys}


JOB: Object = {
    "apiVersion": "trainyard.dev/v1alpha1",
    "kind": "TrainingJob",
    "metadata": {"name": "cancer", "labels": {"model": "cancer"}},
    "spec": {
        "program": {"keras": {"task": "binaryClassification", "family": "linear"}},
        "data": {"source": {"uri": "s3://lake/cancer/", "secretRef": {"name": "s3"}}, "label": "diagnosis"},
        "fit": {"epochs": 3},
        "output": {"store": {"uri": "s3://models/prod", "secretRef": {"name": "s3"}}},
    },
}
SERVICE: Object = {
    "apiVersion": "trainyard.dev/v1alpha1",
    "kind": "ModelService",
    "metadata": {"name": "cancer"},
    "spec": {
        "model": {"fromTraining": {"selector": {"matchLabels": {"model": "cancer"}}}, "secretRef": {"name": "s3"}}
    },
}


def succeeded(job: Object) -> bool:
    assert job.get("status", {}).get("phase") != "Failed", job["status"]
    return job.get("status", {}).get("phase") == "Succeeded"


def ready(service: Object) -> bool:
    return service.get("status", {}).get("phase") == "Ready"


def test_a_model_goes_from_s3_through_training_to_s3_and_to_a_server(
    api: Api, operator: OperatorProcess, endpoint: str
) -> None:
    api.apply(a_secret(endpoint))
    api.apply(JOB)
    api.apply(SERVICE)

    job = api.wait_for(JOB, succeeded, timeout=SECONDS)
    service = api.wait_for(SERVICE, ready, timeout=SECONDS)

    assert job["status"]["model"]["uri"] == "s3://models/prod/cancer/1"
    assert service["status"]["current"]["uri"] == "s3://models/prod/cancer/1"
    assert service["status"]["current"]["digest"] == job["status"]["model"]["digest"]
    assert not re.search("hunter2", repr((job, service, api.list("v1", "ConfigMap"), api.list("v1", "Pod"))))
