"""The command, as a person types it: what it prints, where, and how it ends."""

import io
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from rich.console import Console

from support.client_cluster import MemoryCluster, a_failure, a_model, a_pod_of, a_ready_service, a_training
from trainyard.cli.app import main
from trainyard.cli.context import Context
from trainyard.client import Client
from unit.client.test_client import CSV, answering

NARROW = 80


@dataclass(frozen=True, slots=True)
class Ran:
    """How a command ended."""

    code: int
    out: str
    err: str


class Terminal:
    """Runs commands against a cluster in memory, in a pipe or on a terminal of some width."""

    def __init__(self, cluster: MemoryCluster) -> None:
        self.cluster = cluster

    def run(self, *arguments: str, width: int = 200, terminal: bool = False) -> Ran:
        out, err = io.StringIO(), io.StringIO()
        shared = Context(connect=lambda context: Client(context.namespace, cluster=self.cluster))
        options: dict[str, Any] = {"width": width, "force_terminal": terminal, "markup": False, "emoji": False}
        shared.out = Console(file=out, color_system="standard" if terminal else None, **options)
        shared.err = Console(file=err, color_system=None, **options)
        code = main(arguments, shared)
        return Ran(code, out.getvalue(), err.getvalue())


@pytest.fixture
def cluster() -> MemoryCluster:
    found = MemoryCluster()
    found.put({"kind": "PersistentVolumeClaim", "metadata": {"name": "models"}})
    return found


@pytest.fixture
def shell(cluster: MemoryCluster) -> Terminal:
    return Terminal(cluster)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "penguins.csv"
    path.write_text(CSV)
    return path


def test_train_says_what_it_found_and_what_comes_next(shell: Terminal, cluster: MemoryCluster, file: Path) -> None:
    cluster.changes["penguins-1"] = [cluster.put(a_training())]
    cluster.objects.pop(("trainingjobs", "team", "penguins-1"))

    ran = shell.run("train", str(file), "--label", "species", width=NARROW)

    assert ran.code == 0, ran.err
    lines = ran.out.splitlines()
    assert lines[0] == "penguins.csv    60 rows, 4 columns"
    assert "  left out      rowid: it numbers the rows   (--keep rowid to use it)" in lines
    assert "training        penguins-1, the best of linear, gradientBoostedTrees, mlp, 1 pod" in lines
    assert "0.637 better than always saying" in " ".join(ran.out.split())
    assert lines[-2].startswith("trainyard deploy penguins-1")
    assert max(map(len, lines)) <= NARROW
    assert not any(line.endswith(" ") for line in lines)


def test_a_dry_run_prints_a_manifest_that_kubectl_takes_and_sends_nothing(
    shell: Terminal, cluster: MemoryCluster, file: Path
) -> None:
    ran = shell.run("train", str(file), "-l", "species", "--dry-run", "--set", "fit.epochs=7")

    manifest = yaml.safe_load(ran.out)
    assert (manifest["kind"], manifest["spec"]["fit"]["epochs"]) == ("TrainingJob", 7)
    assert "rowid" in ran.err
    assert cluster.sent == []


def test_train_for_programs_prints_the_resource_only(shell: Terminal, file: Path) -> None:
    ran = shell.run("train", str(file), "-l", "species", "--no-follow", "-o", "json")

    assert json.loads(ran.out)["metadata"]["name"] == "penguins-1"


