"""Trees as a whole: what they learn, how they stop, and that they go on after a stop as if nothing had happened."""

import csv
import json
import signal
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from support.documentation import spec_in
from support.trained import assert_core_operations
from support.trainer_runs import a_spec, a_tree_spec, run, start
from trainyard_api import names

ROOT = Path(__file__).parents[4]


def write_riddle(path: Path, *, rows: int = 600) -> Path:
    """Write rows whose label no sum of columns gives: a band in the middle, and a text together with a gap."""
    rng = np.random.default_rng(11)
    with path.open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["x", "colour", "amount", "label"])
        for _ in range(rows):
            x, colour = rng.uniform(-1, 1), rng.choice(["red", "green", "blue", ""])
            amount = rng.uniform() if rng.uniform() < 0.5 else None
            yes = abs(x) < 0.4 or (colour in ("red", "") and amount is None)
            writer.writerow([f"{x:.3f}", colour, amount, "yes" if yes else "no"])
    return path


@pytest.fixture(scope="module")
def riddle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_riddle(tmp_path_factory.mktemp("data") / "riddle.csv")


def test_a_linear_model_does_no_better_than_chance_on_the_riddle(riddle: Path, tmp_path: Path) -> None:
    spec = a_spec(riddle).with_keras(family="linear")

    assert run(spec, tmp_path).report["metrics"]["val_accuracy"] < 0.7


@pytest.mark.parametrize(
    ("family", "knobs"), [("gradientBoostedTrees", {"numTrees": 60}), ("randomForest", {"numTrees": 40})]
)
def test_trees_solve_the_riddle_and_are_served_with_core_operations_only(
    family: str, knobs: dict[str, Any], riddle: Path, tmp_path: Path
) -> None:
    result = run(a_tree_spec(riddle, family, **knobs), tmp_path)

    assert result.code == 0, result.stderr
    assert result.stderr == ""
    assert result.report["metrics"]["val_accuracy"] > 0.85
    assert result.the("verified")
    version = tmp_path / "store" / "sample" / "1"
    assert_core_operations(version)  # those of this process are TensorFlow's own: ydf brings none into it
    serve = tf.saved_model.load(str(version)).signatures["serving_default"]
    answer = serve(
        x=tf.constant([0.1, 0.9, 0.9, 0.9, np.nan]),
        colour=tf.constant(["green", "green", "red", "", "mauve"]),
        amount=tf.constant([0.3, np.nan, np.inf, np.nan, np.nan]),
    )
    assert [each.decode() for each in answer["label"].numpy()[:4]] == ["yes", "no", "yes", "yes"]
    assert np.isfinite(answer["probability"]).all()


@pytest.mark.parametrize("family", ["gradientBoostedTrees", "randomForest"])
def test_a_column_of_texts_that_no_tree_asks_for_is_no_trouble(family: str, tmp_path: Path) -> None:
    with (tmp_path / "t.csv").open("w", newline="") as stream:
        rows = [(i % 100 / 100, "the only one", i % 100 > 49) for i in range(300)]
        csv.writer(stream).writerows([("x", "shop", "label"), *rows])

    result = run(a_tree_spec(tmp_path / "t.csv", family), tmp_path)

    assert result.code == 0, result.report["message"]
    assert result.report["metrics"]["val_accuracy"] == 1
    assert result.the("verified")
    manifest = json.loads((tmp_path / "store" / "sample" / "1" / names.MANIFEST_FILE).read_text())
    assert manifest["training"]["featureImportances"]["shop"] == 0
    serve = tf.saved_model.load(str(tmp_path / "store" / "sample" / "1")).signatures["serving_default"]
    shops = tf.constant(["the only one", "another", "", "the only one"])
    answer = serve(x=tf.constant([0.1, 0.4, 0.6, 0.9]), shop=shops)
    assert [each.decode() for each in answer["label"].numpy()] == ["false", "false", "true", "true"]


