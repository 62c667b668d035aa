"""The metrics of every epoch as a CSV file in the log folder, and beside it for TensorBoard."""

import csv
import io
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from trainyard_trainer.errors import one_line
from trainyard_trainer.files import write_atomically
from trainyard_trainer.reporting.event_log import EventLog

HISTORY_FILE = "history.csv"
LEARNING_RATE = "learning_rate"


class History(Protocol):
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


class HistoryFile:
    """Appends one row an epoch; after a resume, the epochs that will be trained again are dropped first.

    A training can do without: what cannot be written, on a disk that is full, is reported and left out. The file
    is begun with a later epoch then.
    """

    def __init__(self, folder: Path, metrics: tuple[str, ...], event_log: EventLog) -> None:
        from trainyard_trainer.reporting.tensorboard import (
            TensorBoardLog,  # loads TensorFlow, which readers can do without
        )

        self._path = folder / HISTORY_FILE
        self._columns = ["epoch", "steps", "seconds", LEARNING_RATE, *metrics]
        self._tensorboard = TensorBoardLog(folder)
        self._event_log, self._complete = event_log, True
        self._unwritten: list[dict[str, str]] | None = None

    def resume(self, epoch: int) -> None:
        """Keep the rows of the first `epoch` epochs only."""
        with self._optional():
            self._unwritten = self._kept(epoch)
            self._begin()
        with self._optional():
            self._tensorboard.resume(epoch)

    def _kept(self, epoch: int) -> list[dict[str, str]]:
        if not epoch or not self._path.exists():
            return []
        with self._path.open(newline="", encoding="utf-8") as stream:
            return [
                row for row in csv.DictReader(stream) if (row["epoch"] or "").isdigit() and int(row["epoch"]) <= epoch
            ]

    def _begin(self) -> None:
        """Write the header and what is kept, unless that has been done."""
        if self._unwritten is None:
            return
        text = io.StringIO(newline="")
        writer = csv.DictWriter(text, self._columns, extrasaction="ignore", restval="")
        writer.writeheader()
        writer.writerows(self._unwritten)
        self._path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(self._path, lambda stream: stream.write(text.getvalue().encode()))
        self._unwritten = None

    def add(self, epoch: int, *, steps: int, seconds: float, metrics: Mapping[str, float]) -> None:
        """Append an epoch; `seconds` is how long it took, and the learning rate may be among the metrics."""
        row = {"epoch": epoch, "steps": steps, "seconds": round(seconds, 4)} | dict(metrics)
        with self._optional():
            self._begin()
            with self._path.open("a", newline="", encoding="utf-8") as stream:
                csv.DictWriter(stream, self._columns, extrasaction="ignore", restval="").writerow(row)
        with self._optional():
            self._tensorboard.add(epoch, metrics)

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
                self._event_log.write("history-failed", f"the history is not complete: {one_line(error)}")
            self._complete = False