def test_a_training_that_fails_ends_with_its_message_and_code_3(shell: Terminal, cluster: MemoryCluster) -> None:
    cluster.put(a_failure())

    ran = shell.run("watch", "penguins-2")

    assert ran.code == 3
    assert ran.err == "trainyard: training penguins-2 failed: BadInput: the label 'speces' is not a column\n"


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        pytest.param(["train"], 2, "Missing argument 'DATA'; see trainyard train --help", id="an argument is missing"),
        pytest.param(["trian"], 2, "No such command 'trian'", id="no such command"),
        pytest.param(["list", "--al"], 2, "see trainyard list --help", id="no such option"),
        pytest.param(["train", "x.csv", "-l", "y"], 2, "the file x.csv does not exist", id="no such file"),
        pytest.param(["train", "x.csv", "--task", "regresion"], 2, "did you mean 'regression'?", id="no such task"),
        pytest.param(["show", "nothing"], 6, "has no training or service nothing", id="no such object"),
        pytest.param(["predict", "penguins"], 2, "give a row as JSON or a file, or --example", id="no row"),
        pytest.param(["serve", "penguins-1"], 2, "add --local to serve", id="serving without a place"),
        pytest.param(["import", "tfjob", "nowhere.yaml"], 2, "the file nowhere.yaml does not exist", id="no TFJob"),
    ],
)
def test_a_mistake_is_one_line_that_says_what_to_change(
    shell: Terminal, arguments: list[str], code: int, said: str
) -> None:
    ran = shell.run(*arguments)

    assert ran.code == code
    assert said in ran.err
    assert ran.err.count("\n") == 1
    assert ran.out == ""


@pytest.fixture
def busy(cluster: MemoryCluster) -> MemoryCluster:
    """Some of everything."""
    cluster.put(a_training())
    cluster.put(a_failure())
    cluster.put(a_training("churn-7", phase="Running", gpus=4))
    cluster.put(a_ready_service())
    cluster.services["penguins"] = answering()
    return cluster


def test_list_shows_trainings_and_services_and_why_something_failed(shell: Terminal, busy: MemoryCluster) -> None:
    ran = shell.run("list", width=NARROW)

    lines = ran.out.splitlines()
    assert lines[0].split() == ["TRAINING", "STATE", "PROGRESS", "LOSS", "BEST", "ETA", "GPUS", "AGE"]
    assert lines[1].split()[:6] == ["churn-7", "Running", "148/200", "0.0412", "acc", "0.971"]
    assert "penguins-2: BadInput: the label 'speces' is not a column" in lines
    assert lines[-1].split()[:5] == ["penguins", "Ready", "1", "-", "1/1"]
    assert max(map(len, lines)) <= NARROW


@pytest.mark.parametrize("width", [pytest.param(80, id="narrow"), pytest.param(140, id="wide")])
@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param(["list"], id="list"),
        pytest.param(["list", "-o", "wide", "-A"], id="everything"),
        pytest.param(["show", "penguins-1"], id="a training"),
        pytest.param(["show", "penguins-2"], id="a failure"),
        pytest.param(["show", "penguins"], id="a service"),
        pytest.param(["compare", "penguins-1", "churn-7"], id="compare"),
        pytest.param(["doctor"], id="doctor"),
    ],
)
def test_no_line_is_wider_than_the_terminal(
    shell: Terminal, busy: MemoryCluster, arguments: list[str], width: int
) -> None:
    busy.answers = {"/version": {"major": "1", "minor": "36", "gitVersion": "v1.36.0"}, "/apis": {"groups": []}}

    ran = shell.run(*arguments, width=width)

    lines = ran.out.splitlines()
    assert lines
    assert max(map(len, lines)) <= width


def test_colours_are_for_terminals(shell: Terminal, busy: MemoryCluster) -> None:
    assert "\x1b[" in shell.run("list", terminal=True).out
    assert "\x1b[" not in shell.run("list").out


def test_resources_are_printed_for_programs(shell: Terminal, busy: MemoryCluster) -> None:
    listed = json.loads(shell.run("list", "-o", "json").out)
    shown = yaml.safe_load(shell.run("show", "penguins", "-o", "yaml").out)
    names = shell.run("list", "penguins*", "-o", "name").out.split()

    assert {item["metadata"]["name"] for item in listed["items"]} == {"churn-7", "penguins", "penguins-1", "penguins-2"}
    assert shown["kind"] == "ModelService"
    assert names == [
        "trainingjob.trainyard.dev/penguins-1",
        "trainingjob.trainyard.dev/penguins-2",
        "modelservice.trainyard.dev/penguins",
    ]


def test_an_empty_namespace_says_how_to_begin(shell: Terminal) -> None:
    ran = shell.run("list")

    assert (ran.code, ran.out) == (0, "")
    assert "nothing in namespace team yet: trainyard train DATA --label COLUMN" in ran.err


