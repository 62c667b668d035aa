"""Trainings in several pods, by the real operator: with a program that needs nothing but Python, and by the trainer."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from kubernetes import client

from support.kube_api import Api, Object
from support.manifests import PYTHON_IMAGE, a_claim, a_config_map
from trainyard_api.names import JOB_LABEL

pytestmark = pytest.mark.usefixtures("cluster_crds")

TRAINING_SECONDS = 180
RESULT = json.dumps(
    {
        "reason": "Done",
        "message": "met",
        "metrics": {},
        "model": {"name": "group", "version": 1, "path": "group/1", "digest": "sha256:" + "ab" * 32, "sizeBytes": 1},
    }
)
MEET = f"""
import json, os, pathlib, signal, socket, sys, threading, time

config = json.loads(os.environ["TF_CONFIG"])
workers, index = config["cluster"]["worker"], config["task"]["index"]
folder = pathlib.Path(os.environ["TRAINYARD_MODEL_DIR"])
folder.mkdir(parents=True, exist_ok=True)
# On a devcluster TensorFlow, in the test of the trainer, takes the ports of TF_CONFIG at the addresses of all pods.
places = [(host, int(port) + 20000) for host, _, port in (each.rpartition(":") for each in workers)]
listener = socket.create_server(("", places[index][1]))

def call():
    while True:
        try:
            return socket.create_connection(places[1 - index], timeout=60)
        except OSError:
            time.sleep(0.1)

def meet():
    # Each says its index to the other; the one that ends first has heard as much as it has said.
    threading.Thread(target=lambda: listener.accept()[0].sendall(bytes([index]))).start()
    heard = call().recv(1)[0]
    assert heard == 1 - index, heard
    (folder / f"met-{{index}}").touch()
    while not (folder / f"met-{{1 - index}}").exists():
        time.sleep(0.05)
    print("worker", index, "of", len(workers), "has met worker", heard, flush=True)

def end():
    if index == 0:
        pathlib.Path(os.environ["TRAINYARD_TERMINATION_MESSAGE_PATH"]).write_text('''{RESULT}''')
"""
# Worker 1 is killed once both have met; worker 0 does not notice, and takes its time when it is asked to end.
KILLED = """
if (folder / "killed").exists():
    if not (folder / "ended-0").exists():
        sys.exit("worker 0 of the last attempt still runs")
elif index == 1:
    meet()
    (folder / "killed").touch()
    os._exit(137)  # the first process of a container can neither kill itself nor be stopped unawares
else:
    def stop(*_):
        time.sleep(1)
        for each in (0, 1):
            (folder / f"met-{each}").unlink()
        (folder / "ended-0").touch()
        os._exit(75)

    signal.signal(signal.SIGTERM, stop)
    meet()
    threading.Event().wait()
"""
# Both wait until SIGTERM ends them; the next time both find that they have met before.
WAIT = """
signal.signal(signal.SIGTERM, lambda *_: os._exit(143))
if not (folder / "met-1").exists():
    meet()
    threading.Event().wait()
