"""One batch scoring from its spec to a folder of predictions; what an earlier attempt has finished is kept."""

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from trainyard_api.meta import API_VERSION
from trainyard_trainer.data.bad_rows import BadRow
from trainyard_trainer.data.readers import Shard
from trainyard_trainer.data.source import Source, find
from trainyard_trainer.errors import Stopped
from trainyard_trainer.prediction.folder import (
    JOURNAL,
    MANIFEST,
    SUCCESS,
    Journal,
    Part,
    PredictionFolder,
    ShardProgress,
    part_name,
    read_journal,
)
from trainyard_trainer.prediction.request import Request
from trainyard_trainer.prediction.rows import InputTable
from trainyard_trainer.prediction.version import fetch_version, find_version
from trainyard_trainer.reporting.event_log import EventLog, rfc3339
from trainyard_trainer.reporting.progress_server import ProgressTracker, SavedCheckpoint
from trainyard_trainer.reporting.result import PredictedFiles
from trainyard_trainer.signals import StopSignal
from trainyard_trainer.tensorflow_logs import quiet

if TYPE_CHECKING:
    from trainyard_trainer.prediction.answers import Predictor  # loads TensorFlow

_JOURNAL_SECONDS = 5.0
"""How much work a kill may undo, beside the file that is being written."""


def predict(request: Request, *, tracker: ProgressTracker, event_log: EventLog, stop: StopSignal) -> PredictedFiles:
    """Predict all rows that are not predicted yet.

    Raises:
        TrainerError: BadInput, StoreUnavailable, or Stopped.
        OSError: a folder or the network fails.
    """
    with tempfile.TemporaryDirectory(prefix="trainyard-") as scratch:
        return _predict(request, Path(scratch), tracker=tracker, event_log=event_log, stop=stop)


def _predict(
    request: Request, scratch: Path, *, tracker: ProgressTracker, event_log: EventLog, stop: StopSignal
) -> PredictedFiles:
    folder = PredictionFolder(request.folder, request.store_access, scratch)
    if (done := folder.read(MANIFEST)) and folder.read(SUCCESS) is not None:
        tracker.update(phase="done")
        found = json.loads(done)
        return PredictedFiles(found["rows"], found["badRows"], len(found["files"]), request.where, found["model"])
    data = request.job.spec.data
    source = find(request.data_location, data.format, request.data_access, require_success=data.source.require_success)
    journal = _journal(folder, request, source.fingerprint)
    version = fetch_version(request, journal.model, scratch / "model")
    table = InputTable(source, data, version.signature, keep=request.program.columns)
    table.bad_rows.add(BadRow(*each) for each in journal.bad)
    with quiet():
        from trainyard_trainer.prediction.answers import Predictor  # loads TensorFlow, after what fails sooner

        outputs = version.signature["outputs"]
        predictor = Predictor(version.folder, outputs=outputs, kept=table.kept, bad_rows=table.bad_rows)
    stop.install()
    shown = request.shown(version.address)
    event_log.write(
        "predicting",
        f"{shown} predicts the rows of {source.location}",
        model=shown,
        files=len(source.files),
        finishedRows=journal.rows,
    )
    with stop.deferred():
        _Scoring(request, folder, journal, table, predictor, tracker, stop).run(source)
    predicted = PredictedFiles(journal.rows, len(table.bad_rows), len(journal.files), request.where, shown)
    folder.write(MANIFEST, _manifest(request, predicted, journal, source))
    folder.write(SUCCESS, b"")
    folder.delete(JOURNAL)
    if table.bad_rows:
        left_out = "; ".join(table.bad_rows.first)
        event_log.write("bad-rows", f"{len(table.bad_rows):,} rows that cannot be used are left out: {left_out}")
    tracker.update(phase="done", last_checkpoint=None)
    return predicted


def _journal(folder: PredictionFolder, request: Request, data: str) -> Journal:
    """Return what is finished of the same data, with the version that it was begun with; all else is removed."""
    found = read_journal(folder.read(JOURNAL))
    if found is None or found.data != data:
        found = Journal(find_version(request), data)
    for name in set(folder.names()) - {JOURNAL, *found.files}:
        folder.delete(name)
    return found


