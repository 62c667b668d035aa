"""A whole search with real trials: stopped, gone on with, and the best one exported."""

import csv
import json
import signal
from pathlib import Path
from typing import Any

import pytest

from support.trainer_runs import a_spec, run, start
from trainyard_api import names

LAYERS = {"name": "program.keras.hidden", "values": ["[8]", "[8, 4]"]}
MOMENTUM = {"name": "fit.optimizer.momentum", "values": ["0.9"]}


def events(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


@pytest.mark.thorough
def test_a_search_goes_on_after_a_stop_and_exports_the_best_trial(table: Path, tmp_path: Path) -> None:
    names_of_optimizers = {"name": "fit.optimizer.name", "values": ["adam", "sgd"]}
    spec = (
        a_spec(table)
        .with_fit(epochs=20)
        .with_tuning(
            algorithm="grid",
            objective={"name": "val_accuracy"},
            parallelTrials=2,
            parameters=[names_of_optimizers, MOMENTUM, LAYERS],
        )
    )
    with start(spec, tmp_path) as first:
        assert first.stdout is not None
        seen = []
        for line in first.stdout:
            seen.append(json.loads(line))
            if seen[-1]["event"] == "trial" and seen[-1]["state"] == "complete":
                first.send_signal(signal.SIGTERM)
                break
        rest = events(first.stdout.read())
    assert first.returncode == names.EXIT_STOPPED, rest
    complete = {each["trial"] for each in seen + rest if each["event"] == "trial" and each["state"] == "complete"}

    done = run(spec, tmp_path)

    assert done.code == 0, done.stderr
    again = {each["trial"] for each in done.events if each["event"] == "trial"}
    assert not complete & again
    with next((tmp_path / "store").rglob("trials.csv")).open() as stream:
        rows = list(csv.DictReader(stream))
    assert [row["state"] for row in rows] == ["failed", "failed", "complete", "complete"]
    assert "only the optimizers sgd and rmsprop have a momentum" in rows[0]["message"]
    version = tmp_path / "store" / "sample" / "1"
    search = json.loads((version / names.MANIFEST_FILE).read_text())["training"]["tuning"]
    best = max(rows[2:], key=lambda row: float(row["val_accuracy"]))
    assert f"best val_accuracy of {len(rows)} trials: {float(best['val_accuracy']):.6g} with " in done.report["message"]
    assert search["best"][0]["trial"] == int(best["trial"]) == done.the("tuned")["trial"]
    assert search["best"][0]["value"] == pytest.approx(done.report["metrics"]["val_accuracy"])
    assert search["best"][0]["parameters"]["program.keras.hidden"] == json.loads(best["program.keras.hidden"])
    assert "resumed" in [each["event"] for each in done.events]  # the weights of the trial, not trained once more
    assert not list((tmp_path / "store").rglob("trial-*"))
    assert run(spec, tmp_path).the("done")["message"].endswith(f"remove {version})")


@pytest.mark.parametrize(
    ("objective", "fraction", "said"),
    [
        ("val_acuracy", 0.2, "'val_acuracy', which this training does not have; did you mean 'val_accuracy'? (it has "),
        ("val_loss", 0, "(it has loss, accuracy); metrics that begin with val_ need rows to validate with: see data.v"),
    ],
)
def test_an_objective_that_no_trial_would_have_is_refused_before_the_first_one(
    objective: str, fraction: float, said: str, table: Path, tmp_path: Path
) -> None:
    spec = a_spec(table).with_data(validation={"fraction": fraction})

    done = run(spec.with_tuning(objective={"name": objective}, parameters=[LAYERS]), tmp_path)

    assert (done.code, done.report["reason"]) == (names.EXIT_BAD_INPUT, "BadInput")
    assert "tuning.objective.name is " in done.report["message"]
    assert said in done.report["message"]
    assert not list((tmp_path / "store").rglob("trial-*"))


def test_a_trial_whose_own_settings_leave_the_objective_out_ends_the_search_with_what_it_has(
    table: Path, tmp_path: Path
) -> None:
    metrics = {"name": "fit.metrics", "values": ["[precision]", "[recall]"]}
    objective = {"name": "val_recall"}

    done = run(a_spec(table).with_tuning(algorithm="grid", objective=objective, parameters=[metrics]), tmp_path)

    assert (done.code, done.report["reason"]) == (names.EXIT_BAD_INPUT, "BadInput")
    assert "tuning.objective.name is 'val_recall', which the trials do not have" in done.report["message"]
    assert "val_precision" in done.report["message"]


def test_a_search_in_which_nothing_works_says_why(table: Path, tmp_path: Path) -> None:
    spec = a_spec(table).with_tuning(parameters=[MOMENTUM, LAYERS])

    done = run(spec, tmp_path)

    assert done.code == names.EXIT_BAD_INPUT
    assert "no trial of the tuning came to an end: " in done.report["message"]
    assert "only the optimizers sgd and rmsprop have a momentum" in done.report["message"]
