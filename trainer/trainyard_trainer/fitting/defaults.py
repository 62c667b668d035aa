"""What a spec leaves open, by family and number of rows: a first model that is sane for this data. Pure."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from trainyard_api.fit import LEARNING_RATE, Fit, NoImprovement, Schedule
from trainyard_api.program import Family, KerasProgram
from trainyard_api.trainingjob import TrainingJob, TrainingJobSpec
from trainyard_trainer.tree_settings import TreeSettings, grows_trees

EPOCHS, BATCH_SIZE = 10, 32
"""Of families that say nothing else: images, texts, sounds, programs of the user's own, and private trainings."""
TREE_PATIENCE = 30
"""Rounds without improvement after which boosting stops: ydf's own default."""
FEW_ROWS, SHALLOW = 2000, 4
"""Boosted trees of fewer training rows are not as deep: deeper ones learn them by heart."""


@dataclass(frozen=True, slots=True)
class _Network:
    """How long a network of a table is trained, and how.

    An epoch has `epoch_steps` steps where a batch between `least` and `most` rows allows it, and the whole training has
    about `steps`.
    """

    steps: int
    epochs: tuple[int, int]
    epoch_steps: int
    batch: tuple[int, int]
    learning_rate: float
    schedule: Schedule | None
    stops_early: bool


_CONVEX = _Network(
    steps=3000, epochs=(10, 300), epoch_steps=60, batch=(32, 1024), learning_rate=0.05,
    schedule=Schedule(name="cosineDecay"), stops_early=False,
)  # fmt: skip
"""Convex, so a large rate that falls to 0 reaches the one best answer; its penalty keeps it from learning by heart."""
_DEEP = _Network(
    steps=4000, epochs=(10, 200), epoch_steps=600, batch=(32, 256), learning_rate=LEARNING_RATE,
    schedule=None, stops_early=True,
)  # fmt: skip
_NETWORKS: Mapping[Family, _Network] = {"linear": _CONVEX, "svm": _CONVEX, "mlp": _DEEP}


def with_defaults(job: TrainingJob, *, rows: int, workers: int = 1) -> TrainingJob:
    """Return the job with all that it leaves open filled in; what it says stays as it is.

    Args:
        job: The job.
        rows: Rows to train on.
        workers: That train together; each needs a row of every batch.
    """
    spec = job.spec
    if spec.program.keras and spec.program.keras.family == "auto":  # each family that is tried has its own
        return job
    network = None if spec.privacy else _NETWORKS.get(spec.program.keras.family) if spec.program.keras else None
    size = _batch_size(network, rows)
    changed: dict[str, Any] = {
        "fit": _fit(spec, network, rows, max(size, workers)),
        "program": spec.program.model_copy(update={"keras": _program(spec.program.keras, spec, rows)}),
    }
    return job.model_copy(update={"spec": spec.model_copy(update=changed)})


def chosen(before: TrainingJob, after: TrainingJob) -> dict[str, Any]:
    """Return what was filled in, by the paths of the fields in the spec."""
    was, now = (
        _flat(each.spec.model_dump(mode="json", by_alias=True, exclude_defaults=True)) for each in (before, after)
    )
    return {name: value for name, value in now.items() if was.get(name) != value}


def _flat(document: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in document.items():
        found |= _flat(value, f"{prefix}{name}.") if isinstance(value, Mapping) else {f"{prefix}{name}": value}
    return found


def _fit(spec: TrainingJobSpec, network: _Network | None, rows: int, size: int) -> Fit:
    fit, program = spec.fit, spec.program.keras
    if program and grows_trees(program):
        boosted = TreeSettings.of(program).boosted and program.num_trees is None
        return fit.model_copy(update={"stop_when": _stop_when(spec, TREE_PATIENCE if boosted else None)})
    batch_size = fit.batch_size if fit.batch_size is not None else size
    of_batch = batch_size if isinstance(batch_size, int) else size
    epochs = fit.epochs or (_epochs(network, math.ceil(rows / of_batch)) if network else EPOCHS)
    patience = max(5, epochs // 6) if network and network.stops_early and not fit.epochs else None
    changed = {
        "epochs": epochs,
        "batch_size": batch_size,
        "optimizer": _optimizer(fit, network),
        "stop_when": _stop_when(spec, patience),
    }
    return fit.model_copy(update=changed)


def _optimizer(fit: Fit, network: _Network | None) -> Any:
    wanted = fit.optimizer
    if wanted.learning_rate is not None:
        return wanted
    if network is None or wanted.name != "adam":
        return wanted.model_copy(update={"learning_rate": LEARNING_RATE})
    changed = {"learning_rate": network.learning_rate, "schedule": wanted.schedule or network.schedule}
    return wanted.model_copy(update=changed)


def _stop_when(spec: TrainingJobSpec, patience: int | None) -> Any:
    when = spec.fit.stop_when
    if patience is None or when.no_improvement or not spec.data.validation.wanted:
        return when
    return when.model_copy(update={"no_improvement": NoImprovement(epochs=patience)})


def _program(program: KerasProgram | None, spec: TrainingJobSpec, rows: int) -> KerasProgram | None:
    if program and program.family == "gradientBoostedTrees" and program.max_depth is None and rows < FEW_ROWS:
        return program.model_copy(update={"max_depth": SHALLOW})
    if program is None or program.family != "linear" or program.l2 is not None or spec.privacy:
        return program
    # As scikit-learn's Ridge and LogisticRegression have it, for a loss that is a mean over the rows.
    return program.model_copy(update={"l2": 1 / rows if program.task == "regression" else 1 / (2 * rows)})


def _batch_size(network: _Network | None, rows: int) -> int:
    if network is None:
        return min(BATCH_SIZE, rows)
    least, most = network.batch
    return min(rows, max(least, min(most, 1 << (rows // network.epoch_steps).bit_length() >> 1)))


def _epochs(network: _Network, steps_per_epoch: int) -> int:
    least, most = network.epochs
    return max(least, min(most, math.ceil(network.steps / steps_per_epoch)))
