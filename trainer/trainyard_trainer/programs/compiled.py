"""What a user's model was compiled with, as the fields of `spec.fit` that mean the same."""

import re
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import keras
import numpy as np

from trainyard_api.fit import LOSSES, METRICS, Fit
from trainyard_api.tasks import Task
from trainyard_trainer.errors import BadInput, did_you_mean, listed
from trainyard_trainer.reporting.event_log import EventLog
from trainyard_trainer.tasks.metrics import metric_names

_REDUCTIONS = ("sum_over_batch_size", "mean", "mean_with_sample_weight")
_ALIASES = {
    "acc": "accuracy",
    "bce": "binary_crossentropy",
    "ce": "crossentropy",
    "mae": "mean_absolute_error",
    "mape": "mean_absolute_percentage_error",
    "mse": "mean_squared_error",
}
_SPARSE = {  # labels are numbers here and one-hot there: it is the same number
    "sparse_categorical_crossentropy": "categorical_crossentropy",
    "sparse_categorical_accuracy": "categorical_accuracy",
    "sparse_top_k_categorical_accuracy": "top_k_categorical_accuracy",
}
_SAME: Mapping[Task, Mapping[str, str]] = {
    "binaryClassification": {"binary_accuracy": "accuracy", "crossentropy": "binary_crossentropy"},
    "multiclassClassification": {"categorical_accuracy": "accuracy", "crossentropy": "categorical_crossentropy"},
    "multilabelClassification": {"accuracy": "binary_accuracy", "crossentropy": "binary_crossentropy"},
    "regression": {"mean_absolute_error": "mae"},
}
"""Metrics that a task always has, by the other names that Keras has for them."""
_AVERAGES: Mapping[Task, tuple[object, ...]] = {
    "multiclassClassification": (None, "macro"),
    "multilabelClassification": (None, "micro"),
}
_IGNORED = ("name", "dtype", "from_logits", "num_thresholds", "summation_method")
_SETTINGS: Mapping[str, tuple[object, ...]] = {
    "axis": (-1,),
    "class_aggregation": ("uniform_average",),
    "curve": ("ROC",),
    "k": (5,),
    "label_smoothing": (0,),
    "multi_label": (False,),
    "num_regressors": (0,),
    "threshold": (None, 0.5),
    "thresholds": (None, 0.5, [0.5]),
}
"""The settings with which a metric is the one that the trainer has; of those that are not here, none may be set."""


@dataclass(frozen=True, slots=True)
class Compiled:
    """What `compile()` was given: an optimizer, and loss and metrics by their names in `spec.fit`.

    `from_logits` is whether the loss expects outputs before a sigmoid or softmax, or nothing where it does not ask.
    `others` are metrics that the trainer does not have.
    """

    optimizer: keras.Optimizer | None = None
    loss: str | None = None
    from_logits: bool | None = None
    metrics: tuple[str, ...] = ()
    others: tuple[str, ...] = ()

    def with_fresh_optimizer(self) -> "Compiled":
        """Return the same for other variables: an optimizer that was used knows those it was used with."""
        if self.optimizer is None or not self.optimizer.built:
            return self
        return replace(self, optimizer=keras.optimizers.deserialize(keras.optimizers.serialize(self.optimizer)))

    def applied(self, fit: Fit, event_log: EventLog) -> Fit:
        """Return how to train: as the spec says, and as the model was compiled where the spec says nothing.

        Raises:
            BadInput: they contradict each other.
        """
        if fit.loss and self.loss and fit.loss != self.loss:
            raise BadInput(
                f"fit.loss is {fit.loss}, but the model is compiled with loss {self.loss}: leave one of them out"
            )
        if self.others:
            message = f"metrics of compile() that are not reported, because no task has them: {listed(self.others)}"
            event_log.write("metrics-left-out", message, metrics=list(self.others))
        further = [metric for metric in self.metrics if metric not in fit.metrics]
        return fit.model_copy(update={"loss": fit.loss or self.loss, "metrics": [*fit.metrics, *further]})


def read_compiled(model: keras.Model, task: Task, where: str) -> Compiled:
    """Return what a model was compiled with.

    Raises:
        BadInput: the task has no such loss.
    """
    if not model.compiled:
        return Compiled()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Keras warns of saving what cannot be loaded; nobody does
        config = model.get_compile_config()
    weights = [weight for weight in _flat(config.get("loss_weights")) if weight != 1]
    if weights:
        raise BadInput(f"{where} returned a model compiled with loss_weights {listed(map(str, weights))}: leave it out")
    loss, from_logits = _loss(model.loss, task, where)
    given = [*_flat(config.get("metrics")), *_flat(config.get("weighted_metrics"))]
    known: list[str] = []
    others: list[str] = []
    always = {metric.removeprefix("val_") for metric in metric_names(task, validation=True)}
    for metric in given:
        name = _metric(metric, task, loss, logits=from_logits is not False)
        if name in METRICS[task]:
            known.append(name)
        elif name not in always:
            others.append(_shown(metric))
    return Compiled(model.optimizer, loss, from_logits, tuple(dict.fromkeys(known)), tuple(others))


