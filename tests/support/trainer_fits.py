"""Trainings in this process without the export, which costs more than all the rest of a small training."""

import hashlib
import io
import json
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from support.trainer_runs import SpecBuilder, environment
from trainyard_trainer.autotune.choices import Choices
from trainyard_trainer.clock import Clock
from trainyard_trainer.devices import Devices
from trainyard_trainer.fitting.fit import Trained, fit
from trainyard_trainer.fitting.prepared import Prepared
from trainyard_trainer.prepare import prepare
from trainyard_trainer.programs.code import make_importable
from trainyard_trainer.reporting.event_log import EventLog
from trainyard_trainer.reporting.progress_server import ProgressTracker, TrainingProgress
from trainyard_trainer.signals import StopSignal
from trainyard_trainer.spec import read_run
from trainyard_trainer.stores.folder_checkpoints import CheckpointFolder, Snapshot
from trainyard_trainer.tree_settings import grows_trees
from trainyard_trainer.trees.fit import fit_forest


@dataclass(frozen=True)
class Fitted:
    """What a training came to, and what it said."""

    prepared: Prepared
    trained: Trained
    progress: TrainingProgress
    events: list[dict[str, Any]]

    @property
    def digest(self) -> str:
        """A digest of the weights."""
        return digest(self.trained.model)

    @property
    def choices(self) -> Choices:
        """What the training settled for itself."""
        return Choices.from_wire(self.trained.facts)

    def the(self, event: str) -> dict[str, Any]:
        (only,) = [each for each in self.events if each["event"] == event]
        return only


def digest(model: Any) -> str:
    """Return a digest of a model's weights."""
    return hashlib.sha256(b"".join(np.ascontiguousarray(each).tobytes() for each in model.get_weights())).hexdigest()


def checkpoint_folder(folder: Path) -> Path:
    """Where the checkpoints of a training in `folder` are."""
    return folder / "store" / "sample" / ".training" / "uid-of-sample" / "checkpoints"


def newest_snapshot(folder: Path) -> Snapshot:
    """Return what the newest checkpoint of a training in `folder` holds."""
    path = max(checkpoint_folder(folder).glob("step-*.ckpt"))
    content = path.read_bytes()
    plan = json.loads(content[16 : 16 + int.from_bytes(content[8:16], "little")])["plan"]
    found = CheckpointFolder(path.parent, keep=100).load_newest(plan, _refuse)
    assert found is not None
    return found[0]


def rewrite(folder: Path, **state: Any) -> None:
    """Have the newest checkpoint tell another story."""
    found = newest_snapshot(folder)
    CheckpointFolder(checkpoint_folder(folder), keep=100).save(replace(found, state=dict(found.state) | state))


def _refuse(path: Path, why: str) -> None:
    raise AssertionError(f"skipped {path}: {why}")


def fitted(
    spec: SpecBuilder,
    folder: Path,
    *,
    stop: StopSignal | None = None,
    clock: Clock | None = None,
    extra: Mapping[str, str] | None = None,
    checkpoints: Callable[[Path, int], CheckpointFolder] | None = None,
    devices: Devices | None = None,
) -> Fitted:
    """Train to the end of the last epoch, with checkpoints in `folder`.

    Raises:
        TrainerError: as the training ends.
    """
    with tempfile.TemporaryDirectory() as specs:
        run = read_run(str(spec.write(Path(specs))), environment(folder) | dict(extra or {}))
    if run.code:
        make_importable(run.code)
    log, tracker = io.StringIO(), ProgressTracker(clock)
    event_log = EventLog(log)
    prepared = prepare(run, tracker=tracker, event_log=event_log)
    run = prepared.run
    keep = run.job.spec.checkpoint.keep
    trained = (fit_forest if grows_trees(run.program) else fit)(
        run,
        prepared,
        devices or Devices(run.job.spec.fit.seed),
        checkpoints=(checkpoints or (lambda path, keep: CheckpointFolder(path, keep=keep)))(
            run.folders.checkpoints, keep
        ),
        tracker=tracker,
        event_log=event_log,
        stop=stop or StopSignal(leave=lambda: None),
    )
    return Fitted(prepared, trained, tracker.current, [json.loads(line) for line in log.getvalue().splitlines()])