"""


def a_group(code: str, **worker: object) -> Object:
    """A training in two pods, each of which runs the code, on one node: it may be the only one that has their store."""
    same = {"labelSelector": {"matchLabels": {JOB_LABEL: "group"}}, "topologyKey": "kubernetes.io/hostname"}
    together = {"podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [same]}}
    return {
        "apiVersion": "trainyard.dev/v1alpha1",
        "kind": "TrainingJob",
        "metadata": {"name": "group"},
        "spec": {
            "program": {"container": {"image": PYTHON_IMAGE, "command": ["python3", "-c", code]}},
            "data": {"source": {"configMap": {"name": "rows"}}, "label": "y"},
            "roles": {"worker": {"replicas": 2, "template": {"affinity": together}, **worker}},
            "output": {"store": {"persistentVolumeClaim": {"claimName": "models"}}},
        },
    }


@pytest.fixture(autouse=True)
def inputs(api: Api, default_class: str) -> None:
    api.apply(a_config_map("rows", **{"rows.csv": "x,y\n"}), a_claim("models"))


def ended(job: Object) -> bool:
    return job.get("status", {}).get("phase") in ("Succeeded", "Failed")


def pods_of(api: Api, attempt: int) -> list[Object]:
    return api.list("v1", "Pod", label_selector=f"trainyard.dev/attempt={attempt}")


def logs(api: Api, attempt: int) -> list[str]:
    return sorted(api.logs(pod["metadata"]["name"]) for pod in pods_of(api, attempt))


@pytest.mark.usefixtures("operator")
def test_the_pods_of_a_training_find_each_other_by_name_and_succeed_together(api: Api, gpus: int) -> None:
    if gpus < 2:
        pytest.skip("two pods with a GPU each need a node that declares two")
    job = a_group(MEET + "meet()\nend()\n", gpus=1)
    api.apply(job)

    status = api.wait_for(job, ended)["status"]

    assert status["phase"] == "Succeeded", status
    assert logs(api, 0) == [f"worker {index} of 2 has met worker {1 - index}\n" for index in range(2)]
    assert (status["gpus"], status["model"]["uri"]) == (2, "pvc://models/group/1")
    assert [(each["n"], each["outcome"]) for each in status["attempts"]] == [(0, "Succeeded")]


@pytest.mark.usefixtures("operator")
def test_a_killed_pod_takes_the_others_along_and_all_start_again_together(api: Api) -> None:
    job = a_group(MEET + KILLED + "meet()\nend()\n")
    api.apply(job)

    status = api.wait_for(job, ended)["status"]

    first, second = status["attempts"]
    assert (first["outcome"], first["index"], first["exitCode"]) == ("Failed", 1, 137)
    assert (second["outcome"], status["phase"], status["restarts"]) == ("Succeeded", "Succeeded", 1)
    assert len(logs(api, 1)) == 2
    api.wait_for_event("group", "AttemptFailed", containing="worker 1: exit code 137")


@pytest.mark.usefixtures("operator")
def test_an_evicted_pod_takes_the_others_along_and_nobody_is_charged(api: Api, api_client: client.ApiClient) -> None:
    job = a_group(MEET + WAIT + "end()\n")
    job["spec"]["runPolicy"] = {"maxRestarts": 0}
    api.apply(job)
    api.wait_for(job, lambda each: each.get("status", {}).get("phase") == "Running", description="both pods run")
    evicted = next(pod["metadata"]["name"] for pod in pods_of(api, 0) if pod["spec"]["hostname"].endswith("-1"))
    wait_for_log(api, evicted)

    eviction = client.V1Eviction(metadata=client.V1ObjectMeta(name=evicted))
    client.CoreV1Api(api_client).create_namespaced_pod_eviction(evicted, api.namespace, eviction)

    status = api.wait_for(job, ended)["status"]
    assert [each["outcome"] for each in status["attempts"]] == ["Stopped", "Succeeded"], status
    assert (status["phase"], status["restarts"]) == ("Succeeded", 0)


def wait_for_log(api: Api, pod: str) -> None:
    """Return once the pod has said something."""
    assert next(api.follow_logs(pod))


def a_training_with_servers(name: str = "group", **spec: Any) -> Object:
    """A chief, two workers and a parameter server train one model."""
    job = a_group("")
    job["metadata"]["name"] = name
    job["spec"] |= {
        "program": {"keras": {"task": "regression", "family": "linear"}},
        "fit": {"epochs": 20, "batchSize": 32, "optimizer": {"learningRate": 0.1}, "metrics": ["r2_score"]},
        "roles": {"worker": {"replicas": 2}, "ps": {"replicas": 1}},
    }
    job["spec"] |= spec
    return job


def exit_codes(api: Api, name: str, role: str, attempt: int = 0) -> list[int]:
    selector = f"batch.kubernetes.io/job-name={name}-{role}-{attempt}"
    pods = api.list("v1", "Pod", label_selector=selector)
    ends = [pod["status"]["containerStatuses"][0]["state"].get("terminated", {}) for pod in pods]
    return [each.get("exitCode", -1) for each in ends]


@pytest.mark.usefixtures("tensorflow_ports", "operator", "trainyard_images")
def test_a_chief_two_workers_and_a_parameter_server_train_one_model(api: Api) -> None:
    rows = "x,y\n" + "".join(f"{n % 50},{2 * (n % 50) + 1}\n" for n in range(400))
    api.apply(a_config_map("rows", **{"rows.csv": rows}))
    job = a_training_with_servers()
    api.apply(job)

    status = api.wait_for(job, ended, timeout=2 * TRAINING_SECONDS)["status"]

    assert status["phase"] == "Succeeded", status
    assert status["strategy"] == "ParameterServer"
    assert [each["outcome"] for each in status["attempts"]] == ["Succeeded"]
    assert float(status["model"]["metrics"]["val_r2_score"]) > 0.99
    jobs = sorted(each["metadata"]["name"] for each in api.list("batch/v1", "Job"))
    assert jobs == ["group-chief-0", "group-ps-0", "group-worker-0"]
    assert exit_codes(api, "group", "worker") == [0, 0]
    assert exit_codes(api, "group", "ps") == [0]


@pytest.mark.usefixtures("tensorflow_ports", "operator", "trainyard_images")
@pytest.mark.thorough
def test_a_worker_or_server_that_is_taken_away_is_replaced_from_a_checkpoint_and_not_charged(
    api: Api, api_client: client.ApiClient
) -> None:
    rows = "x,y\n" + "".join(f"{n % 50},{2 * (n % 50) + 1}\n" for n in range(400))
    api.apply(a_config_map("rows", **{"rows.csv": rows}))
    job = a_training_with_servers(fit={"epochs": 100000, "batchSize": 32, "stopWhen": {"timeLimit": "30s"}})
    job["spec"]["runPolicy"] = {"maxRestarts": 0}
    api.apply(job)
    for attempt, role in enumerate(("worker", "ps")):
        api.wait_for(job, trains(attempt), timeout=TRAINING_SECONDS)
        (pod, *_) = api.list("v1", "Pod", label_selector=f"batch.kubernetes.io/job-name=group-{role}-{attempt}")
        client.CoreV1Api(api_client).delete_namespaced_pod(pod["metadata"]["name"], api.namespace)

    status = api.wait_for(job, ended, timeout=2 * TRAINING_SECONDS)["status"]

    assert status["phase"] == "Succeeded", status
    assert [each["outcome"] for each in status["attempts"]] == ["Stopped", "Stopped", "Succeeded"]
    assert status["restarts"] == 0


def trains(attempt: int) -> Callable[[Object], bool]:
    def holds(job: Object) -> bool:
        status = job.get("status", {})
        return bool(status.get("phase") == "Running" and status["attempts"][-1]["n"] == attempt)

    return holds


@pytest.mark.usefixtures("operator")
def test_servers_of_a_program_of_ones_own_go_when_its_chief_has_ended(api: Api) -> None:
    code = f"""
