"""Logs that outlive the pod's disk. A training can do without them: where the store fails it says so and goes on."""

import tempfile
from pathlib import Path
from typing import Protocol

from trainyard_trainer.errors import TrainerError, one_line
from trainyard_trainer.reporting.event_log import EventLog
from trainyard_trainer.stores.objects import ObjectStore


class LogStore(Protocol):
    """What keeps logs."""

    def keep_logs(self, folder: Path) -> None:
        """Put the logs where they outlive the pod."""

    def fetch_logs(self, folder: Path) -> None:
        """Bring back those that an earlier pod has left, but for what the folder has."""


class StoredLogs:
    """Logs in a folder of a store. All raises BadInput or StoreUnavailable where the store refuses or fails."""

    def __init__(self, objects: ObjectStore, remote: str) -> None:
        self._objects, self._remote = objects, remote
        self._sent: dict[str, tuple[int, int]] = {}

    def keep(self, folder: Path) -> None:
        """Upload the files that have changed since they were last uploaded."""
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            name, facts = path.relative_to(folder).as_posix(), path.stat()
            state = facts.st_size, facts.st_mtime_ns
            if self._sent.get(name) != state:
                self._objects.upload(path, f"{self._remote}/{name}")
                self._sent[name] = state

    def fetch(self, folder: Path) -> None:
        """Download the files that are not in the folder: each as a whole, or not at all."""
        found = self._objects.names(self._remote, recursive=True)
        for name in sorted(name for name, size in found.items() if size is not None and not (folder / name).exists()):
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=folder) as part:
                self._objects.download(f"{self._remote}/{name}", Path(part, "file"))
                Path(part, "file").rename(path)


class TrainingLogs:
    """The logs of one training."""

    def __init__(self, store: LogStore, folder: Path, event_log: EventLog) -> None:
        self._store, self._folder, self._event_log = store, folder, event_log

    def keep(self) -> None:
        """Put them where they outlive the pod, if that can be done."""
        try:
            self._store.keep_logs(self._folder)
        except (TrainerError, OSError) as error:
            self._event_log.write("logs-not-kept", f"the logs so far are not in the store: {one_line(error)}")

    def fetch(self) -> None:
        """Bring back what an earlier pod has left, if that can be done."""
        try:
            self._store.fetch_logs(self._folder)
        except (TrainerError, OSError) as error:
            self._event_log.write("logs-not-fetched", f"the logs begin anew: {one_line(error)}")
