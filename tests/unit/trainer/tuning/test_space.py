"""The parameters of a search: what they may name, what they may hold, and the specs they make."""

from pathlib import Path
from typing import Any

import pytest

from support.trainer_runs import a_spec
from trainyard_trainer.errors import BadInput
from trainyard_trainer.spec import parse_job
from trainyard_trainer.tuning.space import SearchSpace


def space(*parameters: dict[str, Any], algorithm: str = "random") -> SearchSpace:
    tuning = {"algorithm": algorithm, "parameters": list(parameters)}
    return SearchSpace(parse_job(a_spec(Path("table.csv")).with_tuning(**tuning).manifest))


RATE = {"name": "fit.optimizer.learningRate", "minValue": 0.001, "maxValue": 0.1, "sampling": "log"}
UNITS = {"name": "fit.batchSize", "minValue": 8, "maxValue": 30, "step": 8}
LAYERS = {"name": "program.keras.hidden", "values": ["[8]", "[16, 8]"]}


def test_a_choice_becomes_the_spec_of_a_trial() -> None:
    job = space(RATE, UNITS, LAYERS).job(
        {"fit.optimizer.learningRate": 0.02, "fit.batchSize": 16, "program.keras.hidden": "[16, 8]"}
    )

    assert job.spec.tuning is None
    assert (job.spec.fit.optimizer.name, job.spec.fit.optimizer.learning_rate) == ("adam", 0.02)
    assert job.spec.fit.batch_size == 16
    assert job.spec.program.keras is not None
    assert job.spec.program.keras.hidden == [16, 8]


def test_a_whole_part_of_the_spec_can_be_a_value() -> None:
    sgd = "{name: sgd, momentum: 0.9}"

    job = space({"name": "fit.optimizer", "values": [sgd, "{name: adam}"]}).job({"fit.optimizer": sgd})

    assert (job.spec.fit.optimizer.name, job.spec.fit.optimizer.momentum) == ("sgd", 0.9)


def test_a_grid_holds_every_combination_once_and_stays_inside_the_range() -> None:
    grid = list(space(UNITS, LAYERS, algorithm="grid").grid())

    assert [tuple(each.values()) for each in grid] == [
        (units, layers) for units in (8, 16, 24) for layers in ("[8]", "[16, 8]")
    ]


@pytest.mark.parametrize(
    ("parameter", "message"),
    [
        (
            {"name": "fit.optimizer.learnigRate", "values": ["0.1"]},
            "tuning.parameters fit.optimizer.learnigRate with value 0.1: unknown field "
            "spec.fit.optimizer.learnigRate; did you mean 'learningRate'?",
        ),
        (
            {"name": "program.keras.activation", "values": ["relu", "rellu"]},
            "tuning.parameters program.keras.activation with value rellu: spec.program.keras.activation: ",
        ),
        (
            {"name": "fit.batchSize", "minValue": 8, "maxValue": 16.5},
            "tuning.parameters fit.batchSize: expected whole numbers for a field that holds them",
        ),
        (
            {"name": "program.keras.hidden", "values": ["[8"]},
            "tuning.parameters program.keras.hidden: expected a value of the spec, got '[8'",
        ),
        ({"name": "fit.epochs"}, "spec.tuning.parameters[0]: set either values, or minValue and maxValue"),
        (
            {"name": "fit.epochs", "minValue": 5, "maxValue": 5},
            "spec.tuning.parameters[0]: minValue must be below maxValue",
        ),
        (
            {"name": "fit.epochs", "minValue": 0, "maxValue": 5, "sampling": "log"},
            "spec.tuning.parameters[0].minValue: sampling log needs a minValue above 0",
        ),
    ],
)
def test_what_does_not_fit_the_spec_is_refused_before_any_trial(parameter: dict[str, Any], message: str) -> None:
    with pytest.raises(BadInput) as refused:
        space(parameter)
    assert message in str(refused.value)


def test_values_that_only_fit_together_are_left_to_the_trials() -> None:
    momentum = {"name": "fit.optimizer.momentum", "values": ["0.9"]}
    optimizer = {"name": "fit.optimizer.name", "values": ["adam", "sgd"]}

    both = space(momentum, optimizer)

    assert both.job({"fit.optimizer.momentum": "0.9", "fit.optimizer.name": "sgd"}).spec.fit.optimizer.momentum == 0.9
    with pytest.raises(BadInput, match="only the optimizers sgd and rmsprop have a momentum"):
        both.job({"fit.optimizer.momentum": "0.9", "fit.optimizer.name": "adam"})
