"""A user's own function on a cluster: from a ConfigMap with its module to the answers of a ModelService."""

import pytest

from support.kube_api import Api, Object
from support.manifests import PYTHON_IMAGE, a_claim, a_config_map, a_pod
from support.operator_process import OperatorProcess

pytestmark = pytest.mark.usefixtures("cluster_crds", "trainyard_images", "pods_in_reach")

SECONDS = 240
ROWS = "x,kind,y\n" + "".join(f"{n % 50},{'ab'[n % 2]},{2 * (n % 50) + 1}\n" for n in range(400))
MODULE = """
import keras

def build(data, *, units: int) -> keras.Model:
    inputs = data.keras_inputs()
    x = keras.layers.Dense(units, activation="relu")(inputs["dense_features"])
    model = keras.Model(inputs, keras.layers.Dense(data.outputs)(x))
    model.compile(optimizer=keras.optimizers.Adam(0.02), loss="mse", metrics=["mae", "r2_score"])
    return model
"""
_ASK = """
import json, sys, time, urllib.request
body = json.dumps({"instances": [{"x": 10.0, "kind": "a"}, {"x": 40.0, "kind": "b"}]}).encode()
while True:
    try:
        with urllib.request.urlopen(sys.argv[1] + ":predict", body, timeout=10) as answer:
            print("answer", json.dumps(json.load(answer)["predictions"]), flush=True)
            break
    except OSError as error:
        print("waits for", error, flush=True)
        time.sleep(0.2)
"""


@pytest.fixture(autouse=True)
def inputs(api: Api, default_class: str) -> None:
    api.apply(
        a_config_map("rows", **{"rows.csv": ROWS}),
        a_config_map("line-code", **{"model.py": MODULE}),
        a_claim("models"),
    )


def a_job(entry_point: str = "model:build") -> Object:
    program = {
        "entryPoint": entry_point,
        "task": "regression",
        "hyperparameters": {"units": 16},
        "source": {"configMap": {"name": "line-code"}},
    }
    return {
        "apiVersion": "trainyard.dev/v1alpha1",
        "kind": "TrainingJob",
        "metadata": {"name": "line", "labels": {"model": "line"}},
        "spec": {
            "program": {"python": program},
            "data": {"source": {"configMap": {"name": "rows", "key": "rows.csv"}}, "label": "y"},
            "fit": {"epochs": 40, "batchSize": 16},
            "output": {"store": {"persistentVolumeClaim": {"claimName": "models"}}},
        },
    }


def ended(job: Object) -> bool:
    return job.get("status", {}).get("phase") in ("Succeeded", "Failed")


def test_a_function_from_a_config_map_is_trained_and_what_it_learnt_is_served(
    api: Api, operator: OperatorProcess
) -> None:
    service = {
        "apiVersion": "trainyard.dev/v1alpha1",
        "kind": "ModelService",
        "metadata": {"name": "line"},
        "spec": {"model": {"fromTraining": {"selector": {"matchLabels": {"model": "line"}}}}},
    }
    job = a_job()
    api.apply(job, service)

    status = api.wait_for(job, ended, timeout=SECONDS)["status"]
    assert status["phase"] == "Succeeded", status
    assert float(status["model"]["metrics"]["val_r2_score"]) > 0.9
    ready = api.wait_for(
        service,
        lambda each: each.get("status", {}).get("phase") == "Ready",
        timeout=SECONDS,
        description="it answers",
    )

    container = {"name": "main", "image": PYTHON_IMAGE, "command": ["python", "-u", "-c", _ASK, ready["status"]["url"]]}
    client = a_pod(container, name="client")
    api.apply(client)
    api.wait_for(client, lambda each: each.get("status", {}).get("phase") in ("Succeeded", "Failed"), timeout=SECONDS)
    log = api.logs("client")
    assert "answer [" in log, log
    low, high = (float(each) for each in log.partition("answer [")[2].partition("]")[0].split(","))
    assert (low, high) == pytest.approx((21, 81), abs=6)


def test_a_function_that_is_not_there_fails_the_job_with_what_to_change(api: Api, operator: OperatorProcess) -> None:
    job = a_job("model:biuld")
    api.apply(job)

    status = api.wait_for(job, ended, timeout=SECONDS)["status"]

    assert (status["phase"], status["failure"]["reason"]) == ("Failed", "BadInput")
    assert "module model has no function 'biuld'; did you mean 'build'?" in status["failure"]["message"]
    assert status["restarts"] == 0
