"""What a spec leaves open is filled in by family and number of rows; what it says stays."""

from pathlib import Path
from typing import Any

import pytest

from support.trainer_runs import SpecBuilder, a_spec
from trainyard_api.trainingjob import TrainingJob
from trainyard_trainer.fitting.defaults import chosen, with_defaults
from trainyard_trainer.spec import parse_job


def a_bare_spec(family: str = "linear", task: str = "binaryClassification", **knobs: Any) -> SpecBuilder:
    program = {"keras": {"task": task, "family": family, **knobs}}
    return a_spec(Path("rows.csv")).with_program(**program)._with("fit", {})


def settled(spec: SpecBuilder, rows: int, workers: int = 1) -> TrainingJob:
    return with_defaults(parse_job(spec.manifest), rows=rows, workers=workers)


@pytest.mark.parametrize("family", ["linear", "mlp", "svm", "textClassifier", "cnn", "audioClassifier"])
@pytest.mark.parametrize("rows", [1, 7, 31, 33, 1000, 50_000, 10_000_000])
def test_a_default_batch_fits_every_table(family: str, rows: int) -> None:
    size = settled(a_bare_spec(family), rows).spec.fit.batch_size

    assert isinstance(size, int)
    assert 1 <= size <= rows


@pytest.mark.parametrize("family", ["linear", "mlp", "svm"])
def test_a_small_table_is_trained_on_for_thousands_of_steps(family: str) -> None:
    fit = settled(a_bare_spec(family), 500).spec.fit

    assert isinstance(fit.batch_size, int)
    assert fit.epochs is not None
    assert 2000 < fit.epochs * 500 / fit.batch_size < 6000


@pytest.mark.parametrize("family", ["linear", "mlp", "svm"])
def test_a_large_table_is_passed_over_ten_times(family: str) -> None:
    assert settled(a_bare_spec(family), 10_000_000).spec.fit.epochs == 10


def test_a_linear_model_has_the_penalty_of_scikit_learn() -> None:
    classes = settled(a_bare_spec("linear"), 200).spec.program.keras
    numbers = settled(a_bare_spec("linear", "regression"), 200).spec.program.keras

    assert classes
    assert numbers
    assert classes.l2 == pytest.approx(1 / 400)
    assert numbers.l2 == pytest.approx(1 / 200)


@pytest.mark.parametrize(
    ("spec", "epochs"),
    [
        pytest.param(lambda: a_bare_spec("mlp"), 33, id="mlp"),
        pytest.param(lambda: a_bare_spec("gradientBoostedTrees"), 30, id="trees"),
        pytest.param(lambda: a_bare_spec("linear"), None, id="convex"),
        pytest.param(lambda: a_bare_spec("randomForest"), None, id="forest"),
        pytest.param(lambda: a_bare_spec("cnn"), None, id="images"),
        pytest.param(lambda: a_bare_spec("mlp").with_fit(epochs=50), None, id="epochs-given"),
        pytest.param(lambda: a_bare_spec("gradientBoostedTrees", numTrees=50), None, id="trees-given"),
        pytest.param(lambda: a_bare_spec("mlp").with_data(validation={"fraction": 0}), None, id="nothing-to-judge-by"),
    ],
)
def test_training_stops_by_val_loss_where_nothing_says_how_long_it_takes(spec: Any, epochs: int | None) -> None:
    stops = settled(spec(), 500).spec.fit.stop_when.no_improvement

    assert (stops and (stops.metric, stops.epochs)) == (epochs and ("val_loss", epochs))


def test_what_the_spec_says_stays() -> None:
    job = parse_job(a_spec(Path("rows.csv")).with_fit(stopWhen={"steps": 5}).manifest)

    assert with_defaults(job, rows=500) == job
    assert not chosen(job, job)


def test_a_private_training_gets_nothing_that_looks_at_the_data() -> None:
    job = settled(a_bare_spec("linear").with_privacy(noiseMultiplier=1.0), 500)

    assert job.spec.fit.stop_when.no_improvement is None
    assert (job.spec.fit.epochs, job.spec.fit.batch_size, job.spec.fit.optimizer.learning_rate) == (10, 32, 0.001)
    assert job.spec.program.keras
    assert job.spec.program.keras.l2 is None


def test_an_optimizer_that_was_named_has_the_rate_that_all_have() -> None:
    optimizer = settled(a_bare_spec("linear").with_fit(optimizer={"name": "sgd"}), 500).spec.fit.optimizer

    assert (optimizer.learning_rate, optimizer.schedule) == (0.001, None)


def test_each_of_several_workers_has_a_row_of_every_batch() -> None:
    assert settled(a_bare_spec("mlp"), 500, workers=48).spec.fit.batch_size == 48


def test_what_was_filled_in_is_told_by_its_field() -> None:
    before = parse_job(a_bare_spec("linear").manifest)

    found = chosen(before, with_defaults(before, rows=320))

    assert found == {
        "fit.epochs": 300,
        "fit.batchSize": 32,
        "fit.optimizer.learningRate": 0.05,
        "fit.optimizer.schedule.name": "cosineDecay",
        "program.keras.l2": 1 / 640,
    }


@pytest.mark.parametrize(("rows", "given", "depth"), [(500, None, 4), (1_999, 7, 7), (2_000, None, None)])
def test_boosted_trees_of_few_rows_are_shallow(rows: int, given: int | None, depth: int | None) -> None:
    knobs: dict[str, Any] = {"maxDepth": given} if given else {}
    trees = settled(a_bare_spec("gradientBoostedTrees", **knobs), rows)

    assert trees.spec.program.keras
    assert trees.spec.program.keras.max_depth == depth
