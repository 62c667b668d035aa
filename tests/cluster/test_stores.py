"""From a store through training to a store and to a server, by the real operator, trainer and init container."""

import json
import os
import re
import subprocess
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path

import pytest

from support.kube_api import Api, Object
from support.manifests import a_claim, a_pod, a_python
from support.operator_process import OperatorProcess
from support.published import predictions

pytestmark = pytest.mark.usefixtures("cluster_crds", "trainyard_images", "pods_in_reach")

ROOT = Path(__file__).parents[2]
QUICKSTART = ROOT / "examples" / "quickstart"
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
def endpoint() -> Iterator[str]:
    rows = QUICKSTART / "breast-cancer.csv"
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
        "fit": {"epochs": 60, "optimizer": {"learningRate": 0.03}},
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


@pytest.mark.skipif(
    bool(os.environ.get("KUBECONFIG")), reason="starts an S3 server that only pods on this machine reach"
)
def test_a_model_goes_from_s3_through_training_to_s3_and_to_a_server(
    api: Api, operator: OperatorProcess, endpoint: str
) -> None:
    api.apply(a_secret(endpoint))
    api.apply(JOB)
    api.apply(SERVICE)

    job = api.wait_for(JOB, succeeded, timeout=SECONDS)
    service = api.wait_for(SERVICE, ready, timeout=SECONDS)

    assert job["status"]["model"]["uri"] == "s3://models/prod/cancer/1"
    assert float(job["status"]["model"]["metrics"]["val_accuracy"]) > 0.9
    assert service["status"]["current"]["uri"] == "s3://models/prod/cancer/1"
    assert service["status"]["current"]["digest"] == job["status"]["model"]["digest"]
    (prediction,) = predictions(api, "cancer", json.loads((QUICKSTART / "request.json").read_text())["instances"])
    assert prediction["label"] == "malignant"
    assert not re.search("hunter2", repr((job, service, api.list("v1", "ConfigMap"), api.list("v1", "Pod"))))


WRITER = """
import csv, pathlib, random
random.seed(3)
folder = pathlib.Path("/rows/churn")
folder.mkdir()
for part in range(2):
    with (folder / f"part-{part}.csv").open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["age", "plan", "churned"])
        for _ in range(200):
            age, plan = random.uniform(20, 60), random.choice(["free", "paid"])
            writer.writerow([f"{age:.1f}", plan, "yes" if age < (45 if plan == "free" else 35) else "no"])
"""


def ended(pod: Object) -> bool:
    assert pod.get("status", {}).get("phase") != "Failed", pod["status"]
    return pod.get("status", {}).get("phase") == "Succeeded"


def test_a_model_goes_from_a_volume_through_training_to_another_and_to_a_server(
    api: Api, default_class: str, operator: OperatorProcess
) -> None:
    volume = {"name": "rows", "persistentVolumeClaim": {"claimName": "rows"}}
    writer = a_pod(
        a_python(WRITER, volumeMounts=[{"name": "rows", "mountPath": "/rows"}]), name="writer", volumes=[volume]
    )
    api.apply(a_claim("rows"), a_claim("models"), writer)
    api.wait_for(writer, ended)
    job, service = deepcopy((JOB, SERVICE))
    job["spec"]["data"] = {"source": {"persistentVolumeClaim": {"claimName": "rows", "path": "churn"}}}
    job["spec"]["data"]["label"] = "churned"
    job["spec"]["output"] = {"store": {"persistentVolumeClaim": {"claimName": "models"}}}
    del service["spec"]["model"]["secretRef"]
    api.apply(job, service)

    trained = api.wait_for(job, succeeded, timeout=SECONDS)
    api.wait_for(service, ready, timeout=SECONDS)

    assert trained["status"]["model"]["uri"] == "pvc://models/cancer/1"
    assert float(trained["status"]["model"]["metrics"]["val_accuracy"]) > 0.9
    people = [{"age": 21.0, "plan": "free"}, {"age": 59.0, "plan": "paid"}, {"age": 40.0, "plan": "free"}]
    assert [each["label"] for each in predictions(api, "cancer", people)] == ["yes", "no", "yes"]
