"""Trainings that end by a number of steps or by time."""

import csv
import itertools
import json
from dataclasses import replace
from pathlib import Path

import pytest

from support.trainer_fits import checkpoint_folder, fitted, newest_snapshot, rewrite
from support.trainer_runs import a_spec, run
from trainyard_api import names
from trainyard_trainer.clock import Clock


def test_a_number_of_steps_ends_a_training_within_an_epoch_and_the_model_is_judged_there(
    table: Path, tmp_path: Path
) -> None:
    result = run(a_spec(table).with_fit(epochs=100, stopWhen={"steps": 17}), tmp_path)

    assert (result.code, result.report["reason"], result.report["steps"]) == (0, "MaxSteps", 17), result.stderr
    assert result.report["message"].startswith("trained sample version 1 in 1 epochs and 5 steps; val_loss ")
    with next((tmp_path / "store").rglob("history.csv")).open() as stream:
        rows = list(csv.DictReader(stream))
    assert [(row["epoch"], row["steps"]) for row in rows] == [("1", "12"), ("2", "17")]
    assert result.report["metrics"] == pytest.approx({name: float(rows[-1][name]) for name in result.report["metrics"]})
    manifest = json.loads((tmp_path / "store" / "sample" / "1" / names.MANIFEST_FILE).read_text())
    assert (manifest["training"]["reason"], manifest["training"]["steps"]) == ("MaxSteps", 17)


def test_a_time_limit_ends_a_training_with_the_weights_there_are(table: Path, tmp_path: Path) -> None:
    spec = a_spec(table).with_fit(epochs=1_000_000, stopWhen={"timeLimit": "3s"})
    readings = itertools.count()

    end = fitted(spec, tmp_path, clock=Clock(steady=lambda: next(readings) / 100)).trained.end

    assert end.reason == "TimeLimit"
    assert 3 <= end.seconds < 4
    assert end.metrics["accuracy"] > 0.9


def test_time_before_a_restart_counts_and_an_ended_training_does_not_go_on(table: Path, tmp_path: Path) -> None:
    spec = a_spec(table).with_fit(epochs=3, stopWhen={"timeLimit": "1h"}).with_checkpoint(everySteps=5, keep=100)
    fitted(spec, tmp_path)
    for path in sorted(checkpoint_folder(tmp_path).iterdir())[1:]:
        path.unlink()
    oldest = newest_snapshot(tmp_path).step
    rewrite(tmp_path, seconds=3600.0)

    resumed = fitted(spec, tmp_path)
    again = fitted(spec, tmp_path)

    assert resumed.the("resumed")["step"] == oldest
    assert (resumed.trained.end.reason, resumed.trained.end.step) == ("TimeLimit", oldest + 1)
    assert replace(again.trained.end, seconds=0.0) == replace(resumed.trained.end, seconds=0.0)
