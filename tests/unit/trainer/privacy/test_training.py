"""A private training as a whole: what it reaches at which price, and what is refused."""

import csv
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import trainyard_trainer
from support.documentation import DOCS, spec_in
from support.trainer_runs import SpecBuilder, a_spec, run
from trainyard_api import names

PAGE = DOCS / "how-to/privacy.md"
NOISE = {"noiseMultiplier": 1.0}
TREES = {"keras": {"family": "randomForest", "task": "binaryClassification"}}


def private(spec: SpecBuilder, **fields: Any) -> SpecBuilder:
    return spec._with("privacy", fields)


def write_rows(path: Path, rows: int) -> Path:
    """Write rows that a small network learns well and a linear model does not: points inside and around a circle."""
    rng = np.random.default_rng(3)
    with path.open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["x", "y", "side", "answer"])
        for x, y in rng.uniform(-1, 1, (rows, 2)):
            writer.writerow([f"{x:.3f}", f"{y:.3f}", "east" if x > 0 else "west", int(np.hypot(x, y) < 0.8)])
    return path


def test_the_example_is_accurate_at_the_epsilon_it_promises(tmp_path: Path) -> None:
    spec = spec_in("how-to/privacy.md", "private-sample").named("sample")
    data = write_rows(tmp_path / "rows.csv", 4000)

    result = run(spec, tmp_path, {names.DATA_DIR_ENV: str(data)})

    assert result.code == 0, result.stderr
    assert result.report["metrics"]["val_accuracy"] > 0.85
    assert 1.9 < result.report["metrics"]["epsilon"] <= 2.0
    assert result.the("privacy")["epsilon"] == result.report["metrics"]["epsilon"]
    manifest = json.loads((tmp_path / "store" / "sample" / "1" / names.MANIFEST_FILE).read_text())
    spent = manifest["training"]["privacy"]
    assert spent["steps"] == manifest["training"]["steps"] == result.report["steps"]
    assert spent["epsilon"] == manifest["metrics"]["epsilon"]
    assert spent["samplingRate"] == pytest.approx(128 / manifest["data"]["trainingRows"])
    assert spent["delta"] < 1 / manifest["data"]["trainingRows"]
    assert spent["covers"] == ["weights"]


ASSUMPTIONS = re.findall(r"^\| (.+?) \| `(\S+\.py)` \| `(.+)` \|$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)


def test_the_page_lists_the_assumptions() -> None:
    assert len(ASSUMPTIONS) >= 15


@pytest.mark.parametrize(("assumption", "file", "line"), ASSUMPTIONS)
def test_the_page_names_the_line_that_holds_an_assumption(assumption: str, file: str, line: str) -> None:
    source = (Path(trainyard_trainer.__file__).parent / file).read_text()

    assert source.count(line) == 1, f"{assumption} expected one line {line!r} in {file}"


def test_steps_that_were_not_run_cost_nothing(table: Path, tmp_path: Path) -> None:
    few = private(a_spec(table).with_fit(stopWhen={"steps": 5}), **NOISE)

    less = run(few, tmp_path).report["metrics"]["epsilon"]
    more = run(private(a_spec(table).named("other"), **NOISE), tmp_path).report["metrics"]["epsilon"]

    assert 0 < less < more


def bad(change: Any, message: str) -> Any:
    return pytest.param(change, message, id=message[:40])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        bad(lambda s: private(s), "set exactly one of noiseMultiplier and targetEpsilon"),
        bad(lambda s: private(s, targetEpsilon=1, **NOISE), "set exactly one of noiseMultiplier and targetEpsilon"),
        bad(lambda s: private(s, delta=0.5, **NOISE), "it has to be less than"),
        bad(lambda s: private(s, **NOISE).with_keras(dropout=0.1), "batchNormalization mixes the rows"),
        bad(lambda s: private(s, **NOISE).with_keras(normalization="batchNormalization"), "mixes the rows"),
        bad(lambda s: private(s, **NOISE)._with("program", TREES), "only the families linear, mlp, svm"),
        bad(lambda s: private(s, **NOISE).with_fit(classWeights={"balanced": True}), "balanced class weights tell"),
        bad(lambda s: private(s, **NOISE).with_fit(stopWhen={"lossBelow": 1}), "lossBelow and noImprovement look at"),
        bad(lambda s: private(s, **NOISE).with_fit(stopWhen={"noImprovement": {}}), "look at the data"),
        bad(lambda s: private(s, **NOISE).with_fit(batchSize="Auto"), "private steps take a number of rows"),
        bad(lambda s: private(s, **NOISE).with_fit(precision="mixed_bfloat16"), "in float32 and without XLA"),
        bad(lambda s: private(s, **NOISE)._with("roles", {"worker": {"gpus": 2}}), "drawn for one device"),
    ],
)
def test_what_a_promise_cannot_be_made_for_is_refused(change: Any, message: str, table: Path, tmp_path: Path) -> None:
    result = run(change(a_spec(table)), tmp_path)

    assert (result.code, result.report["reason"]) == (names.EXIT_BAD_INPUT, "BadInput")
    assert message in result.report["message"]


def test_rows_that_do_not_fit_the_memory_are_refused(table: Path, tmp_path: Path) -> None:
    result = run(private(a_spec(table), **NOISE), tmp_path, {"TRAINYARD_CACHE_BYTES": "1"})

    assert result.code == names.EXIT_BAD_INPUT
    assert "so they have to be in memory" in result.report["message"]
