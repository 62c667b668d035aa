"""One training from its spec to a complete model version: the order of things, and nothing else."""

import functools
import os
import shutil
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, replace
from types import TracebackType
from typing import TYPE_CHECKING, cast

from trainyard_api.code import PythonProgram
from trainyard_api.program import CANDIDATES
from trainyard_trainer.cross_validation import FOLD_SHARE, cross_validate, fold_part
from trainyard_trainer.data.inputs import needs_tensorflow
from trainyard_trainer.devices import Devices, check_gpus, deterministic, usable_cpus
from trainyard_trainer.errors import BadInput, Diverged, TrainerError, one_line
from trainyard_trainer.export.verify import Verifier
from trainyard_trainer.fitting.prepared import Prepared
from trainyard_trainer.prepare import cache_bytes, prepare
from trainyard_trainer.programs.code import make_importable
from trainyard_trainer.reporting.event_log import EventLog
from trainyard_trainer.reporting.part_progress import PartTracker
from trainyard_trainer.reporting.progress_server import ProgressTracker
from trainyard_trainer.reporting.result import ModelVersion
from trainyard_trainer.signals import StopSignal
from trainyard_trainer.spec import Run, kept, tuning_folder
from trainyard_trainer.stores.folder_versions import CompleteVersion, Origin
from trainyard_trainer.stores.logs import TrainingLogs
from trainyard_trainer.stores.models import ModelStore, open_store
from trainyard_trainer.tensorflow_logs import quiet
from trainyard_trainer.tree_settings import grows_trees
from trainyard_trainer.tuning.summary import summary
from trainyard_trainer.workers.group import WorkerGroup
from trainyard_trainer.workers.rendezvous import SINGLE_PROCESS, Rendezvous, check_same_data