def test_show_compares_with_the_version_before(shell: Terminal, cluster: MemoryCluster) -> None:
    cluster.put(a_training("penguins-1", model=a_model(1, val_accuracy="0.90")))
    cluster.put(a_training("penguins-2", model=a_model(2, val_accuracy="0.97")))

    assert "penguins-1: 0.900" in shell.run("show", "penguins-2").out


RUNS = [
    {
        "run": 0, "attempts": 1, "outcome": "Succeeded", "version": 1,
        "started": "2026-11-28T03:00:00Z", "ended": "2026-11-28T03:04:10Z",
    },
    {
        "run": 1, "rerun": "2026-11-29", "attempts": 4, "outcome": "Failed", "reason": "Diverged",
        "started": "2026-11-29T03:00:00Z", "ended": "2026-11-29T03:00:50Z",
    },
]  # fmt: skip


def test_show_tells_of_the_runs_before_and_the_next(shell: Terminal, cluster: MemoryCluster) -> None:
    cluster.put(a_training(run=2, runs=RUNS, nextScheduleTime="2026-12-01T03:00:00Z"))

    lines = [" ".join(line.split()) for line in shell.run("show", "penguins-1").out.splitlines()]

    (first,) = [at for at, line in enumerate(lines) if line.startswith("runs before")]
    assert lines[first] == "runs before RUN OUTCOME VERSION ATTEMPTS TOOK ENDED RERUN"
    assert lines[first + 1].startswith("0 Succeeded 1 1 4m10s ")
    assert lines[first + 2].startswith("1 Failed (Diverged) - 4 50s ")
    assert lines[first + 2].endswith(" ago 2026-11-29")
    assert "next run 2026-12-01T03:00:00Z" in lines


def test_watch_tells_which_run_it_is(shell: Terminal, cluster: MemoryCluster) -> None:
    cluster.put(a_training(run=1, runs=RUNS[:1]))

    assert (
        "penguins-1  Succeeded  run 1 (run 0 succeeded with version 1)  epoch" in shell.run("watch", "penguins-1").out
    )


def test_logs_are_readable_and_raw_for_programs(shell: Terminal, cluster: MemoryCluster) -> None:
    cluster.put(a_training())
    cluster.put(a_pod_of("penguins-1"))
    line = json.dumps({"time": "2026-11-30T10:00:07Z", "event": "epoch", "message": "epoch 1/3: loss 0.5", "epoch": 1})
    cluster.logs["penguins-1-worker-0-0"] = ["2026 a warning of TensorFlow", line]

    assert shell.run("logs", "penguins-1").out.splitlines() == [
        "2026 a warning of TensorFlow",
        "10:00:07  epoch 1/3: loss 0.5",
    ]
    assert shell.run("logs", "penguins-1", "-o", "json").out.splitlines()[1] == line


def test_a_row_is_predicted(shell: Terminal, busy: MemoryCluster) -> None:
    ran = shell.run("predict", "penguins", '{"island": "Dream", "bill": 39.1}')

    assert ran.out == '{"island": "Dream", "bill": 39.1}   ->   Dream  0.900\n'
    assert ran.err == ""


def test_a_file_is_predicted_and_what_the_model_does_not_take_is_said(
    shell: Terminal, busy: MemoryCluster, file: Path
) -> None:
    ran = shell.run("predict", "penguins", str(file))

    assert ran.out.splitlines()[0].split() == ["ROW", "label", "probability"]
    assert len(ran.out.splitlines()) == 61
    assert ran.err == "not asked for by the model and left out: rowid, species\n"


def test_a_prediction_is_explained(shell: Terminal, busy: MemoryCluster) -> None:
    ran = shell.run("predict", "penguins", '{"bill": 1}', "--explain", "-o", "json")

    assert json.loads(ran.out)["predictions"] == [{"label": "?", "probability": 0.9}]
    assert "POST http://penguins.team.svc:8501/v1/models/penguins:predict" in ran.err
    assert '{"instances": [{"bill": 1, "island": ""}]}' in ran.err
    assert "localhost:8001/api/v1/namespaces/team/services/penguins:8501/proxy/" in ran.err


