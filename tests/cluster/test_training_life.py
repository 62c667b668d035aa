"""The life of TrainingJobs on a cluster beside the plain way: too slow, stuck, out of time."""

import json

import pytest
from kubernetes import client

from support.kube_api import Api
from support.manifests import a_claim, a_config_map
from support.operator_process import OperatorProcess
from support.submitted import a_job, a_program, in_phase, jobs_of, says_result, the_job
from trainyard_api.housekeeping import USE_FILE

pytestmark = pytest.mark.usefixtures("cluster_crds")

FOR_EVER = "while true; do sleep 0.1; done"
# A shell that is the first process of its container hears only the signals that it waits for.
UNTIL_STOPPED = f"trap 'exit 143' TERM; {FOR_EVER}"
LINE = "trainyard: " + json.dumps({"epoch": 1, "epochs": 5, "step": 10, "steps": 50})


@pytest.fixture(autouse=True)
def inputs(api: Api, default_class: str) -> None:
    api.apply(a_config_map("rows", **{"rows.csv": "x,y\n1,2\n"}), a_claim("models"))


def test_a_trainer_that_gets_no_further_is_started_again(api: Api, operator: OperatorProcess) -> None:
    script = f"if [ -e $TRAINYARD_MODEL_DIR/half ]; then {says_result()}; exit 0; fi; "
    script += f"mkdir -p $TRAINYARD_MODEL_DIR; touch $TRAINYARD_MODEL_DIR/half; echo '{LINE}'; trap 'exit 0' TERM; "
    job = a_program(script + FOR_EVER, stallTimeout="30s")
    api.apply(job)

    ended = api.wait_for(job, in_phase("Succeeded", "Failed"), timeout=120)

    assert [each["outcome"] for each in ended["status"]["attempts"]] == ["Failed", "Succeeded"]
    assert ended["status"]["restarts"] == 1
    api.wait_for_event("own", "AttemptFailed", containing="has not got beyond step 10")


def test_pods_that_no_node_takes_are_given_up_in_the_schedulers_words(api: Api, operator: OperatorProcess) -> None:
    job = a_program(UNTIL_STOPPED, startupTimeout="3s", maxRestarts=0)
    job["spec"]["roles"] = {"worker": {"gpus": 64}}
    api.apply(job)

    failed = api.wait_for(job, in_phase("Failed"))

    assert failed["status"]["failure"]["reason"] == "Unschedulable"
    assert "Insufficient nvidia.com/gpu" in failed["status"]["failure"]["message"]
    api.wait_for_event("own", "Failed", containing="spec.runPolicy.startupTimeout (3s)")


def test_a_deadline_passes_while_no_operator_runs(api: Api, operator: OperatorProcess) -> None:
    job = a_program(UNTIL_STOPPED, activeDeadline="4s")
    api.apply(job)
    api.wait_for(job, in_phase("Running"))
    operator.kill()
    operator.start()

    failed = api.wait_for(job, in_phase("Failed"), timeout=30)

    assert failed["status"]["failure"]["reason"] == "DeadlineExceeded"
    api.wait_until_gone(the_job())
    assert jobs_of(api) == []


def test_only_the_record_of_a_finished_training_stays_and_holds_no_claim(api: Api, operator: OperatorProcess) -> None:
    job = a_program(says_result(), ttlAfterFinished="2s")
    api.apply(job)
    ended = api.wait_for(job, in_phase("Succeeded", "Failed"))

    api.wait_until_gone(the_job())
    api.wait_until_gone({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "own-spec"}})
    claim = a_claim("models")
    api.delete(claim)
    api.wait_until_gone(claim)

    assert api.get(job)["status"] == ended["status"]
    assert ended["status"]["model"]["uri"] == "pvc://models/own/1"


def test_all_pods_of_a_finished_training_go_where_asked(api: Api, operator: OperatorProcess) -> None:
    job = a_program("echo no such table; exit 7", maxRestarts=0, cleanPods="All")
    api.apply(job)
    api.wait_for(job, in_phase("Failed"))

    api.wait_until_gone(the_job())

    assert "no such table" in api.get(job)["status"]["failure"]["message"]


