"""Tries the families of a table one after the other, each from its own checkpoints, and keeps the best.

A job that was killed goes on: a family that had ended is restored from its last checkpoint, the one that was running
resumes, and the choice follows from the same validation rows.
"""

import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from trainyard_api.meta import parse_duration
from trainyard_api.program import CANDIDATES, Family
from trainyard_trainer.data.batch import EncodedBatch
from trainyard_trainer.data.hashing import Hashed
from trainyard_trainer.data.labels import NumberLabels
from trainyard_trainer.data.profile import KeptRows, Profile
from trainyard_trainer.devices import Devices
from trainyard_trainer.errors import BadInput, Diverged
from trainyard_trainer.export.evaluation import measured, outputs_of
from trainyard_trainer.fitting.defaults import with_defaults
from trainyard_trainer.fitting.fit import Trained, fit
from trainyard_trainer.fitting.prepared import Prepared
from trainyard_trainer.fitting.stopping import StopPolicy
from trainyard_trainer.reporting.event_log import EventLog
from trainyard_trainer.reporting.part_progress import PartTracker
from trainyard_trainer.reporting.progress_server import ProgressTracker
from trainyard_trainer.selection.mean import MeanEncoder, MeanModel
from trainyard_trainer.selection.weighting import MIN_ROWS, kind_of, mean_weights
from trainyard_trainer.signals import StopSignal
from trainyard_trainer.stores.folder_checkpoints import CheckpointFolder
from trainyard_trainer.tree_settings import grows_trees, most_epochs
from trainyard_trainer.trees.fit import fit_forest

SHARES: Mapping[Family, float] = {"linear": 0.2, "gradientBoostedTrees": 0.4, "mlp": 0.4}
"""Of the time there is."""
_LEAST_SECONDS, _SECONDS_PER_CELL, _MOST_SECONDS = 120, 60e-6, 3600
_ROWS = 4096


@dataclass(frozen=True, slots=True)
class SelectionContext:
    """What a training reports to and hears from, and where the checkpoints of a family are."""

    tracker: ProgressTracker
    event_log: EventLog
    stop: StopSignal
    checkpoints: Callable[[Family], CheckpointFolder]


@dataclass(frozen=True, slots=True)
class Tried:
    """A family that was trained: what came of it, and its outputs for the validation rows."""

    prepared: Prepared
    trained: Trained
    steps: int
    outputs: Any

    @property
    def family(self) -> Family:
        """Its name."""
        assert self.prepared.run.job.spec.program.keras is not None
        return self.prepared.run.job.spec.program.keras.family


def time_limit(prepared: Prepared) -> int:
    """Return the seconds that all families together may train: those of the spec, else by the size of the data."""
    if wanted := prepared.run.job.spec.fit.time_limit:
        return parse_duration(wanted)
    cells = prepared.profile.training_rows * len(prepared.profile.schema.features)
    return round(min(_MOST_SECONDS, _LEAST_SECONDS + _SECONDS_PER_CELL * cells))


def fit_auto(prepared: Prepared, devices: Devices, around: SelectionContext) -> tuple[Prepared, Trained]:
    """Train each family that fits the data; returns the best, or a mean of several, with the settings it had.

    Raises:
        BadInput: no family came to anything.
        Stopped: on request, after a checkpoint.
    """
    seconds = time_limit(prepared)
    rows = prepared.profile.kept.take_training()
    skipped = _skipped(prepared.profile, prepared.run.program.task, rows)
    families = [each for each in CANDIDATES if each not in skipped]
    around.event_log.write(
        "trying",
        f"family auto: {', '.join(families)} are tried within {seconds} s of training"
        + "".join(f"; {family} is not: {why}" for family, why in skipped.items()),
        families=families,
        timeLimit=seconds,
    )
    tried: list[Tried] = []
    shares = sum(SHARES[each] for each in families)
    begin = 0.0
    for family in families:
        share = SHARES[family] / shares
        own = _prepared_for(prepared, family, rows, seconds=seconds * share)
        part = PartTracker(around.tracker, begin=begin, end=begin + share)
        begin += share
        try:
            tried.append(_try(own, devices, replace(around, tracker=part)))
        except Diverged as error:
            skipped[family] = str(error)
            around.event_log.write("tried", f"{family} came to nothing: {error}", family=family)
    if not tried:
        raise BadInput(f"no family came to anything: {'; '.join(skipped.values())}")
    return _chosen(prepared, tried, rows, around, told={"timeLimit": seconds, "skipped": skipped})


