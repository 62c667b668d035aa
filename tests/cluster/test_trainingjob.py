"""TrainingJobs on a cluster, by the real operator: its own process, serving the test's namespace only."""

import json
import random
import re
import time
from collections import Counter
from typing import Any

import pytest
from kubernetes import client
from kubernetes.dynamic.exceptions import DynamicApiError

from support.kube_api import Api, Object
from support.manifests import PYTHON_IMAGE, a_claim, a_config_map, a_pod, a_shell
from support.operator_process import OperatorProcess
from support.submitted import a_job, a_program, because, condition, in_phase, jobs_of, says_result, the_job

pytestmark = pytest.mark.usefixtures("cluster_crds")

ROWS = "x,y,kind\n" + "".join(f"{n % 50},{2 * (n % 50) + 1},{'ab'[n % 2]}\n" for n in range(400))
TRAINING_SECONDS = 180
LONG_EPOCHS = 1000
"""So many of 360 steps, one row each, that the operator can be killed several times meanwhile."""


@pytest.fixture(autouse=True)
def inputs(api: Api, default_class: str) -> None:
    api.apply(a_config_map("rows", **{"rows.csv": ROWS}), a_claim("models"))


@pytest.mark.usefixtures("trainyard_images")
def test_a_job_trains_shows_its_progress_and_says_where_its_model_is(api: Api, operator: OperatorProcess) -> None:
    job = a_job(fit={"epochs": 40, "batchSize": 1}, checkpoint={"everySteps": 50})
    api.apply(job)

    seen = api.wait_for(job, in_phase("Running", "Exporting", "Succeeded"), timeout=TRAINING_SECONDS)
    ended = api.wait_for(job, in_phase("Succeeded", "Failed"), timeout=TRAINING_SECONDS)

    status = ended["status"]
    assert seen["status"]["attempts"][0]["outcome"] in ("Running", "Succeeded")
    assert status["phase"] == "Succeeded", status
    assert status["model"]["uri"] == "pvc://models/line/1"
    assert re.fullmatch("sha256:[0-9a-f]{64}", status["model"]["digest"])
    assert status["model"]["sizeBytes"] > 0
    assert {"val_loss"} <= status["model"]["metrics"].keys()
    assert (status["progress"]["percent"], status["progress"]["summary"]) == (100, "40/40")
    assert status["lastCheckpoint"]["step"] > 0
    assert status["completionTime"] >= status["startTime"]
    assert [each["outcome"] for each in status["attempts"]] == ["Succeeded"]
    assert condition(ended, "Succeeded")["status"] == "True"
    api.wait_for_event("line", "Succeeded")  # it goes out after the status it tells of
    reasons = [each["reason"] for each in api.events("line") if each["involvedObject"]["kind"] == "TrainingJob"]
    assert sorted(reasons) == ["Succeeded", "TrainingStarted"]
    assert jobs_of(api) == ["line-worker-0"]
    assert not ended["metadata"].get("annotations")
    assert not ended["metadata"].get("finalizers")


def test_what_is_missing_is_said_before_any_pod_exists(api: Api, operator: OperatorProcess) -> None:
    quota = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "team"}, "spec": {"hard": {"pods": "1"}}}
    many, classless = a_program("true", "many"), a_program("true", "classless")
    many["spec"]["roles"] = {"worker": {"replicas": 2}}
    classless["spec"]["roles"] = {"worker": {"template": {"priorityClassName": "no-such-class"}}}
    # No node has so many: the job gets its pod all the same, in case a node comes.
    greedy = a_program("true", "greedy")
    greedy["spec"]["roles"] = {"worker": {"gpus": 64}}
    api.apply(greedy)
    api.wait_for(greedy, because("GpuNotOffered", "MayNotStart"))
    api.wait_for_event("greedy", "GpuNotOffered", containing="no node offers 64 nvidia.com/gpu")
    api.wait_for(the_job("greedy"), bool, description="it has its Job")

    api.apply(quota, many, classless)

    api.wait_for(many, because("QuotaTooSmall", "Stalled"))
    api.wait_for(classless, because("PriorityClassNotFound", "Stalled"))
    api.wait_for_event("classless", "PriorityClassNotFound", containing="system-node-critical")
    assert jobs_of(api) == ["greedy-worker-0"]


