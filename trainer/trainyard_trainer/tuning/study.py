"""Which settings to try next, and which trials have fallen behind: Optuna decides, from the trials so far."""

import itertools

import optuna
from optuna.trial import TrialState, create_trial

from trainyard_api.tuning import Tuning
from trainyard_trainer.tuning.space import Choice, ChosenValue, SearchSpace
from trainyard_trainer.tuning.trials import Trial, Trials

REDUCTION = 3
"""asha and hyperband let the best third of the trials go on, again and again."""
_DRAWS, _MOST_LISTED = 20, 100_000
"""Draws until those that are left are looked through, where there are no more than so many."""
_STATES = {"complete": TrialState.COMPLETE, "pruned": TrialState.PRUNED, "failed": TrialState.FAIL}


class Study:
    """Proposes trials and judges them.

    What it proposes depends on the seed, the number of the trial and the trials that ended before it, so a search with
    one trial at a time is the same again after an interruption. asha is the asynchronous successive halving of Li et
    al., "A system for massively parallel hyperparameter tuning" (2020); hyperband that of Li et al., "Hyperband"
    (2018); bayesian the tree-structured Parzen estimator of Bergstra et al. (2011).
    """

    def __init__(self, tuning: Tuning, space: SearchSpace, *, higher: bool, epochs: int | None, seed: int) -> None:
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._tuning, self._space, self._seed = tuning, space, seed
        direction = "maximize" if higher else "minimize"
        self._study = optuna.create_study(study_name="tuning", direction=direction, pruner=_pruner(tuning, epochs))
        self._open: dict[int, optuna.Trial] = {}
        self._tried: set[str] = set()

    def take_over(self, trials: Trials) -> None:
        """Learn from the trials of an earlier run; those that were running are open again."""
        for trial in trials:
            self._tried.add(self._space.key(trial.choice))
            if trial.ended:
                self._study.add_trial(self._frozen(trial))
            else:
                self._study.enqueue_trial(dict(trial.choice))
                self._open[trial.number] = self._study.ask(self._space.distributions)
                for epoch, value in enumerate(trial.values, start=1):
                    self._open[trial.number].report(value, epoch)

    def propose(self, number: int) -> Choice | None:
        """Return settings that no trial has had yet, for the one with this number, or nothing where none are left."""
        size = self._space.size
        if size is not None and len(self._tried) >= size:
            return None
        for attempt in itertools.count():
            few = size is not None and size <= _MOST_LISTED
            if self._tuning.algorithm == "grid" or (few and attempt >= _DRAWS):
                self._study.enqueue_trial(self._next_untried())
            self._study.sampler = self._sampler(number, attempt)
            trial = self._study.ask(self._space.distributions)
            if (key := self._space.key(trial.params)) not in self._tried:
                break
            self._study.tell(trial, state=TrialState.FAIL)  # no algorithm learns from those
        self._tried.add(key)
        self._open[number] = trial
        return dict(trial.params)

    def _next_untried(self) -> dict[str, ChosenValue]:
        return next(each for each in self._space.grid() if self._space.key(each) not in self._tried)

    def falls_behind(self, number: int, epoch: int, value: float) -> bool:
        """Take in the objective after an epoch; returns whether the trial is not worth going on with."""
        self._open[number].report(value, epoch)
        return bool(self._open[number].should_prune())

    def ended(self, trial: Trial) -> None:
        """Take in how a trial ended."""
        value = trial.value if trial.state == "complete" else None
        self._study.tell(self._open.pop(trial.number), value, state=_STATES[trial.state])

    def _sampler(self, number: int, attempt: int) -> optuna.samplers.BaseSampler:
        seed = (self._seed * 1_000_003 + number + attempt * 7919) % 2**32
        if self._tuning.algorithm == "bayesian":
            return optuna.samplers.TPESampler(seed=seed)
        return optuna.samplers.RandomSampler(seed=seed)

    def _frozen(self, trial: Trial) -> optuna.trial.FrozenTrial:
        return create_trial(
            state=_STATES[trial.state],
            params=dict(trial.choice),
            distributions=self._space.distributions,
            value=trial.value if trial.state == "complete" else None,
            intermediate_values=dict(enumerate(trial.values, start=1)),
        )


def _pruner(tuning: Tuning, epochs: int | None) -> optuna.pruners.BasePruner:
    if tuning.algorithm == "asha":
        return optuna.pruners.SuccessiveHalvingPruner(min_resource=1, reduction_factor=REDUCTION)
    if tuning.algorithm == "hyperband":
        return optuna.pruners.HyperbandPruner(min_resource=1, max_resource=epochs or "auto", reduction_factor=REDUCTION)
    return optuna.pruners.NopPruner()