def test_a_failed_training_says_where_why_and_in_which_words(
    api: Api, api_client: client.ApiClient, operator: OperatorProcess
) -> None:
    job = a_program(
        "echo reads rows; echo password=hunter2; echo no such table; exit 7", maxRestarts=0, cleanPods="All"
    )
    api.apply(job)
    api.wait_for(job, in_phase("Failed"))
    api.wait_until_gone(the_job())

    failure = api.get(job)["status"]["failure"]
    assert (failure["reason"], failure["reasonClass"], failure["exitCode"]) == ("Error", "ApplicationError", 7)
    assert failure["logTail"] == ["reads rows", "password=***", "no such table"]
    assert (failure["role"], failure["attempt"]) == ("worker", 0)
    assert failure["node"]
    # What `kubectl get tj` prints.
    accept = {"Accept": "application/json;as=Table;v=v1;g=meta.k8s.io"}
    path = f"/apis/trainyard.dev/v1alpha1/namespaces/{api.namespace}/trainingjobs"
    request = api_client.param_serialize("GET", path, header_params=accept, auth_settings=["BearerToken"])
    table = json.loads(api_client.call_api(*request).read())
    shown = {
        each["name"]: cell for each, cell in zip(table["columnDefinitions"], table["rows"][0]["cells"], strict=True)
    }
    assert (shown["State"], shown["Reason"]) == ("Failed", "Error")


@pytest.mark.usefixtures("trainyard_images")
def test_a_training_trains_again_under_its_name_to_the_next_version(api: Api, operator: OperatorProcess) -> None:
    api.apply(a_config_map("rows", **{"rows.csv": "x,y\n" + "".join(f"{n % 9},{n % 9 + 1}\n" for n in range(99))}))
    job = a_job(fit={"epochs": 2, "batchSize": 32})
    api.apply(job)
    first = api.wait_for(job, in_phase("Succeeded", "Failed"), timeout=180)["status"]
    assert (first["phase"], first["model"]["version"]) == ("Succeeded", 1)

    api.patch(job, {"spec": {"runPolicy": {"rerun": "monday"}}})
    again = api.wait_for(job, lambda each: each["status"].get("run") == 1, description="it trains again")
    assert again["status"]["model"]["version"] == 1
    second = api.wait_for(job, in_phase("Succeeded", "Failed"), timeout=180)["status"]

    assert (second["phase"], second["model"]["version"], second["rerun"]) == ("Succeeded", 2, "monday")
    assert [(former["outcome"], former["version"]) for former in second["runs"]] == [("Succeeded", 1)]
    assert {each["type"]: each["status"] for each in second["conditions"]}["DataChanged"] == "False"
    api.wait_for_event("line", "RerunStarted", containing="'monday'")


def test_a_training_with_a_schedule_trains_again_by_itself(api: Api, operator: OperatorProcess) -> None:
    job = a_program(says_result(), schedule={"cron": "* * * * *", "timeZone": "Europe/Berlin"})
    api.apply(job)
    first = api.wait_for(job, in_phase("Succeeded"))["status"]

    again = api.wait_for(job, lambda each: each["status"].get("run"), timeout=100, description="it trains again")

    assert again["status"]["lastScheduleTime"] > first["startTime"]
    assert again["status"]["nextScheduleTime"] > again["status"]["lastScheduleTime"]
    api.wait_for_event("own", "RerunStarted", containing="scheduled for")


def test_a_training_that_removes_versions_is_told_which_ones_are_in_use(api: Api, operator: OperatorProcess) -> None:
    told = f"grep -q '\"inUse\":\\[\\]' ${{TRAINYARD_SPEC%/*}}/{USE_FILE}"
    job = a_program(f"{told} || exit 2; {UNTIL_STOPPED}")
    job["spec"]["output"] |= {"keep": {"versions": 1}}
    service = {
        "apiVersion": "trainyard.dev/v1alpha1",
        "kind": "ModelService",
        "metadata": {"name": "served"},
        "spec": {"model": {"uri": "pvc://models/own/3"}},
    }
    api.apply(job)
    api.wait_for(job, in_phase("Running", "Failed"))
    api.apply(service)
    api.wait_for(service, lambda found: bool(found.get("status")), description="the operator has seen it")

    api.patch(job, {"metadata": {"labels": {"look": "now"}}})  # it would look by itself within a minute

    config_map = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "own-spec"}}
    api.wait_for(
        config_map, lambda found: json.loads(found["data"][USE_FILE])["inUse"] == [3], description="version 3 is told"
    )
    assert in_phase("Running")(api.get(job) or {})