def test_an_attempt_has_what_its_profile_says_and_a_changed_profile_restarts_nothing(
    api: Api, operator: OperatorProcess
) -> None:
    profile: Object = {
        "apiVersion": "trainyard.dev/v1alpha1",
        "kind": "TrainingProfile",
        "metadata": {"name": api.namespace},
        "spec": {"pods": {"tolerations": [{"key": "team", "operator": "Exists"}], "resources": {"limits": {"cpu": 1}}}},
    }
    job = a_program("sleep 600")
    job["spec"]["profile"] = api.namespace
    try:
        api.apply(job)
        api.wait_for(job, because("ProfileNotFound", "Stalled"))
        api.apply(profile)
        running = api.wait_for(job, in_phase("Running"))
        assert running["status"]["profile"] == {"name": api.namespace, "generation": 1}
        before = api.wait_for(the_job(), bool, description="it has its Job")
        pod = before["spec"]["template"]["spec"]
        assert {"key": "team", "operator": "Exists"} in pod["tolerations"]
        assert pod["containers"][0]["resources"]["limits"] == {"cpu": "1"}

        profile["spec"]["limits"] = {"maxGpus": 0, "maxActiveDeadline": "1s"}
        api.apply(profile)
        operator.kill()
        operator.start()
        greedy = a_program("true", "greedy")
        greedy["spec"] |= {"profile": api.namespace, "roles": {"worker": {"gpus": 1}}}
        api.apply(greedy)
        api.wait_for(greedy, because("ProfileLimit", "Stalled"))

        after = api.get(the_job())
        assert after is not None
        assert after["metadata"]["generation"] == before["metadata"]["generation"]
        still = api.get(job)
        assert still is not None
        assert still["status"]["phase"] == "Running"
        assert [each["outcome"] for each in still["status"]["attempts"]] == ["Running"]
    finally:
        api.delete(profile)


@pytest.mark.usefixtures("trainyard_images")
@pytest.mark.thorough
def test_killing_the_operator_over_and_over_changes_nothing(api: Api, operator: OperatorProcess) -> None:
    # What the trainer would choose by measuring may differ from one job to the next.
    fit = {"epochs": LONG_EPOCHS, "batchSize": 1, "seed": 7, "precision": "float32", "jitCompile": False}
    calm, job = a_job("calm", fit=fit), a_job(fit=fit)
    api.apply(calm)
    undisturbed = api.wait_for(calm, in_phase("Succeeded", "Failed"), timeout=TRAINING_SECONDS)["status"]
    api.apply(job)
    chance, kills = random.Random(20261123), Counter[str]()

    # Ten kills at random moments, each of them before the job has ended, and half of them while it trains.
    while kills.total() < 10 or kills["Running"] < 5:
        time.sleep(chance.uniform(0, 1))
        operator.kill()
        phase = (api.get(job) or {}).get("status", {}).get("phase", "new")
        assert phase not in ("Succeeded", "Failed"), f"the job has ended after no more kills than {kills}"
        kills[phase] += 1
        operator.start()

    ended = api.wait_for(job, in_phase("Succeeded", "Failed"), timeout=TRAINING_SECONDS)["status"]
    assert ended["phase"] == undisturbed["phase"] == "Succeeded", ended
    assert ended["model"]["metrics"] == undisturbed["model"]["metrics"]
    assert ended["model"]["version"] == undisturbed["model"]["version"] == 1
    assert ended["progress"]["summary"] == undisturbed["progress"]["summary"] == f"{LONG_EPOCHS}/{LONG_EPOCHS}"
    for status in (ended, undisturbed):
        assert [(each["n"], each["outcome"]) for each in status["attempts"]] == [(0, "Succeeded")]
    assert jobs_of(api) == ["calm-worker-0", "line-worker-0"]
    assert len(api.list("v1", "Pod")) == 2
    assert _told(api, "line") == _told(api, "calm") == ["Succeeded", "TrainingStarted"]


