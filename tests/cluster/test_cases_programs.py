"""Programs that say too much, nonsense or nothing, and trainings that come back: each ends, and says why."""

import json
from typing import Any

import pytest

from cluster.test_trainingjob import ROWS, TRAINING_SECONDS
from support.kube_api import Api, Object
from support.manifests import PYTHON_IMAGE, a_claim, a_config_map
from support.operator_process import OperatorProcess
from support.submitted import DIGEST, a_job, a_program, condition, in_phase, says_result

pytestmark = pytest.mark.usefixtures("cluster_crds")


@pytest.fixture(autouse=True)
def inputs(api: Api, default_class: str) -> None:
    api.apply(a_config_map("rows", **{"rows.csv": ROWS}), a_claim("models"))


def a_report(**fields: Any) -> str:
    """The last word of a training that ended well."""
    model = {"name": "own", "version": 1, "path": "own/1", "digest": DIGEST, "sizeBytes": 1}
    word = {"reason": "Done", "message": "ok", "epochs": 1, "steps": 1, "metrics": {}, "model": model}
    return json.dumps(word | fields)


def a_python_program(code: str, **run_policy: Any) -> Object:
    container = {"image": PYTHON_IMAGE, "command": ["python3", "-u", "-c", code]}
    return a_job("own", program={"container": container}, runPolicy=run_policy)


def leaves(word: str) -> str:
    """Python that leaves this as its last word."""
    return f"import os; open(os.environ['TRAINYARD_TERMINATION_MESSAGE_PATH'], 'w').write({word!r})"


def test_a_result_that_kubernetes_cut_is_tried_again_and_says_what_to_leave_out(
    api: Api, operator: OperatorProcess
) -> None:
    long = a_report(metrics={f"val_metric_{number}": number / 7 for number in range(200)})
    first = "import pathlib; half = pathlib.Path(os.environ['TRAINYARD_MODEL_DIR'], 'half')"
    code = f"import os; {first}; again = half.exists(); half.parent.mkdir(parents=True, exist_ok=True); half.touch()\n"
    code += f"word = {a_report()!r} if again else {long!r}\n"
    code += "open(os.environ['TRAINYARD_TERMINATION_MESSAGE_PATH'], 'w').write(word)"
    job = a_python_program(code)
    api.apply(job)

    ended = api.wait_for(job, in_phase("Succeeded"))

    assert [attempt["outcome"] for attempt in ended["status"]["attempts"]] == ["Failed", "Succeeded"]
    api.wait_for_event("own", "AttemptFailed", containing="leave metrics out of it")


@pytest.mark.parametrize(
    ("fields", "left_out"),
    [
        pytest.param(
            {"lastCheckpoint": {"step": 1, "path": "x", "time": "0001-01-01T00:00:00Z"}}, "lastCheckpoint", id="Go"
        ),
        pytest.param({"metrics": {"\x1b[2J\x1b[31mX\x07": 1.0}}, "1 of its metrics", id="a terminal"),
    ],
)
def test_a_report_that_nobody_can_use_does_not_keep_its_job_from_ending(
    api: Api, operator: OperatorProcess, fields: Object, left_out: str
) -> None:
    job = a_python_program(leaves(a_report(**fields)))
    api.apply(job)

    ended = api.wait_for(job, in_phase("Succeeded"))

    assert condition(ended, "Succeeded")["message"].endswith(left_out)
    assert "\x1b" not in json.dumps(ended["status"], ensure_ascii=False) + operator.log.read_text()


def test_a_training_bears_as_many_stops_as_its_spec_says(api: Api, operator: OperatorProcess) -> None:
    job = a_program("exit 75", maxDisruptions=2)
    api.apply(job)

    ended = api.wait_for(job, in_phase("Failed"))

    assert [attempt["outcome"] for attempt in ended["status"]["attempts"]] == ["Stopped"] * 3
    assert ended["status"]["restarts"] == 0
    assert "maxDisruptions" in condition(ended, "Failed")["message"]


def test_programs_that_accept_and_never_answer_delay_no_other_job(api: Api, operator: OperatorProcess) -> None:
    code = "import os, socket, time; s = socket.create_server(('', int(os.environ['TRAINYARD_PORT']))); time.sleep(600)"
    silent = [a_python_program(code) | {"metadata": {"name": f"silent-{number}"}} for number in range(4)]
    api.apply(*silent)
    for job in silent:
        api.wait_for(job, in_phase("Running"))

    job = a_program(says_result())
    api.apply(job)
    api.wait_for(job, lambda live: "status" in live, description="it has a status", timeout=5)
    api.wait_for(job, in_phase("Succeeded"))


@pytest.mark.usefixtures("trainyard_images")
@pytest.mark.thorough
def test_a_job_that_is_restored_without_its_status_reports_the_version_of_before(
    api: Api, operator: OperatorProcess
) -> None:
    job = a_job(output={"store": {"persistentVolumeClaim": {"claimName": "models"}}, "reuse": True})
    api.apply(job)
    first = api.wait_for(job, in_phase("Succeeded"), timeout=TRAINING_SECONDS)["status"]["model"]
    api.delete(job)
    api.wait_until_gone(job)

    api.apply(job)

    again = api.wait_for(job, in_phase("Succeeded"), timeout=TRAINING_SECONDS)["status"]["model"]
    assert (again["version"], again["digest"]) == (first["version"], first["digest"])