def test_the_example_stops_when_it_no_longer_improves_and_keeps_the_best_trees(tmp_path: Path) -> None:
    spec = spec_in("how-to/trees.md", "breast-cancer-trees").named("sample")
    data = str(ROOT / "examples" / "quickstart" / "breast-cancer.csv")

    result = run(spec, tmp_path, {names.DATA_DIR_ENV: data})

    assert (result.code, result.report["reason"]) == (0, "EarlyStopping"), result.stderr
    assert result.report["metrics"]["val_accuracy"] > 0.93
    assert result.report["metrics"]["val_precision"] > 0.9
    with next((tmp_path / "store").rglob("history.csv")).open() as stream:
        rows = list(csv.DictReader(stream))
    best = min(rows, key=lambda row: float(row["val_loss"]))
    assert result.the("model")["trees"] == int(best["epoch"]) == len(rows) - 20
    assert result.report["metrics"] == pytest.approx({k: float(best[k]) for k in result.report["metrics"]})
    assert result.report["steps"] == len(rows) < 300
    manifest = json.loads((tmp_path / "store" / "sample" / "1" / names.MANIFEST_FILE).read_text())
    importances = manifest["training"]["featureImportances"]
    assert len(importances) == 30
    assert sum(importances.values()) == pytest.approx(1)
    assert max(importances, key=importances.__getitem__).endswith("_worst")


def test_a_loss_threshold_and_a_number_of_steps_end_it_too(riddle: Path, tmp_path: Path) -> None:
    spec = a_tree_spec(riddle, "gradientBoostedTrees", numTrees=300)

    loss = run(spec.with_fit(stopWhen={"lossBelow": 0.5}), tmp_path)
    steps = run(spec.named("other").with_fit(stopWhen={"steps": 7}), tmp_path)

    assert (loss.report["reason"], loss.report["loss"] < 0.5) == ("LossThreshold", True)
    assert (steps.report["reason"], steps.report["steps"], steps.the("model")["trees"]) == ("MaxSteps", 7, 7)


def test_classes_can_weigh_more(tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    with (tmp_path / "t.csv").open("w", newline="") as stream:
        csv.writer(stream).writerows(
            [("x", "label"), *((x, "rare" if rng.uniform() < x / 4 else "usual") for x in rng.uniform(0, 1, 400))]
        )
    spec = a_tree_spec(tmp_path / "t.csv", "gradientBoostedTrees", maxDepth=3)

    def said(name: str, **fit: Any) -> float:
        assert run(spec.named(name).with_fit(**fit), tmp_path).code == 0
        serve = tf.saved_model.load(str(tmp_path / "store" / name / "1")).signatures["serving_default"]
        return float(np.mean(serve(x=tf.linspace(0.0, 1.0, 50))["probability"]))

    assert said("plain") > 0.8  # the second class is the usual one
    assert 0.4 < said("balanced", classWeights={"balanced": True}) < 0.6


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("family", "knobs", "number"),
    [
        ("gradientBoostedTrees", {"subsample": 0.5}, signal.SIGKILL),
        ("randomForest", {"minExamples": 1}, signal.SIGTERM),
    ],
)
def test_a_training_that_is_ended_and_goes_on_has_the_same_trees_as_an_undisturbed_one(
    family: str, knobs: dict[str, Any], number: int, riddle: Path, tmp_path: Path
) -> None:
    spec = a_tree_spec(riddle, family, numTrees=120, **knobs).with_checkpoint(everySteps=10)
    assert run(spec.named("undisturbed"), tmp_path).code == 0
    with start(spec, tmp_path) as process:
        while process.poll() is None and not list((tmp_path / "store" / "sample").rglob("*.ckpt")):
            time.sleep(0.005)
        process.send_signal(number)
        process.communicate()
    assert process.returncode == (names.EXIT_STOPPED if number == signal.SIGTERM else -number)

    result = run(spec, tmp_path)

    assert 0 < result.the("resumed")["step"] < 120
    assert weights(tmp_path, "sample") == weights(tmp_path, "undisturbed")
    assert result.report["metrics"] == history(tmp_path, "sample")[-1]
    assert history(tmp_path, "sample") == history(tmp_path, "undisturbed")


