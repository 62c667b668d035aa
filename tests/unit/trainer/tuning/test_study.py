"""Proposing and judging trials: the same again after an interruption, and early ends for those that fall behind."""

from pathlib import Path
from typing import Any

import pytest

from support.trainer_runs import a_spec
from trainyard_trainer.spec import parse_job
from trainyard_trainer.tuning.space import SearchSpace
from trainyard_trainer.tuning.study import Study
from trainyard_trainer.tuning.trials import Trial, Trials

RATE = {"name": "fit.optimizer.learningRate", "minValue": 0.001, "maxValue": 0.1, "sampling": "log"}
ACTIVATION = {"name": "program.keras.activation", "values": ["relu", "tanh"]}


def study(algorithm: str, *parameters: dict[str, Any], epochs: int = 9) -> Study:
    job = parse_job(a_spec(Path("table.csv")).with_tuning(algorithm=algorithm, parameters=list(parameters)).manifest)
    assert job.spec.tuning is not None
    return Study(job.spec.tuning, SearchSpace(job), higher=True, epochs=epochs, seed=3)


def goodness(choice: Any) -> float:
    """Best at a learning rate of 0.03."""
    return -abs(float(choice["fit.optimizer.learningRate"]) - 0.03)


def run(made: Study, trials: Trials, until: int) -> None:
    """Run trials one at a time, each to its end."""
    while len(trials) < until:
        number = len(trials)
        choice = made.propose(number)
        assert choice is not None
        trials.put(Trial(number, choice))
        made.falls_behind(number, 1, goodness(choice))
        made.ended(trials.end(number, "complete", value=goodness(choice)))


@pytest.mark.parametrize("algorithm", ["random", "bayesian"])
def test_a_search_that_was_interrupted_proposes_what_it_would_have_proposed(algorithm: str, tmp_path: Path) -> None:
    whole = Trials(tmp_path / "whole.json")
    run(study(algorithm, RATE, ACTIVATION), whole, until=16)

    run(study(algorithm, RATE, ACTIVATION), Trials(tmp_path / "halves.json"), until=12)
    halves = Trials.load(tmp_path / "halves.json")
    again = study(algorithm, RATE, ACTIVATION)
    again.take_over(halves)
    run(again, halves, until=16)

    assert [each.choice for each in halves] == [each.choice for each in whole]


def test_bayesian_search_comes_nearer_to_the_best_than_it_began(tmp_path: Path) -> None:
    trials = Trials(tmp_path / "trials.json")
    run(study("bayesian", RATE), trials, until=40)

    values = [each.value or 0.0 for each in trials]
    assert sum(values[-15:]) / 15 > sum(values[:15]) / 15
    assert trials.best_first(higher=True)[0].value == max(values)


def test_a_grid_ends_when_every_combination_has_been_tried_also_over_an_interruption(tmp_path: Path) -> None:
    trials = Trials(tmp_path / "trials.json")
    first = study("grid", ACTIVATION)
    choice = first.propose(0)
    assert choice == {"program.keras.activation": "relu"}
    trials.put(Trial(0, choice))

    second = study("grid", ACTIVATION)
    second.take_over(trials)

    assert second.propose(1) == {"program.keras.activation": "tanh"}
    assert second.propose(2) is None


@pytest.mark.parametrize("algorithm", ["grid", "random", "bayesian", "asha"])
def test_no_settings_are_tried_twice_and_none_are_left_out(algorithm: str, tmp_path: Path) -> None:
    twice = {"name": "fit.seed", "values": ["1", "2", "01"]}
    layers = {"name": "program.keras.dropout", "minValue": 0.1, "maxValue": 0.5, "step": 0.1}
    made, trials = study(algorithm, ACTIVATION, twice, layers), Trials(tmp_path / "trials.json")

    while (choice := made.propose(len(trials))) is not None:
        trials.put(Trial(len(trials), choice))
        made.falls_behind(len(trials) - 1, 1, 0.5)
        made.ended(trials.end(len(trials) - 1, "complete", value=0.5))

    tried = {
        (c["program.keras.activation"], int(c["fit.seed"]), round(float(c["program.keras.dropout"]), 6))
        for c in (each.choice for each in trials)
    }
    assert (len(trials), len(tried)) == (2 * 2 * 5, 2 * 2 * 5)


@pytest.mark.parametrize("algorithm", ["asha", "hyperband"])
def test_a_trial_that_falls_behind_is_ended_and_one_that_leads_is_not(algorithm: str) -> None:
    made = study(algorithm, RATE, epochs=27)
    ended_early = 0
    for number in range(30):
        assert made.propose(number) is not None
        good = number % 10 == 9
        fell_behind = any(made.falls_behind(number, epoch, 1.0 + number if good else -number) for epoch in range(1, 28))
        assert not (good and fell_behind)
        ended_early += fell_behind
        made.ended(Trial(number, {}, state="pruned" if fell_behind else "complete", value=0.0))
    assert ended_early >= 15


def test_random_search_ends_no_trial_early() -> None:
    made = study("random", RATE)
    for number in range(5):
        assert made.propose(number) is not None
        assert not any(made.falls_behind(number, epoch, -float(number)) for epoch in range(1, 10))
