"""Builds the model and trains it."""

import functools
import hashlib
import json
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from trainyard_api.code import PythonProgram
from trainyard_api.fit import LEARNING_RATE, Fit
from trainyard_api.meta import parse_duration
from trainyard_api.program import ModelProgram
from trainyard_trainer.autotune.autotuner import Autotuned, Autotuner, StepFactory, rows_a_block, settings_of_several
from trainyard_trainer.autotune.choices import Choices, batch_limit
from trainyard_trainer.data.batch import EncodedBatch
from trainyard_trainer.data.pipeline import MemoryRows, StreamedRows, TrainingRows, validation_blocks
from trainyard_trainer.data.profile import Profile, rows_in
from trainyard_trainer.data.table import BATCH_ROWS
from trainyard_trainer.devices import Devices
from trainyard_trainer.encoding.encoders import Encoder, encoder_for
from trainyard_trainer.errors import BadInput
from trainyard_trainer.execution import FLOAT32, Execution
from trainyard_trainer.fitting.defaults import EPOCHS
from trainyard_trainer.fitting.divergence import DivergenceDiagnosis
from trainyard_trainer.fitting.loop import Loop, LoopConfig, LoopContext
from trainyard_trainer.fitting.optimizers import make_optimizer
from trainyard_trainer.fitting.parameter_server_steps import ParameterServerStepRunner
from trainyard_trainer.fitting.plan import Plan, Position
from trainyard_trainer.fitting.prepared import Prepared
from trainyard_trainer.fitting.saving import CheckpointInterval
from trainyard_trainer.fitting.state import ModelState
from trainyard_trainer.fitting.step_sync import newest_of_chief
from trainyard_trainer.fitting.steps import StepRunner, as_block
from trainyard_trainer.models import FAMILIES
from trainyard_trainer.privacy.plan import EPSILON
from trainyard_trainer.programs.build import build_python, compiled_optimizer, fit_as_compiled
from trainyard_trainer.programs.inputs import describe_data
from trainyard_trainer.reporting.event_log import EventLog
from trainyard_trainer.reporting.history import History, HistoryFile, NoHistory
from trainyard_trainer.reporting.progress_server import ProgressTracker
from trainyard_trainer.signals import StopSignal
from trainyard_trainer.spec import CACHE_ENV, Run
from trainyard_trainer.stores.folder_checkpoints import CheckpointFolder, Snapshot
from trainyard_trainer.tasks.metrics import metric_names
from trainyard_trainer.tasks.task import Task, task_for
from trainyard_trainer.tensors import Model, Optimizer, Tensors
from trainyard_trainer.workers.group import SINGLE_WORKER, WorkerGroup
from trainyard_trainer.workers.sharding import Share

PLAINLY = {"precision": FLOAT32, "jit_compile": False}
"""How private steps are computed: lower precision could let a gradient exceed its norm."""
_MAX_BLOCK_BYTES = 64 << 20


@dataclass(frozen=True, slots=True)
class Trained:
    """A model with the weights to export, where its training ended, and what else the manifest says of it."""

    model: Model
    encoder: Encoder
    task: Task
    end: Position
    facts: Mapping[str, object] = field(default_factory=dict)


def fit(
    run: Run,
    prepared: Prepared,
    devices: Devices,
    *,
    checkpoints: CheckpointFolder,
    tracker: ProgressTracker,
    event_log: EventLog,
    stop: StopSignal,
    group: WorkerGroup = SINGLE_WORKER,
) -> Trained:
    """Train the model that the spec describes.

    Raises:
        Diverged: a number is not finite.
        Stopped: on request, after a checkpoint.
        PeerLost: another worker is gone.
    """
    found = newest_of_chief(group, checkpoints, plan_digest(run, prepared.profile), event_log)
    compiled = _compile(run, prepared, devices, event_log)
    history: History = NoHistory() if group.index else HistoryFile(run.folders.logs, compiled.metrics, event_log)
    context = LoopContext(tracker, event_log, history, stop, checkpoints, group)
    loop, choices = _loop(run, prepared, devices, compiled=compiled, context=context, found=found)
    end = loop.run()
    model, facts = compiled.model, choices.to_wire()
    if devices.workers:
        model = _fetched(model, _build(run.program, prepared.profile, compiled.encoder))
        facts |= {"strategy": "ParameterServer"}
    if prepared.privacy is not None:
        spent = prepared.privacy.describe(tracker.current.step)
        event_log.write("privacy", "epsilon {epsilon:.4g} at delta {delta:.3g} was spent".format(**spent), **spent)
        end = replace(end, metrics={**end.metrics, EPSILON: spent[EPSILON]})
        tracker.update(metrics=dict(end.metrics))
        facts |= {"privacy": spent}
    return Trained(model, compiled.encoder, compiled.task, end, facts)