def _skipped(profile: Profile, task: str, rows: EncodedBatch | None) -> dict[Family, str]:
    why = ""
    if task == "multilabelClassification":
        why = "trees give each row one class"
    elif rows is None or (profile.validation_rows and profile.kept.validation is None):
        why = "its rows do not fit the memory"
    elif any(isinstance(each, Hashed) for each in getattr(profile.features, "vocabularies", ())):
        why = "trees take no hashed columns"
    return {"gradientBoostedTrees": why} if why else {}


def _prepared_for(prepared: Prepared, family: Family, rows: EncodedBatch | None, *, seconds: float) -> Prepared:
    """Return what one family is trained from: the same rows, its own settings, and its share of the time."""
    run, spec = prepared.run, prepared.run.job.spec
    assert spec.program.keras is not None
    given = spec.fit.stop_when.time_limit
    limit = min(round(seconds), parse_duration(given)) if given else round(seconds)
    stop_when = spec.fit.stop_when.model_copy(update={"time_limit": f"{max(limit, 1)}s"})
    changed = {
        "program": spec.program.model_copy(update={"keras": spec.program.keras.model_copy(update={"family": family})}),
        "fit": spec.fit.model_copy(update={"stop_when": stop_when, "time_limit": None}),
    }
    job = run.job.model_copy(update={"spec": spec.model_copy(update=changed)})
    job = with_defaults(job, rows=prepared.profile.training_rows)
    assert job.spec.program.keras is not None
    folders = replace(run.folders, logs=run.folders.logs / family)
    epochs = most_epochs(job.spec)
    assert epochs is not None
    return replace(
        prepared,
        run=replace(run, job=job, program=job.spec.program.keras, folders=folders),
        policy=StopPolicy(job.spec.fit.stop_when, epochs=epochs),
        profile=replace(prepared.profile, kept=KeptRows(rows, prepared.profile.kept.validation)),
    )


def _try(own: Prepared, devices: Devices, around: SelectionContext) -> Tried:
    run, tracker = own.run, around.tracker
    tracker.update(epochs=most_epochs(run.job.spec) or 0)
    family = own.run.job.spec.program.keras.family if own.run.job.spec.program.keras else "mlp"
    train = fit_forest if grows_trees(run.program) else fit
    trained = train(
        run,
        own,
        devices,
        checkpoints=around.checkpoints(family),
        tracker=tracker,
        event_log=around.event_log,
        stop=around.stop,
    )
    steps, end = tracker.current.step, trained.end
    around.event_log.write(
        "tried",
        f"{family}: " + ", ".join(f"{name} {value:.4g}" for name, value in end.metrics.items()),
        family=family,
        reason=end.reason,
        epochs=end.epoch,
        seconds=round(end.seconds, 3),
        **end.metrics,
    )
    return Tried(own, trained, steps, _outputs(trained, _validation(own)))


def _validation(prepared: Prepared) -> list[EncodedBatch]:
    """Return the validation rows, in pieces; none where they do not fit the memory."""
    kept = prepared.profile.kept.validation
    if kept is None:
        return []
    return [kept.take(slice(i, i + _ROWS)) for i in range(0, len(kept), _ROWS)]


def _outputs(trained: Trained, pieces: Sequence[EncodedBatch]) -> Any:
    """Return a model's outputs, float32 [rows, outputs]."""
    found = [outputs_of(trained, piece) for piece in pieces]
    return np.concatenate(found) if found else np.zeros((0, trained.task.outputs), np.float32)


