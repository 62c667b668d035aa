"""Builds the model and trains it."""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from trainyard_operator.api.meta import parse_duration
from trainyard_trainer.checkpoint import CheckpointFolder
from trainyard_trainer.data.pipeline import MemoryRows, StreamedRows, TrainingRows, validation_blocks
from trainyard_trainer.data.profile import Profile, rows_in
from trainyard_trainer.data.rows import Rows
from trainyard_trainer.data.table import BATCH_ROWS
from trainyard_trainer.devices import Devices
from trainyard_trainer.encoders import Encoder, encoder_for
from trainyard_trainer.history import History
from trainyard_trainer.journal import Journal
from trainyard_trainer.loop import Loop, Surroundings
from trainyard_trainer.models import FAMILIES
from trainyard_trainer.optimizers import make_optimizer
from trainyard_trainer.plan import Plan, Position
from trainyard_trainer.prepare import Prepared
from trainyard_trainer.progress import ProgressBoard
from trainyard_trainer.saving import Interval
from trainyard_trainer.signals import StopSignal
from trainyard_trainer.spec import Run
from trainyard_trainer.state import ModelState
from trainyard_trainer.steps import StepRunner, as_block
from trainyard_trainer.tasks import Task, task_for

_MAX_BLOCK_BYTES = 64 << 20


@dataclass(frozen=True, slots=True)
class Trained:
    """A model with the weights to export, where its training ended, and what else the manifest says of it."""

    model: Any
    encoder: Encoder
    task: Task
    end: Position
    facts: Mapping[str, Any] = field(default_factory=dict)


def fit(
    run: Run,
    prepared: Prepared,
    devices: Devices,
    *,
    checkpoints: CheckpointFolder,
    board: ProgressBoard,
    journal: Journal,
    stop: StopSignal,
) -> Trained:
    """Train the model that the spec describes.

    Raises:
        Diverged: a number is not finite.
        Stopped: on request, after a checkpoint.
    """
    spec, facts = run.job.spec, prepared.profile
    task = task_for(facts.labels, run.program, spec.fit)
    encoder = encoder_for(facts.features)
    plan = Plan(
        epochs=spec.fit.epochs,
        batch_size=spec.fit.batch_size,
        rows=facts.training_rows,
        interval=Interval(spec.checkpoint.every_steps, parse_duration(spec.checkpoint.every)),
        digest=plan_digest(run, facts),
        store=run.folders.model.parent,
        learning_rate=spec.fit.optimizer.learning_rate,
    )
    with devices.scope():
        model = FAMILIES[run.program.family](run.program, encoder.inputs, task.outputs)
        optimizer = make_optimizer(
            spec.fit.optimizer, model, steps_per_epoch=plan.steps_per_epoch, epochs=spec.fit.epochs
        )
    _announce(run, model, devices, journal)

    def to_block(rows: Rows) -> dict[str, Any]:
        return as_block(rows, encoder.encode)

    loop = Loop(
        plan,
        Surroundings(board, journal, History(run.folders.logs, prepared.metrics), stop, checkpoints),
        state=ModelState(model, optimizer),
        runner=StepRunner(
            model,
            optimizer,
            task,
            batch_size=spec.fit.batch_size,
            strategy=devices.strategy,
            class_weights=prepared.class_weights,
        ),
        task=task,
        policy=prepared.policy,
        rows=training_rows(run, prepared, to_block),
        validation=_validation(prepared, to_block),
    )
    return Trained(model, encoder, task, loop.run())


def _announce(run: Run, model: Any, devices: Devices, journal: Journal) -> None:
    count = model.count_params()
    journal.write(
        "model",
        f"{run.program.family} with {count:,} parameters on {devices.description}",
        family=run.program.family,
        task=run.program.task,
        parameters=count,
        devices=devices.description,
    )


def training_rows(run: Run, prepared: Prepared, to_block: Callable[[Rows], Any]) -> TrainingRows:
    """Return the rows to train on: from memory where they are there, else from the files."""
    seed, facts = run.job.spec.fit.seed, prepared.profile
    kept = facts.kept.take_training()
    if kept is not None:
        return MemoryRows(kept, seed=seed, prepare=to_block)
    return StreamedRows(
        prepared.table,
        facts,
        seed=seed,
        batch_size=run.job.spec.fit.batch_size,
        block_bytes=min(_MAX_BLOCK_BYTES, prepared.cache_bytes // 8),
        prepare=to_block,
    )


def _validation(prepared: Prepared, to_block: Callable[[Rows], Any]) -> Callable[[], Iterator[Any]] | None:
    facts = prepared.profile
    if not facts.validation_rows:
        return None
    if facts.kept.validation is not None:
        block = to_block(facts.kept.validation)
        return lambda: iter([block])
    rows = rows_in(_MAX_BLOCK_BYTES, facts.row_bytes, most=BATCH_ROWS)
    return lambda: map(to_block, validation_blocks(prepared.table, facts, block_rows=rows))


def plan_digest(run: Run, facts: Profile) -> str:
    """Tell apart trainings whose checkpoints do not fit each other."""
    spec = run.job.spec
    settings = [spec.program.to_wire(), spec.data.to_wire(), spec.fit.to_wire()]
    return hashlib.sha256((json.dumps(settings, sort_keys=True) + facts.digest).encode()).hexdigest()
