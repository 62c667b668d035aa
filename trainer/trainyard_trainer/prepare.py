"""Everything that can be checked and learnt before TensorFlow is loaded: folders, data, settings."""

import math
from dataclasses import replace

from trainyard_trainer.data.dataset import DataSet, open_data_set
from trainyard_trainer.data.images import ImageReader, ImageShape
from trainyard_trainer.data.inputs import analyzer_for
from trainyard_trainer.data.modality import reading_of
from trainyard_trainer.data.profile import Profile, profile
from trainyard_trainer.data.reading import Reading, SplitBy
from trainyard_trainer.data.schema import Column
from trainyard_trainer.data.source import Source, find, further_files
from trainyard_trainer.devices import usable_memory
from trainyard_trainer.errors import BadInput
from trainyard_trainer.export.manifest import describe_data
from trainyard_trainer.export.signing import check_key
from trainyard_trainer.fitting.class_weights import class_weights
from trainyard_trainer.fitting.defaults import EPOCHS, chosen, with_defaults
from trainyard_trainer.fitting.prepared import Prepared
from trainyard_trainer.fitting.stopping import StopPolicy
from trainyard_trainer.privacy.plan import PrivacyPlan, plan_privacy
from trainyard_trainer.reporting.event_log import EventLog
from trainyard_trainer.reporting.progress_server import ProgressTracker
from trainyard_trainer.spec import CACHE_ENV, Run
from trainyard_trainer.stores.folders import ensure_writable
from trainyard_trainer.tasks.metrics import metrics_of, possible_metrics
from trainyard_trainer.tree_settings import grows_trees, most_epochs
from trainyard_trainer.trees.memory import require_rows_in_memory

_MAX_CACHE = 4 << 30
"""Data kept in memory takes at most an eighth of the memory there is, and no more than this."""

_LONG = ("features", "classes", "columns")
_SHOWN_COLUMNS = 500


def prepare(run: Run, *, tracker: ProgressTracker, event_log: EventLog) -> Prepared:
    """Check the settings and the folders, and read the data once.

    Raises:
        BadInput: something is wrong with them.
        StoreUnavailable: a folder cannot be written to now.
    """
    fit, data = run.job.spec.fit, run.job.spec.data
    metrics = metrics_of(run.job)
    StopPolicy(fit.stop_when).check(possible_metrics(run.job))
    # Nobody but the chief writes.
    for folder in (run.folders.model, run.folders.checkpoints, run.folders.logs) if run.cluster.is_chief else ():
        ensure_writable(folder)
    if run.signing_key:
        check_key(run.signing_key)
    room = cache_bytes(run)
    table = _open(run)
    facts = profile(
        table,
        task=run.program.task,
        fraction=data.validation.share,
        seed=fit.seed,
        cache_bytes=room,
        watch=lambda rows: tracker.step_ended(),
        counter=analyzer_for(run.program, table.schema, data.hashing, image_reader=_image_reader),
        insists=data.validation.fraction is not None,
        drop_unlabelled=data.drop_unlabelled,
        test_fraction=(data.test.fraction or 0.0) if data.test else 0.0,
        fold=run.fold,
        fit=fit,
    )
    if data.validation.share and not facts.validation_rows:
        run = _unjudged(run, facts, event_log)
        metrics = metrics_of(run.job)
        StopPolicy(fit.stop_when).check(possible_metrics(run.job))
    if grows_trees(run.program):
        require_rows_in_memory(facts, limit=room)
    elif isinstance(fit.batch_size, int) and fit.batch_size > facts.training_rows:
        raise BadInput(
            f"fit.batchSize is {fit.batch_size}, but there are only {facts.training_rows} training rows: "
            f"use at most {facts.training_rows}"
        )
    run = _settled(run, facts, tracker=tracker, event_log=event_log)
    policy = StopPolicy(run.job.spec.fit.stop_when, epochs=most_epochs(run.job.spec) or EPOCHS)
    privacy = _privacy(run, facts, policy)
    weights = class_weights(fit.class_weights, facts.labels)
    _announce(table, facts, event_log)
    return Prepared(run, table, facts, policy, metrics, room, weights, privacy)


def _unjudged(run: Run, facts: Profile, event_log: EventLog) -> Run:
    """Return the run without validation, of which the spec says nothing and for which there are too few rows."""
    event_log.write(
        "no-validation",
        f"{facts.rows} rows are too few to hold a tenth back: only the training rows tell how good the model is",
        rows=facts.rows,
    )
    spec = run.job.spec
    data = spec.data.model_copy(update={"validation": spec.data.validation.model_copy(update={"fraction": 0.0})})
    return replace(run, job=run.job.model_copy(update={"spec": spec.model_copy(update={"data": data})}))


