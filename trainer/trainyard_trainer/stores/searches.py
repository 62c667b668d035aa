"""What a search knows, where it outlives the pod's disk: the list of its trials, their table, and the best of them."""

import tempfile
from collections.abc import Iterable
from pathlib import Path

from trainyard_trainer.files import write_atomically
from trainyard_trainer.stores.objects import ObjectStore


class StoredSearch:
    """The state of one search. `training` is the folder of its training below `objects`.

    Everything raises BadInput or StoreUnavailable where the store refuses or fails.
    """

    def __init__(self, objects: ObjectStore, training: str) -> None:
        self._objects, self._folder, self._logs = objects, f"{training}/tuning", f"{training}/logs"
        self._best = ""

    def keep(self, trials: Path, table: Path) -> None:
        """Replace the list of trials, and their table among the logs."""
        self._objects.upload(trials, f"{self._folder}/{trials.name}")
        self._objects.upload(table, f"{self._logs}/{table.name}")

    def keep_best(self, trial: Path, files: Iterable[Path]) -> None:
        """Upload files of a trial's folder, unless this was done. To be called before the list names it as complete."""
        if trial.name == self._best:
            return
        for path in files:
            self._objects.upload(path, f"{self._folder}/{trial.name}/{path.relative_to(trial).as_posix()}")
        self._best = trial.name

    def drop_others(self, trial: Path) -> None:
        """Remove the folders of all other trials. To be called when the list says that they are not needed."""
        found = self._objects.names(self._folder, recursive=True)
        folders = {name.partition("/")[0] for name, size in found.items() if "/" in name or size is None}
        for name in sorted(folders - {trial.name}):
            self._objects.delete_folder(f"{self._folder}/{name}")

    def fetch(self, trials: Path) -> None:
        """Bring the list of trials, unless the disk has one, which is as new or newer; without either, do nothing."""
        if trials.exists() or (content := self._objects.read(f"{self._folder}/{trials.name}")) is None:
            return
        trials.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(trials, lambda stream: stream.write(content))

    def fetch_trial(self, trial: Path) -> None:
        """Bring a trial's folder, unless the disk has it; all of it, or nothing."""
        if trial.exists():
            return
        found = self._objects.names(f"{self._folder}/{trial.name}", recursive=True)
        with tempfile.TemporaryDirectory(dir=trial.parent) as folder:
            part = Path(folder, trial.name)
            part.mkdir()
            for name in sorted(name for name, size in found.items() if size is not None):
                (part / name).parent.mkdir(parents=True, exist_ok=True)
                self._objects.download(f"{self._folder}/{trial.name}/{name}", part / name)
            part.rename(trial)

    def clear(self) -> None:
        """Remove all but the table."""
        self._objects.delete_folder(self._folder)
