"""Where model versions go: a folder, or a store that is reached over the network."""

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol

from trainyard_trainer.reporting.result import ModelVersion
from trainyard_trainer.stores.access import Access
from trainyard_trainer.stores.folder_checkpoints import CheckpointFolder
from trainyard_trainer.stores.folder_versions import CompleteVersion, Origin, find, new_staging, publish
from trainyard_trainer.stores.housekeeping import Housekeeping
from trainyard_trainer.stores.logs import StoredLogs
from trainyard_trainer.stores.object_checkpoints import StoredCheckpoints
from trainyard_trainer.stores.object_versions import StoredVersions
from trainyard_trainer.stores.objects import ObjectStore
from trainyard_trainer.stores.searches import StoredSearch

Sign = Callable[[Path], None]


class ModelStore(Protocol):
    """The versions of one model, and what the training that makes the next one leaves beside them."""

    def where(self, number: int) -> str:
        """Return where a version is, for a person."""

    def check(self) -> None:
        """Find out before hours of training whether a store that is no folder takes anything, and lets go of it.

        Raises:
            BadInput: it does not.
        """

    def find(self) -> CompleteVersion | None:
        """Return the newest complete version that this training made or, if it made none, may take."""

    def new_staging(self) -> Path:
        """Return an empty local folder to write a version to."""

    def publish(self, staging: Path, manifest: Mapping[str, object], sign: Sign | None = None) -> ModelVersion:
        """Make a version of a folder: all of it can be seen then, and before that nothing that counts.

        `sign` is called when everything it signs is in the folder.
        """

    def checkpoints(
        self, folder: Path, *, keep: int, part: str = "", then: Callable[[], None] = lambda: None
    ) -> CheckpointFolder:
        """Return the checkpoints of this training, or of a part of it. `then` is called after one has left the pod."""

    def housekeeping(self, spec: Path | None) -> Housekeeping:
        """Return what removes superfluous versions, and what trainings have left. `spec` is the file with the spec."""

    def search(self) -> StoredSearch | None:
        """Return where a search keeps its state besides the disk; nothing where the disk is what lasts."""

    def keep_logs(self, folder: Path) -> None:
        """Put the logs where they outlive the pod."""

    def fetch_logs(self, folder: Path) -> None:
        """Bring back those that an earlier pod has left, but for what the folder has."""


def open_store(uri: str | None, access: Access, *, folder: Path, name: str, origin: Origin) -> ModelStore:
    """Return where the versions of a model go.

    Args:
        uri: Of the store; where there is none, versions stay in the folder.
        access: What the store is reached with.
        folder: Where versions are written, first or for good.
        name: Of the model.
        origin: By what the training knows its versions.
    """
    if uri is None:
        return _FolderStore(folder, origin)
    return _RemoteStore(ObjectStore(f"{uri.rstrip('/')}/{name}", access), folder, origin)


class _FolderStore:
    def __init__(self, folder: Path, origin: Origin) -> None:
        self._folder, self._origin = folder, origin

    def where(self, number: int) -> str:
        return str(self._folder / str(number))

    def check(self) -> None: ...

    def find(self) -> CompleteVersion | None:
        return find(self._folder, self._origin)

    def new_staging(self) -> Path:
        return new_staging(self._folder, self._origin.uid)

    def publish(self, staging: Path, manifest: Mapping[str, object], sign: Sign | None = None) -> ModelVersion:
        return publish(staging, self._folder, manifest, sign)

    def checkpoints(
        self, folder: Path, *, keep: int, part: str = "", then: Callable[[], None] = lambda: None
    ) -> CheckpointFolder:
        return CheckpointFolder(folder / part, keep=keep)

    def housekeeping(self, spec: Path | None) -> Housekeeping:
        return Housekeeping(ObjectStore(str(self._folder), Access({})), shared=False, spec=spec)

    def search(self) -> StoredSearch | None:
        return None

    def keep_logs(self, folder: Path) -> None: ...

    def fetch_logs(self, folder: Path) -> None: ...


class _RemoteStore:
    def __init__(self, objects: ObjectStore, work: Path, origin: Origin) -> None:
        self._objects, self._work, self._uid = objects, work, origin.uid
        self._versions = StoredVersions(objects, origin)
        self._training = f".training/{origin.uid}"
        self._logs = StoredLogs(objects, f"{self._training}/logs")

    def where(self, number: int) -> str:
        return self._objects.shown(str(number))

    def check(self) -> None:
        probe = f"{self._training}/probe"
        self._objects.write(probe, b"")
        self._objects.delete(probe)

    def find(self) -> CompleteVersion | None:
        return self._versions.find()

    def new_staging(self) -> Path:
        return new_staging(self._work, self._uid)

    def publish(self, staging: Path, manifest: Mapping[str, object], sign: Sign | None = None) -> ModelVersion:
        version = self._versions.publish(staging, manifest, sign)
        shutil.rmtree(staging, ignore_errors=True)
        return version

    def checkpoints(
        self, folder: Path, *, keep: int, part: str = "", then: Callable[[], None] = lambda: None
    ) -> CheckpointFolder:
        remote = f"{self._training}/checkpoints/{part}".rstrip("/")
        return StoredCheckpoints(folder / part, self._objects, remote, keep=keep, then=then)

    def housekeeping(self, spec: Path | None) -> Housekeeping:
        return Housekeeping(self._objects, shared=True, spec=spec)

    def search(self) -> StoredSearch | None:
        return StoredSearch(self._objects, self._training)

    def keep_logs(self, folder: Path) -> None:
        self._logs.keep(folder)

    def fetch_logs(self, folder: Path) -> None:
        self._logs.fetch(folder)
