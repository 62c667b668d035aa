"""How good models are at the least YAML on real files, beside scikit-learn and YDF at their defaults.

Goal: no family is worse than the better linear model and the better trees by more than 0.02 (accuracy, or R2 for
numbers), and `auto` is level with the best single family.

Usage: python benchmarks/quality.py PYTHON [TABLE ...], where PYTHON has what benchmarks/quality-requirements.txt lists.
"""

import contextlib
import csv
import io
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from trainyard_api import names
from trainyard_trainer.__main__ import TrainerProcess
from trainyard_trainer.export.tf_examples import serialize

FAMILIES = ("linear", "gradientBoostedTrees", "mlp", "auto")
WORSE = 0.02
"""What counts as worse: tables are small, and other seeds differ by as much."""


class NoVerifier:
    """Stands for the process that checks exports: what is measured here asks the export itself."""

    alive = True

    def check(self, *_: Any) -> int:
        """Accept."""
        return 0


@contextlib.contextmanager
def unverified() -> Iterator[Any]:
    """Yield a verifier that accepts everything."""
    yield NoVerifier()


def score(folder: Path, family: str, facts: dict[str, Any]) -> float:
    """Train a family at its defaults on a table, and return its score on the test rows."""
    keras = {"task": facts["task"]} | ({} if family == "auto" else {"family": family})
    spec = {
        "apiVersion": "trainyard.dev/v1alpha1",
        "kind": "TrainingJob",
        "metadata": {"name": family.lower(), "uid": family},
        "spec": {
            "program": {"keras": keras},
            "data": {"source": {"uri": str(folder / "train.csv")}, "label": facts["label"]},
            "output": {"store": {"persistentVolumeClaim": {"claimName": "models"}}},
        },
    }
    path = folder / f"{family}.json"
    path.write_text(json.dumps(spec))
    report = folder / f"{family}.report"
    env = {names.MODEL_DIR_ENV: str(folder / "store" / family), names.TERMINATION_MESSAGE_ENV: str(report)}
    log = io.StringIO()
    with contextlib.redirect_stdout(log):
        code = TrainerProcess(env, verifier=unverified).run(str(path))
    if code:
        raise SystemExit(f"{folder.name}: {family} ended with {code}: {log.getvalue().splitlines()[-1]}")
    return accuracy_or_r2(folder / "store" / family / "1", folder / "test.csv", facts)


def accuracy_or_r2(version: Path, test: Path, facts: dict[str, Any]) -> float:
    """Return the score of a model version on the rows of a file."""
    inputs = json.loads((version / names.MANIFEST_FILE).read_text())["signatures"][names.SIGNATURE]["inputs"]
    with test.open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    columns = {
        name: [row[name] if spec["dtype"] == "string" else float(row[name] or "nan") for row in rows]
        for name, spec in inputs.items()
    }
    # By tf.train.Example: names such as `class` are no names of a signature's arguments.
    serve = tf.saved_model.load(str(version)).signatures[names.EXAMPLES_SIGNATURE]
    answers = serve(**{names.EXAMPLES_INPUT: tf.constant(serialize(columns))})
    wanted = [row[facts["label"]] for row in rows]
    if facts["task"] == "regression":
        numbers = np.array([float(cell) for cell in wanted])
        return float(1 - np.mean((answers["value"].numpy() - numbers) ** 2) / np.var(numbers))
    said = [text.decode() for text in answers["label"].numpy()]
    return float(np.mean([one == other for one, other in zip(said, wanted, strict=True)]))


def misses(name: str, scores: dict[str, float]) -> Iterator[str]:
    """Yield where a table fell short of the goal."""
    trees = max(scores["hist"], scores["ydf"])
    single = max(scores[family] for family in FAMILIES if family != "auto")
    for family, other, mark in (
        ("linear (ours)", scores["linear"], scores["ours"]),
        ("gradientBoostedTrees", trees, scores["gradientBoostedTrees"]),
        ("auto beside the others", max(trees, scores["linear"]), scores["auto"]),
        ("auto beside the best single family", single, scores["auto"]),
    ):
        if mark < other - WORSE:
            yield f"{name}: {family} {mark:.3f}, {other:.3f} was to be reached"


def main() -> None:
    """Print the table, and what fell short."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    python, *wanted = sys.argv[1:]
    # A folder with the tables of before takes the place of the interpreter that writes them.
    short: list[str] = []
    with tempfile.TemporaryDirectory() as folder:
        tables = Path(folder)
        if Path(python).is_dir():
            tables = Path(python)
        else:
            subprocess.run([python, str(Path(__file__).with_name("quality_tables.py")), folder, *wanted], check=True)
        print("| table | rows | Ridge / logistic | HistGradientBoosting | YDF | linear | trees | mlp | auto |")
        print("|---|---|---|---|---|---|---|---|---|")
        for path in sorted(tables.iterdir()):
            facts = json.loads((path / "facts.json").read_text())
            own = {family: score(path, family, facts) for family in FAMILIES}
            scores = own | facts["scores"] | {"ours": own["linear"]}
            shown = [facts["scores"][each] for each in ("linear", "hist", "ydf")] + list(own.values())
            print(f"| {path.name} ({facts['package']}) | {facts['rows']} |", end="")
            print("".join(f" {value:.3f} |" for value in shown), flush=True)
            short += misses(path.name, scores)
    for line in short:
        print(line)
    sys.exit(bool(short))


if __name__ == "__main__":
    main()