def _loss(given: object, task: Task, where: str) -> tuple[str | None, bool | None]:
    """Return the name of a loss, and whether it takes outputs before the final activation."""
    losses = list(_flat(given))
    if not losses:
        return None, None
    allowed = [name for name in LOSSES[task] if name not in ("quantile", "poisson")]  # not as Keras has them
    advice = f"expected one of {listed(allowed)}, or none; a loss of your own needs program.container"
    try:
        (only,) = losses
        loss = keras.losses.get(only)
    except (ValueError, TypeError) as error:
        names = [item if isinstance(item, str) else _name_of(item) for item in losses]
        hint = did_you_mean(names[0], allowed)
        raise BadInput(f"{where} returned a model compiled with loss {listed(names)}{hint}: {advice}") from error
    name = _canonical(_name_of(loss))
    if name not in allowed or not _is_of_keras(loss):
        raise BadInput(f"{where} returned a model compiled with loss {_name_of(loss)} for task {task}: {advice}")
    if changed := _changed(loss):
        raise BadInput(
            f"{where} returned a model compiled with loss {_name_of(loss)} with another {listed(changed)} than Keras' "
            "default, which the trainer does not have: leave that out"
        )
    return name, bool(getattr(loss, "from_logits", False)) if "crossentropy" in name else None


def _changed(loss: object) -> list[str]:
    """Return the settings of a loss that make it another one than its name says."""
    if not isinstance(loss, keras.losses.Loss):
        return []
    config, usual = loss.get_config(), type(loss)().get_config()
    changed = [
        setting for setting in usual if setting not in ("name", "from_logits") and config[setting] != usual[setting]
    ]
    if config["reduction"] in _REDUCTIONS:
        changed = [setting for setting in changed if setting != "reduction"]
    if not changed and "from_logits" not in usual:
        # The configuration of Huber does not tell its delta.
        of = np.array([[0.1], [1.5], [7.0]], np.float32)
        changed = [] if np.isclose(loss(0 * of, of), type(loss)()(0 * of, of)) else ["delta"]
    return changed


def _is_of_keras(loss: object) -> bool:
    owner = type(loss) if isinstance(loss, keras.losses.Loss) else loss
    return getattr(owner, "__module__", "").partition(".")[0] == "keras"


def _name_of(given: object) -> str:
    return str(getattr(given, "__name__", None) or type(given).__name__)


def _metric(given: object, task: Task, loss: str | None, *, logits: bool) -> str | None:
    """Return the name that the trainer reports a metric by, or nothing where it has another one, or none."""
    settings: Mapping[str, object] = {}
    if isinstance(given, Mapping):
        is_function = given["class_name"] == "function"
        settings = {} if is_function else given["config"]
        given = given["config"] if is_function else given["class_name"]
    if not isinstance(given, str) or not all(_fits(name, value, task, logits) for name, value in settings.items()):
        return None
    name = _canonical(given)
    name = _SAME[task].get(name, name)
    return "loss" if name == (loss or LOSSES[task][0]) and name not in METRICS[task] else name


def _fits(name: str, value: object, task: Task, logits: bool) -> bool:
    if name in _IGNORED:
        return True
    if name == "average":
        return task not in _AVERAGES or value in _AVERAGES[task]
    if name in ("threshold", "thresholds") and logits and value in (0, [0]):
        return True  # a half, as log-odds
    return value in _SETTINGS.get(name, (None,))


def _canonical(name: str) -> str:
    """Return Keras' name of the function for that of a class, or a short one: f1_score for F1Score."""
    snake = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()
    name = _ALIASES.get(snake, snake)
    return _SPARSE.get(name, name)


def _shown(given: object) -> str:
    if not isinstance(given, Mapping):
        return str(given)
    return str(given["config"] if given["class_name"] == "function" else given["class_name"])


def _flat(given: object) -> Iterator[object]:
    """Yield what compile() was given for the one output, in whatever lists and dictionaries."""
    if isinstance(given, (list, tuple)):
        for item in given:
            yield from _flat(item)
    elif isinstance(given, Mapping) and "class_name" not in given:
        yield from _flat(list(given.values()))
    elif given is not None:
        yield given