def _told(api: Api, name: str) -> list[str]:
    """The reasons of the events about a TrainingJob; the last goes out after the status it tells of."""
    api.wait_for_event(name, "Succeeded")
    return sorted(each["reason"] for each in api.events(name) if each["involvedObject"]["kind"] == "TrainingJob")


@pytest.mark.usefixtures("trainyard_images", "pods_in_reach")
def test_kubectl_get_shows_how_far_a_running_training_is(
    api: Api, api_client: client.ApiClient, operator: OperatorProcess
) -> None:
    job = a_job(fit={"epochs": 50 * LONG_EPOCHS, "batchSize": 1})
    api.apply(job)
    api.wait_for(job, lambda each: each.get("status", {}).get("progress", {}).get("eta"), timeout=TRAINING_SECONDS)

    # What kubectl asks for, and prints as it comes.
    accept = {"Accept": "application/json;as=Table;v=v1;g=meta.k8s.io"}
    path = f"/apis/trainyard.dev/v1alpha1/namespaces/{api.namespace}/trainingjobs"
    request = api_client.param_serialize("GET", path, header_params=accept, auth_settings=["BearerToken"])
    table = json.loads(api_client.call_api(*request).read())

    names = [each["name"] for each in table["columnDefinitions"]]
    (row,) = (dict(zip(names, each["cells"], strict=True)) for each in table["rows"])
    assert (row["Name"], row["State"]) == ("line", "Running")
    assert 0 <= row["Progress"] < 100
    assert re.fullmatch(rf"\d+/{50 * LONG_EPOCHS}", row["Epoch"])
    assert float(row["Loss"]) > 0
    assert re.fullmatch(r"(\d+[hms])+", row["ETA"])
    assert (row["Restarts"], row["GPUs"]) == (0, 0)


def without_time(progress: dict[str, Any]) -> dict[str, Any]:
    """Return the progress without the time of the answer, which has to be there."""
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", progress["updated"])
    return {name: value for name, value in progress.items() if name not in ("updated", "advanced")}


@pytest.mark.usefixtures("pods_in_reach")
def test_the_progress_of_a_program_of_ones_own_is_read_too(api: Api, operator: OperatorProcess) -> None:
    answer = json.dumps({"phase": "training", "epoch": 2, "epochs": 5, "step": 20, "steps": 50, "loss": 0.5})
    code = (
        "import http.server, os\n"
        "class Handler(http.server.BaseHTTPRequestHandler):\n"
        "    def do_GET(self):\n"
        "        self.send_response(200); self.end_headers()\n"
        f"        self.wfile.write({answer.encode()!r})\n"
        "http.server.HTTPServer(('', int(os.environ['TRAINYARD_PORT'])), Handler).serve_forever()\n"
    )
    job = a_job("own", program={"container": {"image": PYTHON_IMAGE, "command": ["python3", "-c", code]}})
    api.apply(job)

    live = api.wait_for(job, lambda each: each.get("status", {}).get("progress"), description="it has progress")

    assert without_time(live["status"]["progress"]) == {
        "epoch": 2,
        "epochs": 5,
        "step": 20,
        "steps": 50,
        "percent": 40,
        "summary": "2/5",
        "loss": "0.5",
        "metrics": {},
    }
    assert live["status"]["phase"] == "Running"


def test_the_progress_that_a_program_of_ones_own_prints_is_read_too(api: Api, operator: OperatorProcess) -> None:
    line = json.dumps({"epoch": 3, "epochs": 10, "loss": 0.21, "metrics": {"val_accuracy": 0.93}})
    job = a_program(f"echo reading rows; echo 'trainyard: {line}'; echo 'epoch 4 begins'; sleep 600")
    api.apply(job)

    live = api.wait_for(job, lambda each: each.get("status", {}).get("progress"), description="it has progress")

    assert without_time(live["status"]["progress"]) == {
        "epoch": 3,
        "epochs": 10,
        "step": 0,
        "steps": 0,
        "percent": 30,
        "summary": "3/10",
        "loss": "0.21",
        "metrics": {"val_accuracy": "0.93"},
    }
    assert live["status"]["phase"] == "Running"