if TYPE_CHECKING:
    from trainyard_trainer.fitting.fit import Trained  # loads TensorFlow


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a training."""

    reason: str
    message: str
    model: ModelVersion | None


def train(
    run: Run,
    *,
    tracker: ProgressTracker,
    event_log: EventLog,
    stop: StopSignal,
    trial: bool = False,
    rendezvous: Rendezvous = SINGLE_PROCESS,
    verifier: Callable[[], AbstractContextManager[Verifier]] = Verifier,
) -> Outcome:
    """Train, export and publish; what an earlier run of the same training has done is not done again.

    A trial of a search is only trained: its last checkpoint is what it leaves behind. Of several workers the chief does
    what is to be done once. `verifier` starts what checks the export.

    Raises:
        TrainerError: BadInput, Diverged, Stopped, PeerLost or ExportFailed.
        OSError: a folder or the network fails.
    """
    store = _model_store(run, local=trial)
    session = _Session(store, tracker, event_log, stop, rendezvous)
    try:
        return _train(run, session, trial=trial, verifier=verifier)
    except (BadInput, Diverged):
        # Neither is ever tried again, and another run of the same job begins anew.
        if run.job.metadata.get("uid") and not trial and session.group.index == 0:
            _forget(run, session)
        raise


def _train(
    run: Run, session: "_Session", *, trial: bool, verifier: Callable[[], AbstractContextManager[Verifier]]
) -> Outcome:
    tracker = session.tracker
    if found := _trained_before(run, session):
        return found
    shared = _with_common_cache(run, session.group)
    tuned, tuning = _search(shared, session)
    logs = TrainingLogs(session.store, tuned.folders.logs, session.event_log)
    exports = not trial and session.group.index == 0
    folds = _cross_validate(tuned, session, logs)
    if folds:
        session = replace(session, tracker=PartTracker(tracker, begin=FOLD_SHARE, end=1.0))
    with _Verification(verifier) as verification:
        # With a CPU to spare it loads TensorFlow while this process does; before, bad input may still end all.
        early = verification.start if exports and usable_cpus() > 1 else None
        prepared, devices = _prepare(tuned, session, then=early)
        prepared, trained = _fit(prepared, devices, session=session, logs=logs)
        session.group.leave()
        if not exports:
            tracker.update(phase="done")
            by = "" if trial else " with worker 0, which exports the model"
            return Outcome(str(trained.end.reason), f"trained {trained.end.epoch} epochs{by}", None)
        trained = _tested(prepared, trained, session)
        version, verdict = _export(
            prepared, trained, devices, session=session, verification=verification, tuning=tuning, folds=folds
        )
    _tidy(shared, session)
    tracker.update(phase="done", last_checkpoint=None)
    return Outcome(str(trained.end.reason), f"{_summary(version, trained, prepared, tuning)}{verdict}", version)


class _Verification:
    """The fresh process that checks the export, from when it is started to the end of the training."""

    def __init__(self, start: Callable[[], AbstractContextManager[Verifier]]) -> None:
        self._start, self._open = start, ExitStack()
        self._verifier: Verifier | None = None

    def __enter__(self) -> "_Verification":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open.close()

    def start(self) -> Verifier:
        """Return the process: a new one where there is none, or where a long training has outlived it."""
        if self._verifier is None or not self._verifier.alive:
            self._verifier = self._open.enter_context(self._start())
        return self._verifier


@dataclass(frozen=True, slots=True)
class _Session:
    """What a training reports to, hears from and writes to."""

    store: ModelStore
    tracker: ProgressTracker
    event_log: EventLog
    stop: StopSignal
    rendezvous: Rendezvous

    @property
    def group(self) -> WorkerGroup:
        """The workers that train together."""
        return self.rendezvous.group


def _trained_before(run: Run, session: _Session) -> Outcome | None:
    """Return what an earlier run of the same training came to, if it came to its end; the chief looks for all.

    With `output.reuse` that of another TrainingJob with the same spec counts too.
    """
    group, store = session.group, session.store
    done = None if group.index else store.find()
    if group.gather(done is not None)[0]:
        group.leave()
        if done is None:
            return Outcome("AlreadyTrained", "worker 0 has found this TrainingJob's model in its store", None)
        _clear(run, store, checkpoints=kept(run).checkpoints == "Never")
        return _report_done(run, store, done, session.tracker)
    if group.index == 0:
        store.check()
    return None


def _with_common_cache(run: Run, group: WorkerGroup) -> Run:
    """Return the run with the memory for data that all workers have: all have to read the data in the same way."""
    return replace(run, cache_bytes=min(group.gather(cache_bytes(run)))) if group.count > 1 else run


def _search(run: Run, session: _Session) -> tuple[Run, Mapping[str, object] | None]:
    """Return the run of the best settings, and what to tell of the search for them, where the spec asks for one."""
    if not run.job.spec.tuning:
        return run, None
    from trainyard_trainer.tuning.search import Search  # Optuna's import is for those who search

    search = session.store.search()
    return Search(run, search, tracker=session.tracker, event_log=session.event_log, stop=session.stop).best()


def _prepare(run: Run, session: _Session, *, then: Callable[[], object] | None) -> tuple[Prepared, Devices]:
    """Read the data and set TensorFlow up: the latter takes seconds, so bad input is reported first where it can be.

    `then` is called as soon as the data are known to be good.
    """
    devices = _devices(run, session) if needs_tensorflow(run.program) else None
    if isinstance(run.program, PythonProgram) and run.code:
        make_importable(run.code)
        devices = devices or _devices(run, session)  # before code that loads TensorFlow in a way of its own
        from trainyard_trainer.programs.build import entry_point

        entry_point(run.program)  # what is wrong with it is said before the data is read
    prepared = prepare(run, tracker=session.tracker, event_log=session.event_log)
    if then:
        then()
    check_same_data(session.group, prepared.profile.digest)
    return prepared, devices or _devices(run, session)


def _cross_validate(run: Run, session: _Session, logs: TrainingLogs) -> Mapping[str, object]:
    """Return what the folds tell, where the spec asks for some."""
    folds = run.job.spec.data.validation.folds
    if folds is None:
        return {}

    def train_fold(own: Run, tracker: ProgressTracker) -> Mapping[str, float]:
        within = replace(session, tracker=tracker)
        prepared, devices = _prepare(own, within, then=None)
        _, trained = _fit(prepared, devices, session=within, logs=logs, part=fold_part(own.fold or 0))
        return trained.end.metrics

    told = cross_validate(run, folds, tracker=session.tracker, event_log=session.event_log, train=train_fold)
    return {"folds": folds, "metrics": told}


def _fit(
    prepared: Prepared, devices: Devices, *, session: _Session, logs: TrainingLogs, part: str = ""
) -> tuple[Prepared, "Trained"]:
    """Train from the newest checkpoint, or from the start; the logs outlive a training that goes wrong too.

    Where several families are tried, what is returned has the settings of the best one. `part` names the checkpoints of
    what is not the whole training.
    """
    run = prepared.run
    checkpoints = functools.partial(
        session.store.checkpoints, run.folders.checkpoints, keep=run.job.spec.checkpoint.keep, then=logs.keep
    )
    with quiet():
        if run.program.family == "auto":
            from trainyard_trainer.selection.fit import SelectionContext, fit_auto
        elif grows_trees(run.program):
            from trainyard_trainer.trees.fit import fit_forest as fit
        else:
            from trainyard_trainer.fitting.fit import fit as fit_by_steps

            fit = functools.partial(fit_by_steps, group=session.group)
    is_chief = session.group.index == 0
    if is_chief:
        logs.fetch()
    tracker, event_log, stop = session.tracker, session.event_log, session.stop
    try:
        with deterministic():
            if run.program.family == "auto":
                context = SelectionContext(
                    tracker, event_log, stop, lambda family: checkpoints(part=_joined(part, family))
                )
                return fit_auto(prepared, devices, context)
            return prepared, fit(
                run,
                prepared,
                devices,
                checkpoints=checkpoints(part=part),
                tracker=tracker,
                event_log=event_log,
                stop=stop,
            )
    finally:  # those of a training that went wrong are the ones that are needed
        if is_chief:
            logs.keep()


def _joined(*parts: str) -> str:
    return "-".join(filter(None, parts))


def _tested(prepared: Prepared, trained: "Trained", session: _Session) -> "Trained":
    """Return the model with its metrics on the rows of the test, if there are any."""
    if not prepared.profile.test_rows:
        return trained
    from trainyard_trainer.export.evaluation import measure_test

    found = measure_test(prepared, trained)
    numbers = ", ".join(f"{name} {value:.4g}" for name, value in found.items())
    rows = prepared.profile.test_rows
    session.event_log.write("tested", f"on the {rows:,} rows of the test: {numbers}", rows=rows, **found)
    end = replace(trained.end, metrics={**trained.end.metrics, **found})
    session.tracker.update(metrics=dict(end.metrics))
    return replace(trained, end=end)


def _export(
    prepared: Prepared,
    trained: "Trained",
    devices: Devices,
    *,
    session: _Session,
    verification: _Verification,
    tuning: Mapping[str, object] | None,
    folds: Mapping[str, object],
) -> tuple[ModelVersion, str]:
    """Judge and publish the model; returns its version, and for the summary how good it is."""
    with quiet():
        from trainyard_trainer.export.evaluation import evaluate
        from trainyard_trainer.export.publishing import publish_model
    session.tracker.update(phase="exporting")
    reason = str(trained.end.reason)
    session.event_log.write("exporting", f"training ended ({reason}); exporting the model", reason=reason)
    fresh = verification.start()  # where it is new, it loads TensorFlow while the model is judged and written
    judged = evaluate(prepared, trained)
    if judged.facts:
        event = "no-better-than-constant" if judged.useless else "evaluated"
        session.event_log.write(event, judged.verdict, constant=judged.facts["constant"])
    version = publish_model(
        prepared.run,
        prepared,
        trained,
        devices,
        fresh,
        store=session.store,
        steps=session.tracker.current.step,
        event_log=session.event_log,
        evaluation={**judged.facts, **({"crossValidation": folds} if folds else {})},
        tuning=tuning,
    )
    return version, f"; {judged.verdict}" if judged.verdict else ""


def _tidy(run: Run, session: _Session) -> None:
    """Remove what a complete version makes useless; the version counts, also where that fails."""
    keep = kept(run)
    _try_to_clear(run, session, keep.checkpoints == "Never")
    session.store.housekeeping(run.source).tidy(keep.versions, session.event_log)


def _forget(run: Run, session: _Session) -> None:
    """Remove the checkpoints of a training that has failed for good, unless the spec keeps them."""
    _try_to_clear(run, session, kept(run).checkpoints != "Always")


def _try_to_clear(run: Run, session: _Session, checkpoints: bool) -> None:
    try:
        _clear(run, session.store, checkpoints=checkpoints)
    except (TrainerError, OSError) as error:
        session.event_log.write("not-tidied", f"the checkpoints were not removed: {one_line(error)}")


def _summary(version: ModelVersion, trained: "Trained", prepared: Prepared, tuning: Mapping[str, object] | None) -> str:
    end = trained.end
    length = f"{end.epoch} epochs" + (f" and {end.step} steps" if end.step else "")
    bad = len(prepared.table.bad_rows)
    left_out = f"; {bad:,} bad rows were left out" if bad else ""
    tried = f"; {summary(tuning)}" if tuning else ""
    if chosen := trained.facts.get("auto"):
        tried = f"; family auto: {cast(Mapping[str, object], chosen)['chosen']} is best"
    return f"trained {version.name} version {version.version} in {length}{left_out}{tried}"


def _model_store(run: Run, *, local: bool = False) -> ModelStore:
    """Return the store that the spec names; the model folder alone for a volume, or where it has to be `local`."""
    # Who asks for another run does not ask for what is there.
    takes_others = run.job.spec.output.reuse and not local and run.number == 0
    return open_store(
        None if local else run.job.spec.output.store.uri,
        run.store_access,
        folder=run.folders.model,
        name=run.job.model_name,
        origin=Origin(run.training_id, run.fingerprint if takes_others else None),
    )


def _clear(run: Run, store: ModelStore, *, checkpoints: bool) -> None:
    shutil.rmtree(tuning_folder(run), ignore_errors=True)
    if run.job.spec.tuning and (search := store.search()):
        search.clear()
    if not checkpoints:
        return
    families = (*CANDIDATES, "") if run.program.family == "auto" else ("",)
    folds = range(run.job.spec.data.validation.folds or 0)
    for part in [_joined(part, family) for part in (*map(fold_part, folds), "") for family in families]:
        store.checkpoints(run.folders.checkpoints, keep=run.job.spec.checkpoint.keep, part=part).clear()


def _devices(run: Run, session: _Session) -> Devices:
    rendezvous = session.rendezvous
    with rendezvous.connecting(), quiet():
        devices = Devices(run.job.spec.fit.seed, rendezvous.addresses, rendezvous.group.index, run.cluster.servers)
    session.stop.install()  # TensorFlow's distribution services take SIGTERM away
    if run.job.metadata.get("uid"):  # on a laptop the same spec may train without
        check_gpus(run.job.spec.roles.worker.gpus, devices.own_gpus, os.environ)
    return devices


def _report_done(run: Run, store: ModelStore, done: CompleteVersion, tracker: ProgressTracker) -> Outcome:
    version, training, metrics = done.version, done.manifest["training"], done.manifest["metrics"]
    tracker.update(
        phase="done", epoch=training["epochs"], step=training["steps"], metrics=metrics, loss=metrics.get("loss")
    )
    maker = done.manifest["trainingJob"]["uid"]
    if maker != run.uid:
        message = (
            f"{version.name} version {version.version} is what this spec trained before, as the TrainingJob with uid "
            f"{maker}: nothing to do (to train again, set spec.output.reuse to false)"
        )
        return Outcome("AlreadyTrained", message, replace(version, created=done.manifest.get("created")))
    message = (
        f"{version.name} version {version.version} is what this TrainingJob trained before: nothing to do "
        f"(to train it again, remove {store.where(version.version)})"
    )
    return Outcome(str(training["reason"]), message, version)
