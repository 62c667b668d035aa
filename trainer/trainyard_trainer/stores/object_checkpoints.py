"""Checkpoints that outlive the pod's disk: each is uploaded once it is whole, and the newest one is brought back."""

import tempfile
from collections.abc import Callable
from pathlib import Path

from trainyard_trainer.errors import TrainerError
from trainyard_trainer.stores.folder_checkpoints import CheckpointFolder, Snapshot
from trainyard_trainer.stores.objects import ObjectStore


class StoredCheckpoints(CheckpointFolder):
    """A local folder of checkpoints, and the same in a store. What counts as saved is what the store has."""

    def __init__(
        self, path: Path, objects: ObjectStore, remote: str, *, keep: int, then: Callable[[], None] = lambda: None
    ) -> None:
        super().__init__(path, keep=keep)
        self._objects, self._remote, self._most, self._then = objects, remote, keep, then

    def save(self, snapshot: Snapshot) -> Path:
        """Write a checkpoint and upload it, then remove those beyond the number to keep.

        Raises:
            OSError: it could not be written or uploaded; older ones are untouched.
        """
        path = super().save(snapshot)
        try:
            self._objects.upload(path, f"{self._remote}/{path.name}")
            for old in self._names()[self._most :]:
                self._objects.delete(f"{self._remote}/{old}")
        except TrainerError as error:
            raise OSError(str(error)) from error
        self._then()
        return path

    def load_newest(self, plan: str, skipped: Callable[[Path, str], None]) -> tuple[Snapshot, Path] | None:
        """Return the newest checkpoint that is whole and fits the plan, wherever it is."""
        if found := super().load_newest(plan, skipped):
            return found
        for name in self._names():
            self._bring(name)
            if found := super().load_newest(plan, skipped):
                return found
            # It was found bad, and would count among the ones to keep.
            self._objects.delete(f"{self._remote}/{name}")
        return None

    def clear(self) -> None:
        """Remove all checkpoints."""
        super().clear()
        self._objects.delete_folder(self._remote)

    def _bring(self, name: str) -> None:
        self._path.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=self._path) as folder:
            part = Path(folder, name)
            self._objects.download(f"{self._remote}/{name}", part)
            part.rename(self._path / name)

    def _names(self) -> list[str]:
        return sorted(
            (name for name in self._objects.names(self._remote) if name.startswith("step-") and name.endswith(".ckpt")),
            reverse=True,
        )
