"""What goes from a model's store after a publish: versions beyond those to keep, and what trainings have left behind.

The trainer alone cannot know what is used. The operator writes it down (`trainyard_api.housekeeping.StoreUse`), and a
document is old as soon as it is written. So nothing goes that is not older than the document; and versions, which
others may come to use, go by a fresh document only.
"""

from collections.abc import Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from pydantic import ValidationError

from trainyard_api.housekeeping import FRESH, USE_FILE, StoreUse
from trainyard_api.names import MANIFEST_FILE
from trainyard_trainer.errors import TrainerError, listed, one_line
from trainyard_trainer.reporting.event_log import EventLog, rfc3339
from trainyard_trainer.stores.folder_versions import complete, maker
from trainyard_trainer.stores.objects import ObjectStore

_SKEW = timedelta(minutes=1)
"""How far the clocks of the operator and of the store may be apart."""
_STRANGE = timedelta(days=1)
"""What is in a store that other clusters reach too belongs to a training of theirs, unless nobody wrote for so long."""
_MOST_VERSIONS = 50
"""Versions that go after one publish: GPUs wait for it."""
_READERS = 8
_REMOVED, _CLAIM, _STAGING, _TRAINING = ".removed", ".claim-", ".staging-", ".training"


@dataclass(frozen=True, slots=True)
class Leftovers:
    """What goes. All but versions are folders below that of the model."""

    versions: tuple[int, ...] = ()
    folders: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Contents:
    """What is in the folder of a model.

    Attributes:
        changed: Each file and folder with its last change.
        makers: The training that made each complete version of a TrainingJob.
        shared: Other clusters may reach the store.
    """

    changed: Mapping[str, datetime]
    makers: Mapping[int, str]
    shared: bool

    def last_change(self, folder: str) -> datetime:
        """Return when something in a folder was last written."""
        inside = (time for name, time in self.changed.items() if name == folder or name.startswith(f"{folder}/"))
        return max(inside, default=datetime.min.replace(tzinfo=UTC))

    def folders(self, below: str = "") -> list[str]:
        """Return the names of the folders in a folder, also of those that a store does not list."""
        prefix = f"{below}/" if below else ""
        inside = (name[len(prefix) :] for name in self.changed if name.startswith(prefix))
        return sorted({name.partition("/")[0] for name in inside if "/" in name})


def leftovers(contents: Contents, use: StoreUse, *, keep: int | None, now: datetime) -> Leftovers:
    """Return what goes.

    Args:
        keep: The number of newest versions that stay; all where it is None.
    """
    versions = _versions(contents, use, keep, now)
    makers = {training for number, training in contents.makers.items() if number not in versions}
    folders = [f"{_TRAINING}/{part}" for part in _of_trainings(contents, use, makers, now)]
    staging = [name for name in contents.folders() if name.startswith(_STAGING)]
    folders += [name for name in staging if _is_over(contents, name, name.removeprefix(_STAGING), use, now)]
    folders += [name for name in contents.folders() if name.isdecimal() and _is_half(contents, name, use, now)]
    return Leftovers(versions, tuple(folders))


def _versions(contents: Contents, use: StoreUse, keep: int | None, now: datetime) -> tuple[int, ...]:
    if keep is None or now - use.as_of > FRESH:
        return ()
    older = sorted(contents.makers)[:-keep]
    return tuple(
        number
        for number in older
        if number not in use.in_use
        # A training that has not ended has not told of it yet, and finds it again should it be killed.
        and contents.makers[number] not in use.running
        and contents.changed[f"{number}/{MANIFEST_FILE}"] < use.as_of - _SKEW
    )[:_MOST_VERSIONS]


def _of_trainings(contents: Contents, use: StoreUse, makers: Collection[str], now: datetime) -> list[str]:
    """Return what goes below `.training`: all of a training, or all but its logs, which tell of a version or a job."""
    found = []
    for training in contents.folders(_TRAINING):
        folder = f"{_TRAINING}/{training}"
        if training in use.checkpoints or not _is_over(contents, folder, training, use, now):
            continue
        has_logs = training in makers or training in use.jobs or training.rpartition("-")[0] in use.jobs
        found += (
            [f"{training}/{part}" for part in contents.folders(folder) if part != "logs"] if has_logs else [training]
        )
    return found


