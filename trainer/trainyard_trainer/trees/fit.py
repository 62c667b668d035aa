"""Grows the forest that a spec describes, in the place of Keras' training."""

from collections.abc import Mapping
from typing import cast

import tensorflow as tf

from trainyard_api.meta import parse_duration
from trainyard_api.program import KerasProgram
from trainyard_trainer.data.batch import EncodedBatch
from trainyard_trainer.data.schema import Schema
from trainyard_trainer.data.tabular import CATEGORIES, TableStatistics
from trainyard_trainer.devices import Devices
from trainyard_trainer.errors import BadInput, did_you_mean, listed
from trainyard_trainer.fitting.fit import Trained, plan_digest
from trainyard_trainer.fitting.loop import LoopContext
from trainyard_trainer.fitting.prepared import Prepared
from trainyard_trainer.fitting.saving import CheckpointInterval
from trainyard_trainer.fitting.steps import as_block
from trainyard_trainer.reporting.event_log import EventLog
from trainyard_trainer.reporting.history import HistoryFile
from trainyard_trainer.reporting.progress_server import ProgressTracker
from trainyard_trainer.signals import StopSignal
from trainyard_trainer.spec import Run
from trainyard_trainer.stores.folder_checkpoints import CheckpointFolder
from trainyard_trainer.tasks.task import task_for
from trainyard_trainer.tensors import Array
from trainyard_trainer.tree_settings import TreeSettings, grows_trees, rounds_per_slice
from trainyard_trainer.trees.encoder import TreeEncoder
from trainyard_trainer.trees.forest import Forest
from trainyard_trainer.trees.grow import grower_for
from trainyard_trainer.trees.loop import TreeLoop, TreePlan
from trainyard_trainer.trees.model import Combine, ForestModel, ForestShape
from trainyard_trainer.trees.score import ForestScores


def fit_forest(
    run: Run,
    prepared: Prepared,
    devices: Devices,
    *,
    checkpoints: CheckpointFolder,
    tracker: ProgressTracker,
    event_log: EventLog,
    stop: StopSignal,
) -> Trained:
    """Grow the forest that the spec describes; what it returns answers like a Keras model.

    Raises:
        Diverged: a number is not finite.
        Stopped: on request, after a checkpoint.
    """
    spec, profile = run.job.spec, prepared.profile
    assert grows_trees(run.program)
    settings, task = TreeSettings.of(run.program), task_for(profile.labels, run.program, spec.fit)
    directions = _directions(run.program, profile.schema)
    rows = profile.kept.take_training()
    assert rows is not None, "preparing refuses rows that are not in memory"
    encoder = TreeEncoder(cast(TableStatistics, profile.features), rows.features[CATEGORIES])
    shape = ForestShape(encoder.inputs, task.outputs, combine(run.program))
    with tf.device("/CPU:0"):
        training, validation = _block(rows, encoder), _block(profile.kept.validation, encoder)
        del rows
        assert training is not None
        grower = grower_for(
            settings,
            training,
            encoder.inputs,
            labels=profile.labels,
            weights=prepared.class_weights,
            seed=spec.fit.seed,
            directions=directions,
        )
        loop = TreeLoop(
            TreePlan(
                slice=rounds_per_slice(profile.training_rows, shape.columns),
                trees_per_round=shape.trees_per_round,
                rows=profile.training_rows,
                interval=CheckpointInterval(spec.checkpoint.every_steps, parse_duration(spec.checkpoint.every)),
                digest=plan_digest(run, profile),
                store=run.folders.model.parent,
            ),
            LoopContext(
                tracker, event_log, HistoryFile(run.folders.logs, prepared.metrics, event_log), stop, checkpoints
            ),
            grower=grower,
            scores=ForestScores(
                task,
                lambda forest: ForestModel(forest, shape, grower.start),
                training=training,
                validation=validation,
                class_weights=prepared.class_weights,
            ),
            policy=prepared.policy,
        )
        position, forest = loop.run()
        _announce(run, forest, event_log)
        facts = {"featureImportances": encoder.importances(forest.scores.sum(axis=0))}
        return Trained(ForestModel(forest, shape, grower.start), encoder, task, position, facts)


_AVERAGED: Mapping[str, Combine] = {
    "binaryClassification": "meanLogOdds",
    "multiclassClassification": "meanLog",
    "regression": "mean",
}


def _directions(program: KerasProgram, schema: Schema) -> dict[int, int]:
    """Return the columns that the answer may only grow, or fall, with, by their places among the numbers.

    Raises:
        BadInput: one is no number.
    """
    places = {name: place for place, name in enumerate(schema.numbers)}
    found = {}
    for name, direction in (program.monotonic or {}).items():
        if name not in places:
            raise BadInput(
                f"program.keras.monotonic names {name!r}, which is not a feature that holds numbers"
                f"{did_you_mean(name, places)} (those are {listed(places) or 'none'})"
            )
        found[places[name]] = 1 if direction == "increasing" else -1
    return found


def combine(program: KerasProgram) -> Combine:
    """Return how trees make a task's outputs: boosted ones add up logits, others are averaged."""
    if program.family == "gradientBoostedTrees":
        return "sum"
    return _AVERAGED[program.task]


def _block(rows: EncodedBatch | None, encoder: TreeEncoder) -> dict[str, Array] | None:
    """Return rows as arrays, in memory once."""
    if rows is None:
        return None
    return {name: each.numpy() for name, each in as_block(rows, encoder.encode).items()}


def _announce(run: Run, forest: Forest, event_log: EventLog) -> None:
    nodes = int(forest.counts[:, 0].sum())
    event_log.write(
        "model",
        f"{run.program.family} of {len(forest)} trees with {nodes:,} nodes",
        family=run.program.family,
        task=run.program.task,
        trees=len(forest),
        nodes=nodes,
    )
