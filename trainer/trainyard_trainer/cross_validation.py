"""k-fold cross-validation: the same program is trained once without each fold of the rows, and judged on that fold.

It tells how much the metrics depend on which rows are held back. Folds are trained one after the other, each from its
own checkpoints, so that a killed job goes on with the fold that was running.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from statistics import fmean, stdev
from typing import TypedDict

from trainyard_trainer.reporting.event_log import EventLog
from trainyard_trainer.reporting.part_progress import PartTracker
from trainyard_trainer.reporting.progress_server import ProgressTracker
from trainyard_trainer.spec import Run

FOLD_SHARE = 0.8
"""What folds take of the progress; the rest is for the model itself."""


class Spread(TypedDict):
    """A metric over all folds."""

    mean: float
    deviation: float
    values: list[float]


def fold_part(fold: int) -> str:
    """Return the name of the checkpoints of a fold."""
    return f"fold-{fold}"


def run_of_fold(run: Run, fold: int, folds: int) -> Run:
    """Return the run that trains without one fold."""
    spec = run.job.spec
    validation = spec.data.validation.model_copy(update={"fraction": 1 / folds, "folds": None})
    data = spec.data.model_copy(update={"validation": validation})
    job = run.job.model_copy(update={"spec": spec.model_copy(update={"data": data})})
    return replace(run, job=job, folders=replace(run.folders, logs=run.folders.logs / fold_part(fold)), fold=fold)


def cross_validate(
    run: Run,
    folds: int,
    *,
    tracker: ProgressTracker,
    event_log: EventLog,
    train: Callable[[Run, ProgressTracker], Mapping[str, float]],
) -> dict[str, Spread]:
    """Return each metric of the rows that were held back, over all folds; `train` returns those of one."""
    found = []
    for fold in range(folds):
        begin, end = (FOLD_SHARE * place / folds for place in (fold, fold + 1))
        event_log.write("fold", f"training without fold {fold + 1} of {folds}", fold=fold, folds=folds)
        found.append(train(run_of_fold(run, fold, folds), PartTracker(tracker, begin=begin, end=end)))
    told = over_folds(found)
    numbers = ", ".join(f"{name} {each['mean']:.4g} ± {each['deviation']:.2g}" for name, each in told.items())
    event_log.write("cross-validated", f"over {folds} folds: {numbers}", folds=folds, metrics=told)
    return told


def over_folds(found: Sequence[Mapping[str, float]]) -> dict[str, Spread]:
    """Return mean and standard deviation of the metrics that all folds have of the rows they were not trained on."""
    names = [name for name in found[0] if name.startswith("val_") and all(name in each for each in found)]
    values = {name: [each[name] for each in found] for name in names}
    return {name: Spread(mean=fmean(each), deviation=stdev(each), values=each) for name, each in values.items()}
