"""The names of the numbers a training reports, as Keras calls them."""

from collections.abc import Collection, Sequence

from trainyard_api.code import PythonProgram
from trainyard_api.fit import METRICS
from trainyard_api.program import Task
from trainyard_api.trainingjob import TrainingJob
from trainyard_trainer.errors import BadInput, did_you_mean, listed

_TRAINING: dict[Task, tuple[str, ...]] = {
    "binaryClassification": ("loss", "accuracy"),
    "multiclassClassification": ("loss", "accuracy"),
    "multilabelClassification": ("loss", "binary_accuracy", "precision", "recall", "f1_score"),
    "regression": ("loss", "mae"),
}
_VALIDATION_ONLY: dict[Task, tuple[str, ...]] = {"binaryClassification": ("auc",)}
_HIGHER = (
    "accuracy",
    "auc",
    "binary_accuracy",
    "f1_score",
    "precision",
    "r2_score",
    "recall",
    "top_k_categorical_accuracy",
)


def metric_names(task: Task, *, validation: bool, further: Sequence[str] = ()) -> tuple[str, ...]:
    """Return the names of all metrics of a task, with those of validation rows where there are any."""
    names = _TRAINING[task]
    held_back = (*names, *_VALIDATION_ONLY.get(task, ()), *further)
    return (*names, *(f"val_{each}" for each in held_back)) if validation else names


def metrics_of(job: TrainingJob) -> tuple[str, ...]:
    """Return the names of all metrics that a training of a program of the trainer's will have."""
    program, fit, data = job.spec.program.model, job.spec.fit, job.spec.data
    assert program is not None
    return metric_names(program.task, validation=data.validation.wanted, further=fit.metrics)


def possible_metrics(job: TrainingJob) -> tuple[str, ...]:
    """Return the names of all metrics that it may have: a user's compiled model may bring any of its task."""
    program = job.spec.program.model
    if not isinstance(program, PythonProgram):
        return metrics_of(job)
    return metric_names(program.task, validation=job.spec.data.validation.wanted, further=METRICS[program.task])


def check_metric(field: str, metric: str, known: Collection[str]) -> None:
    """Refuse a metric that is not among those there will be.

    Raises:
        BadInput: with the names that would do.
    """
    if metric in known:
        return
    unvalidated = metric.startswith("val_") and not any(each.startswith("val_") for each in known)
    raise BadInput(
        f"{field} is {metric!r}, which this training does not have{did_you_mean(metric, known)} "
        f"(it has {listed(known)})"
        + ("; metrics that begin with val_ need rows to validate with: see data.validation" if unvalidated else "")
    )


def is_better_higher(metric: str) -> bool:
    """Return whether more is better: so for accuracy and areas under curves, not for losses and errors."""
    return metric.removeprefix("val_") in _HIGHER
