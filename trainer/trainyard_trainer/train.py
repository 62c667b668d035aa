"""One training from its spec to a complete model version: the order of things, and nothing else."""

import functools
import shutil
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace

from trainyard_api.code import PythonProgram
from trainyard_trainer.data.inputs import needs_tensorflow
from trainyard_trainer.devices import Devices, deterministic
from trainyard_trainer.errors import TrainerError, one_line
from trainyard_trainer.export.verify import Verifier
from trainyard_trainer.prepare import cache_bytes, prepare
from trainyard_trainer.programs.code import make_importable
from trainyard_trainer.reporting.event_log import EventLog
from trainyard_trainer.reporting.progress_server import ProgressTracker
from trainyard_trainer.reporting.result import ModelVersion
from trainyard_trainer.signals import StopSignal
from trainyard_trainer.spec import Run, tuning_folder
from trainyard_trainer.stores.folder_versions import CompleteVersion
from trainyard_trainer.stores.logs import TrainingLogs
from trainyard_trainer.stores.models import ModelStore, open_store
from trainyard_trainer.tensorflow_logs import quiet
from trainyard_trainer.tree_settings import grows_trees
from trainyard_trainer.tuning.summary import summary
from trainyard_trainer.workers.rendezvous import SINGLE_PROCESS, Rendezvous, check_same_data


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
    group, store = rendezvous.group, _model_store(run, local=trial)
    done = None if group.index else store.find()
    if group.gather(done is not None)[0]:
        group.leave()
        if done is None:
            return Outcome("AlreadyTrained", "worker 0 has found this TrainingJob's model in its store", None)
        _clear(run, store)
        return _report_done(store, done, tracker)
    if group.index == 0:
        store.check()
    if group.count > 1:  # all have to read the data in the same way
        run = replace(run, cache_bytes=min(group.gather(cache_bytes(run))))
    original, tuned = run, None
    if run.job.spec.tuning:
        from trainyard_trainer.tuning.search import Search  # Optuna's import is for those who search

        run, tuned = Search(run, store.search(), tracker=tracker, event_log=event_log, stop=stop).best()
    logs = TrainingLogs(store, run.folders.logs, event_log)
    checkpoints = store.checkpoints(run.folders.checkpoints, keep=run.job.spec.checkpoint.keep, then=logs.keep)
    devices = _devices(run, rendezvous, stop) if needs_tensorflow(run.program) else None
    if isinstance(run.program, PythonProgram) and run.code:
        make_importable(run.code)
        devices = devices or _devices(run, rendezvous, stop)  # before code that loads TensorFlow in a way of its own
        from trainyard_trainer.programs.build import entry_point

        entry_point(run.program)  # what is wrong with it is said before the data is read
    prepared = prepare(run, tracker=tracker, event_log=event_log)
    check_same_data(group, prepared.profile.digest)
    devices = devices or _devices(run, rendezvous, stop)  # takes seconds: bad input has been reported by now
    with quiet():
        from trainyard_trainer.export.publishing import publish_model

        if grows_trees(run.program):
            from trainyard_trainer.trees.fit import fit_forest as fit
        else:
            from trainyard_trainer.fitting.fit import fit as fit_by_steps

            fit = functools.partial(fit_by_steps, group=group)
    if group.index == 0:
        logs.fetch()
    try:
        with deterministic():
            trained = fit(
                run, prepared, devices, checkpoints=checkpoints, tracker=tracker, event_log=event_log, stop=stop
            )
    finally:  # those of a training that went wrong are the ones that are needed
        if group.index == 0:
            logs.keep()
    reason = str(trained.end.reason)
    group.leave()
    if group.index:
        tracker.update(phase="done")
        return Outcome(reason, f"trained {trained.end.epoch} epochs with worker 0, which exports the model", None)
    if trial:
        tracker.update(phase="done")
        return Outcome(reason, f"trained in {trained.end.epoch} epochs", None)
    tracker.update(phase="exporting")
    event_log.write("exporting", f"training ended ({reason}); exporting the model", reason=reason)
    with verifier() as fresh:  # it loads TensorFlow while the model is being written
        version = publish_model(
            run,
            prepared,
            trained,
            devices,
            fresh,
            store=store,
            steps=tracker.current.step,
            event_log=event_log,
            tuning=tuned,
        )
    try:
        _clear(original, store)
    except TrainerError as error:  # the version is complete: that counts
        event_log.write("not-tidied", f"the checkpoints were not removed: {one_line(error)}")
    tracker.update(phase="done", last_checkpoint=None)
    end = trained.end
    length = f"{end.epoch} epochs" + (f" and {end.step} steps" if end.step else "")
    bad = len(prepared.table.bad_rows)
    left_out = f"; {bad:,} bad rows were left out" if bad else ""
    tried = f"; {summary(tuned)}" if tuned else ""
    return Outcome(reason, f"trained {version.name} version {version.version} in {length}{left_out}{tried}", version)


def _model_store(run: Run, *, local: bool = False) -> ModelStore:
    """Return the store that the spec names; the model folder alone for a volume, or where it has to be `local`."""
    return open_store(
        None if local else run.job.spec.output.store.uri,
        run.store_access,
        folder=run.folders.model,
        name=run.job.model_name,
        uid=run.uid,
    )


def _clear(run: Run, store: ModelStore) -> None:
    shutil.rmtree(tuning_folder(run), ignore_errors=True)
    if run.job.spec.tuning and (search := store.search()):
        search.clear()
    store.checkpoints(run.folders.checkpoints, keep=run.job.spec.checkpoint.keep).clear()


def _devices(run: Run, rendezvous: Rendezvous, stop: StopSignal) -> Devices:
    with rendezvous.connecting(), quiet():
        devices = Devices(run.job.spec.fit.seed, rendezvous.addresses, rendezvous.group.index, run.cluster.servers)
    stop.install()  # TensorFlow's distribution services take SIGTERM away
    return devices


def _report_done(store: ModelStore, done: CompleteVersion, tracker: ProgressTracker) -> Outcome:
    version, training, metrics = done.version, done.manifest["training"], done.manifest["metrics"]
    tracker.update(
        phase="done", epoch=training["epochs"], step=training["steps"], metrics=metrics, loss=metrics.get("loss")
    )
    message = (
        f"{version.name} version {version.version} is what this TrainingJob trained before: nothing to do "
        f"(to train it again, remove {store.where(version.version)})"
    )
    return Outcome(str(training["reason"]), message, version)