def test_deploy_waits_and_says_how_to_try(shell: Terminal, cluster: MemoryCluster) -> None:
    cluster.put(a_training())
    cluster.changes["penguins"] = [cluster.put(a_ready_service())]
    cluster.objects.pop(("modelservices", "team", "penguins"))

    ran = shell.run("deploy", "penguins-1", width=NARROW)

    assert ran.code == 0, ran.err
    assert "penguins        version 1 answers on 1/1 pods" in ran.out
    assert "trainyard predict penguins --example" in ran.out


def test_suspend_resume_rerun_and_delete(shell: Terminal, cluster: MemoryCluster) -> None:
    cluster.put(a_training(phase="Running"))

    said = [shell.run(*words).out for words in (["suspend", "penguins-1"], ["resume", "penguins-1"])]
    again = shell.run("rerun", "penguins-1", "--set", "fit.epochs=3")
    gone = shell.run("delete", "penguins-1")

    assert "go on with: trainyard resume penguins-1" in said[0]
    assert "follow it with: trainyard watch penguins-1" in said[1]
    assert again.out.startswith("penguins-2 trains as penguins-1 did, but for fit.epochs=3")
    assert gone.code == 0
    assert [key[2] for key in cluster.objects if key[0] == "trainingjobs"] == ["penguins-2"]


@pytest.mark.parametrize(
    ("words", "command"),
    [
        (["promote", "penguins"], "promote"),
        (["abort", "penguins"], "abort"),
        (["retry", "penguins"], "retry"),
        (["pause", "penguins"], "pause"),
        (["pause", "penguins", "--end"], "resume"),
    ],
)
def test_a_rollout_is_told_what_to_do(shell: Terminal, cluster: MemoryCluster, words: list[str], command: str) -> None:
    cluster.put(a_ready_service("penguins"))

    told = shell.run(*words)

    (_, _, change) = cluster.sent[-1]
    assert told.code == 0
    assert re.fullmatch(rf"{command}:\d{{4}}-.*Z", change["metadata"]["annotations"]["trainyard.dev/rollout"])


def test_rollback_goes_to_the_version_that_served_before(shell: Terminal, cluster: MemoryCluster) -> None:
    service = a_ready_service("penguins")
    entry = {"modelVersion": 2, "uri": "pvc://models/penguins/2", "time": "2026-11-23T10:00:00Z"}
    service["status"]["history"] = [
        entry | {"outcome": "Promoted", "promoted": entry["time"]},
        entry | {"modelVersion": 9, "outcome": "RolledBack"},
        entry | {"modelVersion": 1, "outcome": "Superseded", "promoted": entry["time"]},
    ]
    cluster.put(service)

    told = shell.run("rollback", "penguins")

    assert "goes back to version 1 and stays with it" in told.out, told.err
    (_, _, change) = cluster.sent[-1]
    assert change["spec"]["model"] in ({"version": 1}, {"uri": "pvc://models/penguins/2"})


def test_rollback_sends_back_what_is_about_to_take_over(shell: Terminal, cluster: MemoryCluster) -> None:
    service = a_ready_service("penguins")
    service["status"]["next"] = {"revision": "b", "modelVersion": 2, "uri": "pvc://models/penguins/2"}
    cluster.put(service)

    assert "the new version is sent back" in shell.run("rollback", "penguins").out


def test_rollback_says_where_there_is_nothing_to_go_back_to(shell: Terminal, cluster: MemoryCluster) -> None:
    cluster.put(a_ready_service("penguins"))

    assert "has no other version that has served" in shell.run("rollback", "penguins").err


def test_rerun_trains_again_under_the_same_name(shell: Terminal, cluster: MemoryCluster) -> None:
    cluster.put(a_training())

    said = shell.run("rerun", "penguins-1")

    (job,) = (found for key, found in cluster.objects.items() if key[0] == "trainingjobs")
    assert said.out.startswith("penguins-1 trains again now; follow it with: trainyard watch penguins-1")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", job["spec"]["runPolicy"]["rerun"])


