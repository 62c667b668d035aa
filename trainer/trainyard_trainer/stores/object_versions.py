"""Versions of a model in a store that knows no rename: complete when their manifest is there, and that comes last.

A number is claimed by writing an object named after the training into the version's folder, and looking whether
anything else is there. A store shows everything that was written before it was asked, so of two who write and then look
at least one sees the other and gives way. That needs no conditional write, which not all stores have.
"""

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from trainyard_api.names import MANIFEST_FILE
from trainyard_trainer.errors import ExportFailed
from trainyard_trainer.reporting.result import ModelVersion
from trainyard_trainer.stores.folder_versions import CompleteVersion, Origin, complete, final_manifest, newest
from trainyard_trainer.stores.objects import ObjectStore

_READERS = 8
_TRIES = 100


class StoredVersions:
    """The versions of one model, as one training sees them. `objects` are below the model's folder."""

    def __init__(self, objects: ObjectStore, origin: Origin) -> None:
        self._objects, self._origin = objects, origin
        self._claim = f".claim-{origin.uid}"

    def find(self) -> CompleteVersion | None:
        """Return the newest complete version that is this training's; what it left half written is removed."""
        numbers = self._numbers()[::-1]
        with ThreadPoolExecutor(_READERS) as readers:
            manifests = dict(zip(numbers, readers.map(self._manifest, numbers), strict=True))
        for number, content in manifests.items():
            if content is None:
                self._clean(number)
        return newest(manifests.items(), self._origin)

    def publish(
        self, staging: Path, manifest: Mapping[str, object], sign: Callable[[Path], None] | None = None
    ) -> ModelVersion:
        """Upload a folder as the next version, its manifest last. `sign` adds a file to the folder before.

        Raises:
            StoreUnavailable: the store fails; the version is not complete, and will be removed by the next run.
            ExportFailed: what arrived is not what was sent.
        """
        number = self._claimed()
        content = final_manifest(manifest, number)
        (staging / MANIFEST_FILE).write_bytes(content)
        if sign:
            sign(staging)
        self._upload(staging, number)
        self._objects.write(f"{number}/{MANIFEST_FILE}", content)
        self._objects.delete(f"{number}/{self._claim}")
        found = complete(content)
        assert found is not None
        return found.version

    def _upload(self, folder: Path, number: int) -> None:
        """Upload everything but the manifest, and look whether it has arrived."""
        paths = {path.relative_to(folder).as_posix(): path for path in sorted(folder.rglob("*")) if path.is_file()}
        del paths[MANIFEST_FILE]
        for name, path in paths.items():
            self._objects.upload(path, f"{number}/{name}")
        arrived = self._objects.names(str(number), recursive=True)
        for name, path in paths.items():
            if arrived.get(name) != path.stat().st_size:
                where = self._objects.shown(f"{number}/{name}")
                raise ExportFailed(f"{where} has {arrived.get(name)} bytes, not {path.stat().st_size}")

    def _claimed(self) -> int:
        """Return a number that nobody else writes to."""
        step = 1
        for _ in range(_TRIES):
            number = max(self._numbers(), default=0) + step
            self._objects.write(f"{number}/{self._claim}", b"")
            others = self._objects.names(str(number)).keys() - {self._claim}
            if not others:
                return number
            self._objects.delete(f"{number}/{self._claim}")
            # Those who met here go on to different numbers, by the order of their names.
            step = 1 + sum(other < self._claim for other in others)
        raise ExportFailed(f"no free version below {self._objects.shown('')} in {_TRIES} tries")

    def _clean(self, number: int) -> None:
        """Remove what an earlier run of this training left of a version, if nobody else claims it."""
        claims = [name for name in self._objects.names(str(number)) if name.startswith(".claim-")]
        if claims == [self._claim]:
            self._objects.delete_folder(str(number))

    def _numbers(self) -> list[int]:
        # All names, because GCS lists no folders that were not made as such.
        names = (name.partition("/") for name in self._objects.names(recursive=True))
        return sorted({int(folder) for folder, slash, _ in names if slash and folder.isdecimal()})

    def _manifest(self, number: int) -> bytes | None:
        return self._objects.read(f"{number}/{MANIFEST_FILE}")