def history(folder: Path, name: str) -> list[dict[str, float]]:
    with next((folder / "store" / name).rglob("history.csv")).open() as stream:
        rows = list(csv.DictReader(stream))
    assert [row["epoch"] for row in rows] == [str(i + 1) for i in range(len(rows))]
    return [
        {key: float(value) for key, value in row.items() if "loss" in key or "acc" in key or "auc" in key}
        for row in rows
    ]


def weights(folder: Path, name: str) -> str:
    reader = tf.train.load_checkpoint(str(folder / "store" / name / "1" / "variables" / "variables"))
    values = {key: reader.get_tensor(key) for key in reader.get_variable_to_shape_map() if "OBJECT" not in key}
    return json.dumps({key: value.tolist() for key, value in sorted(values.items())})


def bad(change: Any, message: str) -> Any:
    return pytest.param(change, message, id=message[:40])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        bad(lambda s: s.with_fit(epochs=3), "trees have no epochs, batches, optimizer, loss or precision"),
        bad(lambda s: s.with_fit(optimizer={"name": "sgd"}), "numTrees and shrinkage in program.keras"),
        bad(lambda s: s.with_fit(loss="hinge"), "trees have no epochs, batches, optimizer, loss or precision: leave"),
        bad(lambda s: s.with_keras(hidden=[3]), "trees have no layers"),
        bad(lambda s: s.with_keras(family="randomForest", l2=0.1), "family randomForest has no penalty"),
        bad(lambda s: s.with_keras(family="randomForest", shrinkage=0.1), "only family gradientBoostedTrees has"),
        bad(lambda s: s.with_keras(family="mlp"), "only the families gradientBoostedTrees and randomForest have"),
    ],
)
def test_settings_that_mean_nothing_for_a_family_are_refused(
    change: Any, message: str, table: Path, tmp_path: Path
) -> None:
    result = run(change(a_tree_spec(table, "gradientBoostedTrees")), tmp_path)

    assert (result.code, result.report["reason"]) == (names.EXIT_BAD_INPUT, "BadInput")
    assert message in result.report["message"]


def test_rows_that_do_not_fit_the_memory_are_refused_with_what_they_need(riddle: Path, tmp_path: Path) -> None:
    result = run(a_tree_spec(riddle, "randomForest"), tmp_path, {"TRAINYARD_CACHE_BYTES": "1000"})

    assert result.code == names.EXIT_BAD_INPUT
    assert "trees need all rows in memory" in result.report["message"]
    assert "TRAINYARD_CACHE_BYTES" in result.report["message"]


def test_a_monotonic_column_moves_the_answer_in_one_direction_only(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    size, other = rng.normal(size=200), rng.normal(size=200)
    price = size + 2 * np.sin(4 * size) + other  # goes up and down with the size
    rows = "".join(f"{a},{b},{c}\n" for a, b, c in zip(size, other, price, strict=True))
    (tmp_path / "table.csv").write_text("size,other,price\n" + rows)
    spec = a_tree_spec(tmp_path / "table.csv", "gradientBoostedTrees", task="regression").with_data(label="price")

    assert run(spec, tmp_path).code == 0
    assert run(spec.named("held").with_keras(monotonic={"size": "increasing"}), tmp_path).code == 0

    def steps(model: str) -> Any:
        serve = tf.saved_model.load(str(tmp_path / "store" / model / "1")).signatures["serving_default"]
        grid = np.tile(np.linspace(-2, 2, 50, dtype=np.float32), 3)
        fixed = np.repeat(np.array([-1, 0, 1], np.float32), 50)
        return np.diff(serve(size=tf.constant(grid), other=tf.constant(fixed))["value"].numpy().reshape(3, 50))

    assert (steps("sample") < 0).any()
    assert (steps("held") >= 0).all()
    assert (steps("held") > 0).any()


def test_a_monotonic_column_that_holds_no_numbers_is_refused(table: Path, tmp_path: Path) -> None:
    spec = a_tree_spec(table, "gradientBoostedTrees", monotonic={"colour": "increasing"})

    result = run(spec, tmp_path)

    assert (result.code, result.report["reason"]) == (2, "BadInput")
    assert "names 'colour', which is not a feature that holds numbers (those are size, weight, count)" in result.stderr