def test_a_program_that_fails_is_tried_again_as_often_as_it_may(api: Api, operator: OperatorProcess) -> None:
    job = a_program("echo no such table; exit 7", maxRestarts=1)
    api.apply(job)

    ended = api.wait_for(job, in_phase("Failed"))

    assert ended["status"]["restarts"] == 1
    assert [each["exitCode"] for each in ended["status"]["attempts"]] == [7, 7]
    assert ended["status"]["failure"]["message"].endswith("exit code 7: no such table")
    assert jobs_of(api) == ["own-worker-0", "own-worker-1"]
    api.wait_for_event("own", "Failed", containing="no such table")


def test_a_program_that_was_stopped_goes_on_without_being_charged(api: Api, operator: OperatorProcess) -> None:
    script = f"if [ -e $TRAINYARD_MODEL_DIR/half ]; then {says_result()}; exit 0; fi; "
    script += "mkdir -p $TRAINYARD_MODEL_DIR; touch $TRAINYARD_MODEL_DIR/half; exit 75"
    job = a_program(script, maxRestarts=0)
    api.apply(job)

    ended = api.wait_for(job, in_phase("Succeeded", "Failed"))

    assert [each["outcome"] for each in ended["status"]["attempts"]] == ["Stopped", "Succeeded"]
    assert ended["status"]["restarts"] == 0


def test_a_suspended_job_gives_up_its_pod_and_goes_on_when_resumed(api: Api, operator: OperatorProcess) -> None:
    job = a_program("trap 'exit 75' TERM; while true; do sleep 0.1; done")
    api.apply(job)
    api.wait_for(job, in_phase("Running"))

    api.patch(job, {"spec": {"runPolicy": {"suspend": True}}})
    api.wait_for(job, in_phase("Suspended"))
    api.wait_for(the_job(), lambda each: not each["status"].get("active"), description="it has no pod")

    api.patch(job, {"spec": {"runPolicy": {"suspend": False}}})
    live = api.wait_for(job, in_phase("Running"))
    assert [each["outcome"] for each in live["status"]["attempts"]] == ["Running"]
    assert jobs_of(api) == ["own-worker-0"]


def test_a_deadline_that_is_edited_reaches_the_running_job_and_can_be_taken_away(
    api: Api, operator: OperatorProcess
) -> None:
    job = a_program("trap 'exit 143' TERM; while true; do sleep 0.1; done", maxRestarts=0, attemptDeadline="2h")
    api.apply(job)
    api.wait_for(job, in_phase("Running"))

    api.patch(job, {"spec": {"runPolicy": {"attemptDeadline": None}}})
    api.wait_for(the_job(), lambda each: "activeDeadlineSeconds" not in each["spec"], description="it has lost its 2 h")
    api.patch(job, {"spec": {"runPolicy": {"attemptDeadline": "1h"}}})
    api.wait_for(the_job(), lambda each: each["spec"].get("activeDeadlineSeconds") == 3600, description="it has 1 h")
    api.patch(job, {"spec": {"runPolicy": {"attemptDeadline": None}}})
    api.wait_for(the_job(), lambda each: "activeDeadlineSeconds" not in each["spec"], description="it has no deadline")
    api.patch(job, {"spec": {"runPolicy": {"attemptDeadline": "1s"}}})

    ended = api.wait_for(job, in_phase("Failed"))
    assert ended["status"]["failure"]["reason"] == "DeadlineExceeded"