import json, os, pathlib, threading
config = json.loads(os.environ["TF_CONFIG"])
if config["task"]["type"] != "chief":
    threading.Event().wait()
assert {{role: len(there) for role, there in config["cluster"].items()}} == {{"chief": 1, "worker": 2, "ps": 1}}
pathlib.Path(os.environ["TRAINYARD_TERMINATION_MESSAGE_PATH"]).write_text({RESULT!r})
"""
    job = a_training_with_servers(program={"container": {"image": PYTHON_IMAGE, "command": ["python3", "-c", code]}})
    api.apply(job)

    status = api.wait_for(job, ended, timeout=TRAINING_SECONDS)["status"]

    assert status["phase"] == "Succeeded", status
    for role in ("ps", "worker"):
        api.wait_until_gone({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": f"group-{role}-0"}})


@pytest.mark.usefixtures("tensorflow_ports", "operator", "trainyard_images")
def test_the_trainer_trains_one_model_in_two_pods(api: Api) -> None:
    rows = "x,y\n" + "".join(f"{n % 50},{2 * (n % 50) + 1}\n" for n in range(400))
    api.apply(a_config_map("rows", **{"rows.csv": rows}))
    job = a_group("")
    job["spec"] |= {
        "program": {"keras": {"task": "regression", "family": "linear"}},
        "fit": {"epochs": 30, "batchSize": 32, "optimizer": {"learningRate": 0.1}, "metrics": ["r2_score"]},
    }
    api.apply(job)

    status = api.wait_for(job, ended, timeout=TRAINING_SECONDS)["status"]

    assert status["phase"] == "Succeeded", status
    assert [each["outcome"] for each in status["attempts"]] == ["Succeeded"]
    assert status["model"]["version"] == 1
    assert float(status["model"]["metrics"]["val_r2_score"]) > 0.99
    assert (status["progress"]["percent"], status["progress"]["summary"]) == (100, "30/30")
    assert [pod["status"]["phase"] for pod in pods_of(api, 0)] == ["Succeeded", "Succeeded"]
