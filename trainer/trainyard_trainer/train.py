"""One training from its spec to a complete model version: the order of things, and nothing else."""

from dataclasses import dataclass

from trainyard_trainer.checkpoint import CheckpointFolder
from trainyard_trainer.devices import Devices, quiet
from trainyard_trainer.journal import Journal
from trainyard_trainer.prepare import prepare
from trainyard_trainer.progress import ProgressBoard
from trainyard_trainer.report import ModelVersion
from trainyard_trainer.signals import StopSignal
from trainyard_trainer.spec import Run
from trainyard_trainer.versions import Complete, find_by_uid


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a training."""

    reason: str
    message: str
    model: ModelVersion


def train(run: Run, *, board: ProgressBoard, journal: Journal, stop: StopSignal) -> Outcome:
    """Train, export and publish; what an earlier run of the same training has done is not done again.

    Raises:
        TrainerError: BadInput, Diverged, Stopped or ExportFailed.
        OSError: a folder or the network fails.
    """
    done = find_by_uid(run.folders.model, run.uid)
    checkpoints = CheckpointFolder(run.folders.checkpoints, keep=run.job.spec.checkpoint.keep)
    if done:
        checkpoints.clear()
        return _report_done(run, done, board)
    prepared = prepare(run, board=board, journal=journal)
    with quiet():  # loads TensorFlow, which takes seconds: bad input has been reported by now
        devices = Devices(run.job.spec.fit.seed)
        from trainyard_trainer.fitting import fit
        from trainyard_trainer.publishing import publish_model
    stop.install()  # TensorFlow's distribution services take SIGTERM away
    trained = fit(run, prepared, devices, checkpoints=checkpoints, board=board, journal=journal, stop=stop)
    reason = str(trained.end.reason)
    board.update(phase="exporting")
    journal.write("exporting", f"training ended ({reason}); exporting the model", reason=reason)
    version = publish_model(run, prepared, trained, steps=board.current.step, journal=journal)
    checkpoints.clear()
    board.update(phase="done", last_checkpoint=None)
    return Outcome(reason, f"trained {version.name} version {version.version} in {trained.end.epoch} epochs", version)


def _report_done(run: Run, done: Complete, board: ProgressBoard) -> Outcome:
    version, training, metrics = done.version, done.manifest["training"], done.manifest["metrics"]
    board.update(
        phase="done", epoch=training["epochs"], step=training["steps"], metrics=metrics, loss=metrics.get("loss")
    )
    message = (
        f"{version.name} version {version.version} is what this TrainingJob trained before: nothing to do "
        f"(to train it again, remove {run.folders.model / str(version.version)})"
    )
    return Outcome(str(training["reason"]), message, version)