def test_a_job_with_a_queue_starts_when_the_queue_lets_it_and_nobody_fights_over_it(
    api: Api, operator: OperatorProcess
) -> None:
    job = a_program(f"sleep 1; {says_result()}", queueName="gpu")
    job["spec"]["metadata"] = {"labels": {"cost-center": "7"}}
    api.apply(job)
    api.wait_for(job, because("Queued", "Suspended"))
    child = api.wait_for(the_job(), bool, description="it has its Job")
    assert child["metadata"]["labels"]["kueue.x-k8s.io/queue-name"] == "gpu"
    assert child["metadata"]["labels"]["cost-center"] == "7"
    time.sleep(2)  # the operator has had its chances to resume it by itself
    waiting = api.get(the_job())
    assert waiting is not None
    assert (waiting["spec"]["suspend"], waiting["metadata"]["generation"]) == (True, child["metadata"]["generation"])

    api.patch(the_job(), {"spec": {"suspend": False}})  # as Kueue does when it admits the Job

    ended = api.wait_for(job, in_phase("Succeeded", "Failed"))
    assert ended["status"]["phase"] == "Succeeded", ended["status"]
    assert [each["outcome"] for each in ended["status"]["attempts"]] == ["Succeeded"]


def test_a_job_that_somebody_else_suspends_stays_suspended_until_he_resumes_it(
    api: Api, operator: OperatorProcess
) -> None:
    job = a_program("trap 'exit 75' TERM; while true; do sleep 0.1; done")
    api.apply(job)
    api.wait_for(job, in_phase("Running"))

    api.patch(the_job(), {"spec": {"suspend": True}})
    held = api.wait_for(job, in_phase("Suspended"))
    assert "suspended by" in next(
        each["message"] for each in held["status"]["conditions"] if each["type"] == "Suspended"
    )
    assert api.get(the_job())["spec"]["suspend"] is True

    api.patch(the_job(), {"spec": {"suspend": False}})
    api.wait_for(job, in_phase("Running"))
    assert jobs_of(api) == ["own-worker-0"]


def test_deleting_a_job_removes_what_was_made_for_it_and_nothing_else(api: Api, operator: OperatorProcess) -> None:
    job = a_program("sleep 600")
    api.apply(job)
    api.wait_for(job, in_phase("Running"))

    api.delete(job)

    for child in (
        the_job(),
        {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "own-training"}},
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "own-spec"}},
    ):
        api.wait_until_gone(child)
    assert api.get({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "rows"}})
    assert api.get({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "models"}})


def test_a_job_made_anew_under_the_same_name_starts_from_the_beginning(api: Api, operator: OperatorProcess) -> None:
    job = a_program(says_result())
    api.apply(job)
    api.wait_for(job, in_phase("Succeeded"))
    api.delete(job)
    api.wait_until_gone(job)
    api.apply(job)

    ended = api.wait_for(job, in_phase("Succeeded", "Failed"))

    assert ended["status"]["phase"] == "Succeeded"
    assert not [each for each in api.events("own") if each["reason"] == "NameTaken"]


def test_what_has_ended_is_not_run_again(api: Api, operator: OperatorProcess) -> None:
    job = a_program(says_result())
    api.apply(job)
    ended = api.wait_for(job, in_phase("Succeeded"))
    api.delete(the_job())
    api.wait_until_gone(the_job())

    operator.kill()
    operator.start()
    other = a_program(says_result(name="other"), "other")
    api.apply(other)
    api.wait_for(other, in_phase("Succeeded"))

    assert jobs_of(api) == ["other-worker-0"]
    assert (api.get(job) or {})["status"] == ended["status"]


def test_a_job_at_rest_is_left_alone(api: Api, operator: OperatorProcess) -> None:
    job = a_program("sleep 600")
    api.apply(job)
    live = api.wait_for(job, in_phase("Running"))
    time.sleep(2)

    assert (api.get(job) or {})["metadata"]["resourceVersion"] == live["metadata"]["resourceVersion"]


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ({"fitt": {}}, "fitt"),
        ({"fit": {"epochs": 0}}, "epochs"),
        ({"program": {"keras": {"task": "regression"}, "container": {"image": "x"}}}, "exactly one of"),
    ],
)
def test_a_spec_that_breaks_the_schema_is_refused_at_once(api: Api, spec: Object, says: str) -> None:
    with pytest.raises(DynamicApiError) as refused:
        api.apply(a_job("wrong", **spec))

    assert says in refused.value.summary()