@dataclass(frozen=True, slots=True)
class _CompiledModel:
    """A new model, and what it is trained with. `settings` are those of the spec and of the model's own compile()."""

    model: Model
    encoder: Encoder
    task: Task
    settings: Fit
    metrics: tuple[str, ...]

    def to_block(self, rows: EncodedBatch) -> Tensors:
        """Return rows as the tensors of a step."""
        return as_block(rows, self.encoder.encode)


def _compile(run: Run, prepared: Prepared, devices: Devices, event_log: EventLog) -> _CompiledModel:
    """Build the model, and settle its loss and metrics."""
    spec, profile = run.job.spec, prepared.profile
    encoder = encoder_for(profile.features)
    with devices.scope():
        model = _build(run.program, profile, encoder)
    _announce(run, model, devices, event_log)
    settings = fit_as_compiled(model, spec.fit, event_log)
    task = task_for(profile.labels, run.program, settings)
    metrics = metric_names(run.program.task, validation=spec.data.validation.wanted, further=settings.metrics)
    prepared.policy.check(metrics)
    return _CompiledModel(model, encoder, task, settings, metrics)


def _loop(
    run: Run,
    prepared: Prepared,
    devices: Devices,
    *,
    compiled: _CompiledModel,
    context: LoopContext,
    found: tuple[Snapshot, Path] | None,
) -> tuple[Loop, Choices]:
    """Return what trains the model, from the checkpoint that was found, and the settings that were measured for it."""
    share = Share(context.group.index, context.group.count)
    rows, tuned = _autotune(
        run,
        prepared,
        devices,
        compiled=compiled,
        share=share,
        before=found[0] if found else None,
        event_log=context.event_log,
    )
    config = LoopConfig(
        plan=_plan(run, prepared, tuned.choices, share=share),
        context=context,
        state=ModelState(compiled.model, tuned.optimizer, tuned.runner.state),
        runner=tuned.runner,
        task=compiled.task,
        policy=prepared.policy,
        rows=rows,
        validation=_validation(prepared, compiled.to_block, share),
        found=found,
        diagnosis=DivergenceDiagnosis(
            run.job.spec.fit.optimizer.learning_rate or LEARNING_RATE,
            tuned.choices.execution.precision,
            prepared.table.schema.numbers,
        ),
    )
    return Loop(config), tuned.choices


