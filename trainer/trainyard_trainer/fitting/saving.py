"""When a training is saved, and what is said about it."""

import sys
from dataclasses import dataclass
from pathlib import Path

from trainyard_trainer.errors import one_line
from trainyard_trainer.reporting.event_log import EventLog, rfc3339
from trainyard_trainer.reporting.progress_server import ProgressTracker, SavedCheckpoint
from trainyard_trainer.stores.folder_checkpoints import BackgroundWriter, CheckpointFolder, Snapshot


def newest(folder: CheckpointFolder, plan: str, event_log: EventLog) -> tuple[Snapshot, Path] | None:
    """Return the newest checkpoint that is whole and of this plan; those that are not are logged."""

    def skipped(path: Path, why: str) -> None:
        event_log.write("checkpoint-skipped", f"skipped checkpoint {path.name}: {why}", path=str(path))

    return folder.load_newest(plan, skipped)


@dataclass(frozen=True, slots=True)
class CheckpointInterval:
    """At most how much may be lost: in steps, where there is a number of them, and in seconds."""

    steps: int | None
    seconds: float


class Saver:
    """Hands snapshots to a thread that writes them, and tells the tracker what is safe on the disk.

    A disk that cannot keep up holds nothing back: snapshots it has no time for are left out. Paths are shown relative
    to `store`.
    """

    def __init__(
        self,
        folder: CheckpointFolder,
        interval: CheckpointInterval,
        *,
        tracker: ProgressTracker,
        event_log: EventLog,
        store: Path,
    ) -> None:
        self._interval, self._tracker, self._event_log, self._store = interval, tracker, event_log, store
        self._clock = tracker.clock
        self._last = self._clock.now()
        self._writer = BackgroundWriter(folder, saved=self._saved, failed=self._not_saved)

    def steps_until_due(self, done: int) -> int:
        """Return how many steps are left until the next checkpoint by steps."""
        every = self._interval.steps
        return every - done % every if every else sys.maxsize

    def due(self, done: int) -> bool:
        """Whether a checkpoint is due, by steps or by time."""
        by_steps = self._interval.steps is not None and done % self._interval.steps == 0
        return by_steps or self._clock.now() - self._last >= self._interval.seconds

    def submit(self, snapshot: Snapshot) -> None:
        """Have a snapshot written in the background."""
        self._last = self._clock.now()
        self._writer.submit(snapshot)

    def close(self) -> None:
        """Wait until everything handed in is written or has failed."""
        self._writer.close()

    def has(self, step: int) -> bool:
        """Whether the newest checkpoint on the disk is that of this step."""
        note = self._tracker.current.last_checkpoint
        return note is not None and note.step == step

    def _saved(self, snapshot: Snapshot, path: Path) -> None:
        shown = path.relative_to(self._store) if path.is_relative_to(self._store) else path
        self._tracker.update(last_checkpoint=SavedCheckpoint(snapshot.step, str(shown), rfc3339()))

    def _not_saved(self, snapshot: Snapshot, error: OSError) -> None:
        self._event_log.write(
            "checkpoint-failed",
            f"the checkpoint of step {snapshot.step} could not be written: {one_line(error)}; older ones are kept",
            step=snapshot.step,
        )
