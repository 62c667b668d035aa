"""The metrics of every epoch as a CSV file in the log folder, and beside it for TensorBoard."""

import csv
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from trainyard_trainer.errors import one_line
from trainyard_trainer.reporting.journal import Journal

HISTORY_FILE = "history.csv"
LEARNING_RATE = "learning_rate"


class Epochs(Protocol):
    """Where the metrics of every epoch go."""

    def resume(self, epoch: int) -> None:
        """Keep the first `epoch` epochs only."""
        ...

    def add(self, epoch: int, *, steps: int, seconds: float, metrics: Mapping[str, float]) -> None:
        """Append an epoch; `seconds` is how long it took."""
        ...

    def close(self) -> None:
        """Bring everything to the files."""
        ...


class NoHistory:
    """For a worker whose chief keeps the history."""

    def resume(self, epoch: int) -> None:
        """Do nothing."""

    def add(self, epoch: int, *, steps: int, seconds: float, metrics: Mapping[str, float]) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Do nothing."""


class History:
    """Appends one row an epoch; after a resume, the epochs that will be trained again are dropped first.

    A training can do without: a row that cannot be written, on a disk that is full, is reported and left out.
    """

    def __init__(self, folder: Path, metrics: tuple[str, ...], journal: Journal) -> None:
        from trainyard_trainer.reporting.tensorboard import (
            TensorBoardLog,  # loads TensorFlow, which readers can do without
        )

        self._path = folder / HISTORY_FILE
        self._columns = ["epoch", "steps", "seconds", LEARNING_RATE, *metrics]
        self._tensorboard = TensorBoardLog(folder)
        self._journal, self._complete = journal, True

    def resume(self, epoch: int) -> None:
        """Keep the rows of the first `epoch` epochs only."""
        kept: list[dict[str, str]] = []
        if epoch and self._path.exists():
            with self._path.open(newline="", encoding="utf-8") as stream:
                kept = [
                    row
                    for row in csv.DictReader(stream)
                    if (row["epoch"] or "").isdigit() and int(row["epoch"]) <= epoch
                ]
        self._tensorboard.resume(epoch)
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.open("w", newline="", encoding="utf-8") as stream:
            writer = csv.DictWriter(stream, self._columns, extrasaction="ignore", restval="")
            writer.writeheader()
            writer.writerows(kept)

    def add(self, epoch: int, *, steps: int, seconds: float, metrics: Mapping[str, float]) -> None:
        """Append an epoch; `seconds` is how long it took, and the learning rate may be among the metrics."""
        row = {"epoch": epoch, "steps": steps, "seconds": round(seconds, 4)} | dict(metrics)
        with self._optional():
            self._tensorboard.add(epoch, metrics)
            with self._path.open("a", newline="", encoding="utf-8") as stream:
                csv.DictWriter(stream, self._columns, extrasaction="ignore", restval="").writerow(row)

    def close(self) -> None:
        """Bring everything to the files."""
        with self._optional():
            self._tensorboard.close()

    @contextmanager
    def _optional(self) -> Iterator[None]:
        from tensorflow.errors import OpError

        try:
            yield
        except (OSError, OpError) as error:
            if self._complete:
                self._journal.write("history-failed", f"the history is not complete: {one_line(error)}")
            self._complete = False