class _Scoring:
    """The work itself, from what the journal has on."""

    def __init__(
        self,
        request: Request,
        folder: PredictionFolder,
        journal: Journal,
        table: InputTable,
        predictor: "Predictor",
        tracker: ProgressTracker,
        stop: StopSignal,
    ) -> None:
        self._rows_per_file = request.program.rows_per_file
        self._folder, self._journal, self._table, self._predictor = folder, journal, table, predictor
        self._tracker, self._stop = tracker, stop
        self._began = self._kept = tracker.clock.now()
        self._before = self._rows = journal.rows

    def run(self, source: Source) -> None:
        """Predict what is not finished."""
        shards = self._table.shards()
        total = sum(_rows_in(shard) for shard in shards) if source.format == "parquet" else 0
        self._tracker.step_ended(phase="training", epochs=len(shards), steps=total, step=self._rows)
        for number, shard in enumerate(shards):
            progress = self._journal.shards.setdefault(number, ShardProgress())
            if not progress.done:
                self._predict(number, shard, progress)
            self._show(epoch=number + 1)
        self._keep()

    def _predict(self, number: int, shard: Shard, progress: ShardProgress) -> None:
        part: Part | None = None
        for batch in self._batches(shard, done=sum(progress.rows)):
            while len(batch):
                name = part_name(number, len(progress.rows))
                part = part or self._folder.new_part(name, batch.schema)
                taken = batch.slice(0, self._rows_per_file - part.rows)
                part.add(taken)
                batch = batch.slice(len(taken))
                self._rows += len(taken)
                if part.rows == self._rows_per_file:
                    self._finish(part, progress)
                    part = None
            self._show()
        if part:
            self._finish(part, progress)
        progress.done = True

    def _batches(self, shard: Shard, *, done: int) -> Iterator[pa.RecordBatch]:
        """Yield the predictions of a piece, without the first rows that are done."""
        for rows in self._table.read(shard):
            if self._stop.requested:
                self._keep()
                raise Stopped(f"stopped on request with {self._journal.rows:,} rows predicted, which are kept")
            skipped = min(done, len(rows))
            done -= skipped
            yield from self._predictor.predict(rows.take(np.arange(skipped, len(rows))) if skipped else rows)

    def _finish(self, part: Part, progress: ShardProgress) -> None:
        part.finish()
        progress.rows.append(part.rows)
        checkpoint = SavedCheckpoint(self._journal.rows, self._journal.files[-1], rfc3339())
        self._tracker.update(last_checkpoint=checkpoint)
        if self._tracker.clock.now() - self._kept > _JOURNAL_SECONDS:
            self._keep()

    def _keep(self) -> None:
        self._journal.bad = [(each.file, each.row, each.why) for each in self._table.bad_rows]
        self._folder.write(JOURNAL, self._journal.to_json())
        self._kept = self._tracker.clock.now()

    def _show(self, **changes: int) -> None:
        spent, total = self._tracker.clock.now() - self._began, self._tracker.current.steps
        speed = (self._rows - self._before) / spent if spent > 0 else None
        eta = max(total - self._rows, 0) / speed if speed and total else None
        counts = {"rows": float(self._rows), "badRows": float(len(self._table.bad_rows))}
        self._tracker.step_ended(step=self._rows, metrics=counts, samples_per_second=speed, eta_seconds=eta, **changes)


def _rows_in(shard: Shard) -> int:
    return sum(int(group.num_rows) for group in shard.fragment.row_groups)


def _manifest(request: Request, found: PredictedFiles, journal: Journal, source: Source) -> bytes:
    document = {
        "apiVersion": API_VERSION,
        "kind": "Predictions",
        "created": rfc3339(),
        "trainingJob": {
            "name": request.job.metadata["name"],
            "namespace": request.job.metadata.get("namespace", ""),
            "uid": request.uid,
        },
        "model": found.model,
        "data": {"location": source.location, "fingerprint": source.fingerprint},
        "rows": found.rows,
        "badRows": found.bad_rows,
        "files": journal.files,
    }
    return json.dumps(document, indent=2, sort_keys=True).encode() + b"\n"