def test_data_that_is_not_there_yet_is_waited_for_and_named(api: Api, operator: OperatorProcess) -> None:
    data = {"source": {"configMap": {"name": "later", "key": "rows.csv"}}, "label": "y"}
    job = a_program(says_result()) | {}
    job["spec"]["data"] = data
    api.apply(job)

    waiting = api.wait_for(job, because("DataNotFound", "Stalled"))

    assert "ConfigMap 'later'" in condition(waiting, "Stalled")["message"]
    api.wait_for_event("own", "DataNotFound", containing="'later'")
    api.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "later"}, "data": {"rows.csv": "x,y\n"}})
    api.wait_for(job, in_phase("Succeeded"))


def test_a_store_that_does_not_exist_is_named(api: Api, operator: OperatorProcess) -> None:
    job = a_job(output={"store": {"persistentVolumeClaim": {"claimName": "nowhere"}}})
    api.apply(job)

    waiting = api.wait_for(job, because("StoreNotFound", "Stalled"))

    assert "PersistentVolumeClaim 'nowhere'" in condition(waiting, "Stalled")["message"]
    api.wait_for_event("line", "StoreNotFound", containing="'nowhere'")


def test_more_gpus_than_any_node_has_is_said_with_what_to_change(api: Api, operator: OperatorProcess) -> None:
    job = a_job(roles={"worker": {"gpus": 64}})
    api.apply(job)

    waiting = api.wait_for(job, because("Unschedulable"))

    assert "It asks for 64 nvidia.com/gpu" in condition(waiting, "Running")["message"]
    assert waiting["status"]["gpus"] == 64
    api.wait_for_event("line", "Unschedulable", containing="64 nvidia.com/gpu")


@pytest.mark.usefixtures("trainyard_images")
@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ({"data": {"source": {"configMap": {"name": "rows", "key": "rows.csv"}}, "label": "churned"}}, "churned"),
        ({"data": {"source": {"uri": "file:///no/such/file.csv"}, "label": "y"}}, "/no/such/file.csv"),
        ({"data": {"source": {"configMap": {"name": "empty", "key": "empty.csv"}}, "label": "y"}}, "empty"),
    ],
    ids=["a label that is no column", "a file that does not exist", "no rows"],
)
def test_what_the_trainer_refuses_is_final_and_passed_on(
    api: Api, operator: OperatorProcess, spec: Object, says: str
) -> None:
    api.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "empty"}, "data": {"empty.csv": ""}})
    _assert_that_the_trainer_refuses(api, a_job(**spec), says)


@pytest.mark.usefixtures("trainyard_images")
def test_a_store_that_cannot_be_written_is_final_and_named(api: Api, operator: OperatorProcess) -> None:
    # Root may write everywhere, but not below a file.
    spoil = a_shell("touch /store/line") | {"volumeMounts": [{"name": "store", "mountPath": "/store"}]}
    store = {"name": "store", "persistentVolumeClaim": {"claimName": "models"}}
    pod = a_pod(spoil, name="spoiler", volumes=[store])
    api.apply(pod)
    api.wait_for(pod, in_phase("Succeeded"))
    api.delete(pod)

    _assert_that_the_trainer_refuses(api, a_job(), "cannot write to the store")


def _assert_that_the_trainer_refuses(api: Api, job: Object, says: str) -> None:
    api.apply(job)
    ended = api.wait_for(job, in_phase("Failed", "Succeeded"), timeout=TRAINING_SECONDS)

    failure, failed = ended["status"]["failure"], condition(ended, "Failed")
    assert failure["exitCode"] == 2
    assert says in failure["message"]
    assert (failed["status"], failed["reason"]) == ("True", failure["reason"])
    assert says in failed["message"]
    assert jobs_of(api) == ["line-worker-0"]
    assert api.wait_for_event("line", "Failed", containing=says)["type"] == "Warning"