def _chosen(
    prepared: Prepared, tried: list[Tried], rows: EncodedBatch | None, around: SelectionContext, *, told: dict[str, Any]
) -> tuple[Prepared, Trained]:
    weights = _weights(prepared, tried)
    members = [(each, weight) for each, weight in zip(tried, weights, strict=True) if weight]
    best = max(members, key=lambda member: member[1])[0]
    told |= {
        "tried": {
            each.family: {
                "metrics": dict(each.trained.end.metrics),
                "epochs": each.trained.end.epoch,
                "seconds": round(each.trained.end.seconds, 3),
                "reason": each.trained.end.reason,
            }
            for each in tried
        },
        "weights": {each.family: weight for each, weight in members},
    }
    names = [f"{weight:.3g} {each.family}" for each, weight in members]
    told["chosen"] = f"the mean of {' and '.join(names)}" if len(members) > 1 else best.family
    few = len(members) > 1 and prepared.profile.validation_rows < MIN_ROWS
    why = "as the few validation rows do not tell which is better" if few else "which is best on the validation rows"
    around.event_log.write("chosen", f"family auto: {told['chosen']}, {why}", **told)
    shutil.copytree(best.prepared.run.folders.logs, prepared.run.folders.logs, dirs_exist_ok=True)
    facts: dict[str, Any] = {"auto": told}
    if len(members) == 1:
        end, own = best.trained.end, best.prepared
        trained, steps = best.trained, best.steps
    else:
        assert rows is not None
        trained = _mean(members, facts)
        metrics = _metrics(trained, rows, _validation(prepared))
        end = replace(
            best.trained.end,
            metrics=metrics,
            epoch=sum(each.trained.end.epoch for each, _ in members),
            step=0,
            seconds=sum(each.trained.end.seconds for each, _ in members),
        )
        trained, own, steps = replace(trained, end=end), prepared, sum(each.steps for each, _ in members)
    # The manifest tells of the model; progress, which never goes back, of all that was done.
    trained = replace(trained, facts=dict(trained.facts) | facts | {"steps": steps})
    done = around.tracker.current
    around.tracker.update(
        epochs=done.epoch, steps=done.step, metrics=dict(end.metrics), loss=end.metrics["loss"], eta_seconds=0.0
    )
    return replace(own, run=replace(own.run, folders=prepared.run.folders)), trained


def _weights(prepared: Prepared, tried: list[Tried]) -> tuple[float, ...]:
    """Return the weight of each model in what is exported."""
    pieces, kind = _validation(prepared), prepared.profile.labels
    if pieces:
        labels = np.concatenate([each.labels for each in pieces])
        if isinstance(kind, NumberLabels):
            labels = kind.standard(labels)
        counts = [each.weights for each in pieces if each.weights is not None]
        return mean_weights(
            kind_of(prepared.run.program.task),
            [each.outputs for each in tried],
            labels,
            np.concatenate(counts) if counts else None,
        )
    name = "val_loss" if prepared.profile.validation_rows else "loss"
    best = min(range(len(tried)), key=lambda i: tried[i].trained.end.metrics[name])
    return tuple(float(i == best) for i in range(len(tried)))


def _mean(members: Sequence[tuple[Tried, float]], facts: Mapping[str, Any]) -> Trained:
    first = members[0][0].trained
    kind = kind_of(members[0][0].prepared.run.program.task)
    model = MeanModel([each.trained.model for each, _ in members], [weight for _, weight in members], kind)
    return Trained(model, MeanEncoder([each.trained.encoder for each, _ in members]), first.task, first.end, facts)


def _metrics(trained: Trained, rows: EncodedBatch, validation: Sequence[EncodedBatch]) -> dict[str, float]:
    training = [rows.take(slice(i, i + _ROWS)) for i in range(0, len(rows), _ROWS)]
    found = measured(trained, training, trained.task.sums)
    held_back = measured(trained, validation, trained.task.validation_sums)
    return found | {f"val_{name}": value for name, value in held_back.items()}