def _settled(run: Run, facts: Profile, *, tracker: ProgressTracker, event_log: EventLog) -> Run:
    """Return the run with what its spec leaves open, and say what that is."""
    job = with_defaults(run.job, rows=facts.training_rows, workers=run.cluster.count)
    settled = chosen(run.job, job)
    if settled:
        event_log.write(
            "defaults",
            f"for family {run.program.family} and {facts.training_rows:,} rows, where the spec says nothing: "
            + ", ".join(f"{name} {value}" for name, value in settled.items()),
            settings=settled,
        )
    tracker.update(epochs=most_epochs(job.spec) or EPOCHS)
    return replace(run, job=job, program=job.spec.program.model or run.program)


def _image_reader(column: Column, shape: ImageShape) -> ImageReader:
    from trainyard_trainer.encoding.images import reader  # loads TensorFlow, which only programs of images need here

    return reader(column, shape)


def cache_bytes(run: Run) -> int:
    """Return how much data may be kept in memory."""
    return run.cache_bytes if run.cache_bytes is not None else min(_MAX_CACHE, usable_memory() // 8)


def _privacy(run: Run, facts: Profile, policy: StopPolicy) -> PrivacyPlan | None:
    wanted, batch_size, rows = run.job.spec.privacy, run.job.spec.fit.batch_size, facts.training_rows
    if wanted is None:
        return None
    if not isinstance(batch_size, int):
        raise BadInput(f"a private training needs a number in fit.batchSize, got {batch_size!r}")
    if facts.kept.training is None:
        raise BadInput(
            f"a private training draws each row of each step from all {rows:,}, so they have to be in memory: "
            f"they do not fit {CACHE_ENV}; give the pod more memory, or use fewer rows or columns"
        )
    steps = policy.steps_left(0, steps_per_epoch=math.ceil(rows / batch_size))
    return plan_privacy(wanted, rows=rows, batch_size=batch_size, steps=steps)


def _open(run: Run) -> DataSet:
    data = run.job.spec.data
    source = find(run.data_location, data.format, run.data_access, require_success=data.source.require_success)
    several_labels = run.program.task == "multilabelClassification"
    validation = _further_files(run, source, "data.validation.uri", data.validation.uri)
    reading = Reading(
        validation=validation,
        test=_further_files(run, source, "data.test.uri", data.test.uri if data.test else None, validation),
        validation_column=data.validation.column,
        split=_split(run),
        slices=data.slices or (),
        label_separator=data.label_separator if several_labels else None,
        label_as="number" if run.program.task == "regression" else "sets" if several_labels else "class",
        max_bad_rows=data.max_bad_rows,
        exclude=data.exclude or (),
        columns=data.columns or {},
        csv=data.csv,
        drop_unlabelled=data.drop_unlabelled,
        drops_identifiers=reading_of(run.program) is None,
        keeps=tuple(data.hashing or ()),
        weight=data.weight,
    )
    return open_data_set(source, label=data.label_name, features=data.features, reading=reading)


def _split(run: Run) -> SplitBy | None:
    validation, seed = run.job.spec.data.validation, run.job.spec.fit.seed
    if validation.group_by is not None:
        return SplitBy("group", validation.group_by, validation.fraction_of_rows, seed, run.fold)
    if validation.time_column is not None:
        return SplitBy("time", validation.time_column, validation.fraction_of_rows, seed)
    return None


def _further_files(
    run: Run, source: Source, field: str, uri: str | None, apart_from: Source | None = None
) -> Source | None:
    if uri is None:
        return None
    beside, access = run.data_location, run.data_access
    return further_files(source, uri, field=field, beside=beside, apart_from=apart_from, access=access)


def _announce(table: DataSet, facts: Profile, event_log: EventLog) -> None:
    event_log.write(
        "data",
        f"{facts.training_rows:,} rows to train on and {facts.validation_rows:,} to validate with, "
        + (f"{facts.test_rows:,} to test with, " if facts.test_rows else "")
        + f"{len(table.schema.features)} features, {'in memory' if facts.kept.training else 'streamed'}",
        **{name: value for name, value in describe_data(table, facts).items() if name not in _LONG},
    )
    event_log.write(
        "columns",
        "; ".join(map(str, facts.columns[:_SHOWN_COLUMNS])) + ("; …" if len(facts.columns) > _SHOWN_COLUMNS else ""),
        columns=[column.to_wire() for column in facts.columns[:_SHOWN_COLUMNS]],
    )
    if dropped := table.bad_rows.unlabelled:
        event_log.write("unlabelled-rows", f"{dropped:,} rows without a label are left out", count=dropped)
    if table.bad_rows:
        event_log.write(
            "bad-rows",
            f"{len(table.bad_rows):,} rows that cannot be used are left out, as data.maxBadRows allows: "
            + "; ".join(table.bad_rows.first),
            count=len(table.bad_rows),
        )