def _autotune(
    run: Run,
    prepared: Prepared,
    devices: Devices,
    *,
    compiled: _CompiledModel,
    share: Share,
    before: Snapshot | None,
    event_log: EventLog,
) -> tuple[TrainingRows, Autotuned[StepRunner]]:
    """Settle batch size and execution; returns the rows to train on too, because the batch size decides on them."""
    count, workers = prepared.profile.training_rows, run.cluster.count
    limit = batch_limit(count, most=_block_bytes(prepared) // prepared.profile.row_bytes)
    settings = compiled.settings.model_copy(update=PLAINLY) if prepared.privacy else compiled.settings
    if workers > 1:
        settings = settings_of_several(settings, before, devices=devices, limit=limit, workers=share.count)
    rows = training_rows(
        run, prepared, compiled.to_block, rows_a_block(settings, limit), share=share, event_log=event_log
    )
    factory = _step_factory(run, prepared, devices, model=compiled.model, task=compiled.task, share=share)
    tuned = Autotuner(settings, factory, devices=devices, rows=rows, limit=limit, workers=workers).settle(
        before,
        steps=lambda size: prepared.policy.steps_left(0, steps_per_epoch=math.ceil(count / size)),
        event_log=event_log,
    )
    return rows, tuned


def _plan(run: Run, prepared: Prepared, choices: Choices, *, share: Share) -> Plan:
    checkpoint = run.job.spec.checkpoint
    return Plan(
        epochs=run.job.spec.fit.epochs or EPOCHS,
        choices=choices,
        rows=prepared.profile.training_rows,
        interval=CheckpointInterval(checkpoint.every_steps, parse_duration(checkpoint.every)),
        digest=plan_digest(run, prepared.profile),
        store=run.folders.model.parent,
        share=share,
    )


def _step_factory(
    run: Run, prepared: Prepared, devices: Devices, *, model: Model, task: Task, share: Share
) -> StepFactory[StepRunner]:
    fit, rows = run.job.spec.fit, prepared.profile.training_rows

    def optimizer(batch_size: int, precision: str) -> Optimizer:
        steps = math.ceil(rows / batch_size)
        with devices.scope():
            return compiled_optimizer(model) or make_optimizer(
                fit.optimizer, model, steps_per_epoch=steps, epochs=fit.epochs or EPOCHS, precision=precision
            )

    def private(optimizer: Optimizer, batch_size: int, execution: Execution) -> StepRunner:
        from trainyard_trainer.fitting.private_steps import PrivateStepRunner

        if devices.strategy is not None or prepared.privacy is None:
            raise BadInput("a private training draws its rows for one device: let it see one GPU only")
        return PrivateStepRunner(model, optimizer, task, prepared.privacy, class_weights=prepared.class_weights)

    def runner(optimizer: Optimizer, batch_size: int, execution: Execution) -> StepRunner:
        kind = functools.partial(ParameterServerStepRunner, workers=devices.workers) if devices.workers else StepRunner
        return kind(
            model,
            optimizer,
            task,
            batch_size=batch_size,
            strategy=devices.strategy,
            share=share,
            class_weights=prepared.class_weights,
            execution=execution,
        )

    return StepFactory(
        optimizer, private if prepared.privacy else runner, lambda optimizer: ModelState(model, optimizer)
    )


def _build(program: ModelProgram, facts: Profile, encoder: Encoder) -> Model:
    outputs = task_for(facts.labels, program).outputs
    if isinstance(program, PythonProgram):
        return build_python(program, describe_data(program.task, facts, encoder.inputs, outputs))
    return FAMILIES[program.family](program, encoder.inputs, outputs)


def _fetched(model: Model, copy: Model) -> Model:
    """Return a copy of the model with its weights, which are on servers that are about to end."""
    for own, trained in zip(copy.variables, model.variables, strict=True):
        own.assign(trained.numpy())
    return copy


def _announce(run: Run, model: Model, devices: Devices, event_log: EventLog) -> None:
    count = model.count_params()
    event_log.write(
        "model",
        f"{run.program.family} with {count:,} parameters on {devices.description}",
        family=run.program.family,
        task=run.program.task,
        parameters=count,
        devices=devices.description,
    )


def training_rows(
    run: Run,
    prepared: Prepared,
    to_block: Callable[[EncodedBatch], Tensors],
    batch_size: int,
    *,
    share: Share,
    event_log: EventLog,
) -> TrainingRows:
    """Return the rows to train on: from memory where they are there, else from the files."""
    seed, facts = run.job.spec.fit.seed, prepared.profile
    kept = facts.kept.take_training()
    if kept is not None:
        return MemoryRows(kept, seed=seed, prepare=to_block, batch_size=batch_size, share=share)

    def tell(depth: int, speed: float) -> None:
        message = f"shards of the data read at a time: {depth} ({speed:.2f} times as fast as one)"
        event_log.write("reading", message, shards=depth, speed=round(speed, 2))

    streamed = StreamedRows(
        prepared.table,
        facts,
        seed=seed,
        batch_size=batch_size,
        block_bytes=_block_bytes(prepared),
        prepare=to_block,
        share=share,
        tell=tell,
    )
    if streamed.sorted_by_label and not share.index:
        event_log.write(
            "sorted-rows",
            "the rows of a file are sorted by the label, so that blocks of streamed rows have few of its classes each: "
            "shuffle the rows once, write them as several files or Parquet row groups, which are read in random order, "
            f"or have them kept in memory ({CACHE_ENV})",
        )
    return streamed


def _block_bytes(prepared: Prepared) -> int:
    return max(min(_MAX_BLOCK_BYTES, prepared.cache_bytes // 8), 1)


def _validation(
    prepared: Prepared, to_block: Callable[[EncodedBatch], Tensors], share: Share
) -> Callable[[], Iterator[Tensors]] | None:
    facts = prepared.profile
    if not facts.validation_rows:
        return None
    if facts.kept.validation is not None:
        blocks = [to_block(rows) for rows in validation_blocks(prepared.table, facts, block_rows=0, share=share)]
        return lambda: iter(blocks)
    rows = rows_in(_MAX_BLOCK_BYTES, facts.row_bytes, most=BATCH_ROWS)
    return lambda: map(to_block, validation_blocks(prepared.table, facts, block_rows=rows, share=share))


def plan_digest(run: Run, facts: Profile) -> str:
    """Tell apart trainings whose checkpoints do not fit each other."""
    spec = run.job.spec
    code = dict(run.code.reference) if run.code else {}
    settings = [spec.program.to_wire(), code, spec.data.to_wire(), spec.fit.to_wire()]
    if spec.privacy:
        settings.append(spec.privacy.to_wire())
    if run.cluster.count > 1 and facts.kept.streamed:
        settings.append({"workers": run.cluster.count})  # the order of streamed rows depends on it
    return hashlib.sha256((json.dumps(settings, sort_keys=True) + facts.digest).encode()).hexdigest()