def test_delete_asks_which_where_there_are_both(shell: Terminal, cluster: MemoryCluster) -> None:
    cluster.put(a_training("penguins"))
    cluster.put(a_ready_service("penguins"))

    assert "say which with --kind training or --kind service" in shell.run("delete", "penguins").err
    assert shell.run("delete", "penguins", "--kind", "service").code == 0


def test_curves_are_drawn_here_and_as_a_page(shell: Terminal, cluster: MemoryCluster, tmp_path: Path) -> None:
    cluster.put(a_training(phase="Running"))
    cluster.put(a_pod_of("penguins-1"))
    epochs = [{"epoch": n, "loss": 1 / n, "val_accuracy": 0.5} for n in (1, 5, 9)]
    lines = [json.dumps({"event": "epoch", "message": ""} | epoch) for epoch in epochs]
    cluster.logs["penguins-1-worker-0-0"] = lines

    drawn = shell.run("curve", "penguins-1", width=NARROW)
    page = shell.run("curve", "penguins-1", "--html", str(tmp_path / "curve.html"))
    rows = json.loads(shell.run("curve", "penguins-1", "-o", "json").out)
    wrong = shell.run("curve", "penguins-1", "-m", "los")

    assert drawn.code == 0, drawn.err
    assert {"loss", "val_accuracy"} <= set(drawn.out.split())
    assert max(map(len, drawn.out.splitlines())) <= NARROW
    assert page.out == f"wrote {tmp_path / 'curve.html'}\n"
    assert "<polyline" in (tmp_path / "curve.html").read_text()
    assert rows["penguins-1"][2] == {"epoch": 9, "loss": 1 / 9, "val_accuracy": 0.5}
    assert "no metric 'los'; did you mean 'loss'?" in wrong.err


def test_a_tfjob_is_printed_as_ours_and_what_is_lost_is_said(shell: Terminal, tmp_path: Path) -> None:
    path = tmp_path / "tfjob.yaml"
    pod = {"template": {"spec": {"containers": [{"name": "tensorflow", "image": "me/x:1"}], "hostNetwork": True}}}
    spec = {"tfReplicaSpecs": {"Worker": pod | {"replicas": 2}}}
    tfjob = {"apiVersion": "kubeflow.org/v1", "kind": "TFJob", "metadata": {"name": "mnist"}, "spec": spec}
    path.write_text(yaml.safe_dump_all([{"kind": "Namespace"}, tfjob]))

    ran = shell.run("import", "tfjob", str(path), "--store", "s3://bucket/models")

    assert yaml.safe_load(ran.out)["spec"]["roles"]["worker"]["replicas"] == 2
    assert "mnist: Worker: pod field hostNetwork: no equivalent" in ran.err


def test_doctor_ends_with_code_3_where_something_is_to_be_fixed(shell: Terminal, cluster: MemoryCluster) -> None:
    cluster.answers = {"/version": {"major": "1", "minor": "28", "gitVersion": "v1.28.0"}, "/apis": {"groups": []}}

    ran = shell.run("doctor")
    for_programs = json.loads(shell.run("doctor", "-o", "json").out)

    assert ran.code == 3
    assert "fix   Kubernetes 1.28.0 is older than 1.29" in ran.out
    assert for_programs[0]["level"] == "fix"


COMMANDS = [
    "abort",
    "card",
    "compare",
    "curve",
    "delete",
    "deploy",
    "doctor",
    "download",
    "import",
    "list",
    "logs",
    "pause",
    "predict",
    "promote",
    "rerun",
    "resume",
    "retry",
    "rollback",
    "serve",
    "show",
    "suspend",
    "tensorboard",
    "train",
    "version",
    "watch",
]


@pytest.mark.parametrize(
    "command", [pytest.param([], id="the command"), *(pytest.param([name], id=name) for name in COMMANDS)]
)
def test_every_command_has_help(command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*command, "--help"]) == 0

    told = capsys.readouterr().out
    assert "Usage: trainyard" in told
    if not command:
        assert "3 the training failed, or the service" in told
