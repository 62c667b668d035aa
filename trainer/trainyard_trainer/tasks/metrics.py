"""The names of the numbers a training reports, as Keras calls them."""

from collections.abc import Sequence

from trainyard_operator.api.program import Task

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


def is_better_higher(metric: str) -> bool:
    """Return whether more is better: so for accuracy and areas under curves, not for losses and errors."""
    return metric.removeprefix("val_") in _HIGHER