def _is_over(contents: Contents, folder: str, training: str, use: StoreUse, now: datetime) -> bool:
    """Return whether nobody writes to a training's folder any more."""
    changed = contents.last_change(folder)
    ended = training in use.jobs or training.rpartition("-")[0] in use.jobs
    if contents.shared and not ended and now - changed < _STRANGE:
        return False
    return training not in use.running and changed < use.as_of - _SKEW


def _is_half(contents: Contents, version: str, use: StoreUse, now: datetime) -> bool:
    """Return whether a version was never finished, or half removed: what people put there has no mark of ours."""
    names = [name.removeprefix(f"{version}/") for name in contents.changed if name.startswith(f"{version}/")]
    claims = [name.removeprefix(_CLAIM) for name in names if name.startswith(_CLAIM)]
    if MANIFEST_FILE in names or not (claims or _REMOVED in names):
        return False
    return all(_is_over(contents, version, claim, use, now) for claim in claims)


@dataclass(frozen=True, slots=True)
class Housekeeping:
    """Removes what goes from the folder of one model.

    Attributes:
        shared: Other clusters may reach the store.
        spec: The file with the spec. The operator's document is beside it; on a laptop there is none.
    """

    objects: ObjectStore
    shared: bool
    spec: Path | None

    def tidy(self, keep: int | None, event_log: EventLog, now: datetime | None = None) -> None:
        """Remove what goes; the version that was published counts, also where that fails."""
        now = now or datetime.now(UTC)
        use = read_use(self.spec)
        if use is None:
            return
        try:
            found = leftovers(self._contents(), use, keep=keep, now=now)
            self._remove(found)
        except (TrainerError, OSError) as error:
            event_log.write("not-tidied", f"the store was not tidied up: {one_line(error)}")
            return
        if found.versions or found.folders:
            event_log.write("tidied", _told(found), versions=list(found.versions), folders=list(found.folders[:100]))
        if keep is not None and now - use.as_of > FRESH:
            event_log.write(
                "versions-kept",
                f"no version was removed: the operator last said at {rfc3339(use.as_of)} which ones are in use",
            )

    def _contents(self) -> Contents:
        changed = self.objects.changed()
        numbers = [int(name[0]) for path in changed if _is_manifest(name := path.split("/"))]
        with ThreadPoolExecutor(_READERS) as readers:
            contents = readers.map(lambda number: self.objects.read(f"{number}/{MANIFEST_FILE}"), numbers)
            versions = {number: complete(content) for number, content in zip(numbers, contents, strict=True) if content}
        makers = {number: maker(found) for number, found in versions.items() if found}
        return Contents(changed, makers, self.shared)

    def _remove(self, found: Leftovers) -> None:
        for number in found.versions:
            # Marked first and without a manifest next: whatever happens then, nobody takes half of it for a version,
            # and the next publish knows it for what it is.
            self.objects.write(f"{number}/{_REMOVED}", b"")
            self.objects.delete(f"{number}/{MANIFEST_FILE}")
            self.objects.delete_folder(str(number))
        for folder in found.folders:
            self.objects.delete_folder(folder)


def read_use(spec: Path | None) -> StoreUse | None:
    """Return what the operator says of the store; nothing where it says nothing that can be understood."""
    try:
        return StoreUse.model_validate_json(spec.with_name(USE_FILE).read_bytes()) if spec else None
    except (OSError, ValidationError):
        return None


def _is_manifest(name: list[str]) -> bool:
    # As a number is written: there may be a copy under 007.
    return len(name) == 2 and name[1] == MANIFEST_FILE and name[0].isdecimal() and name[0] == str(int(name[0]))


def _told(found: Leftovers) -> str:
    versions = f"versions {listed(map(str, found.versions))}" if found.versions else ""
    count = len(found.folders)
    left = f"{count} folder{'s' if count > 1 else ''} that trainings have left" if count else ""
    return "removed " + " and ".join(filter(None, (versions, left)))
