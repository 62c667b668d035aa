"""What the trainer makes of some files before it loads TensorFlow: the columns, the labels, and what it says."""

import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from support.trainer_runs import a_spec, environment
from trainyard_trainer.data.labels import ClassLabels
from trainyard_trainer.fitting.prepared import Prepared
from trainyard_trainer.prepare import prepare
from trainyard_trainer.reporting.event_log import EventLog
from trainyard_trainer.reporting.progress_server import ProgressTracker
from trainyard_trainer.spec import read_run


@dataclass(frozen=True)
class Looked:
    """A training that has been prepared, and its log."""

    prepared: Prepared
    log: list[dict[str, Any]]

    @property
    def classes(self) -> tuple[str, ...]:
        labels = self.prepared.profile.labels
        assert isinstance(labels, ClassLabels)
        return labels.names

    @property
    def features(self) -> tuple[str, ...]:
        return tuple(column.name for column in self.prepared.table.schema.features)

    @property
    def columns(self) -> dict[str, str]:
        """Each column's name with its type."""
        return {column.name: column.type for column in self.prepared.profile.columns}

    def numbers(self, name: str) -> list[float]:
        """Return the training and validation values of a column of numbers, in the order of the rows."""
        table = self.prepared.table
        place = table.schema.numbers.index(name)
        return [float(row[place]) for shard in table.shards() for raw in table.read(shard) for row in raw.numbers]

    def labels(self) -> list[Any]:
        table = self.prepared.table
        return [label for shard in table.shards() for raw in table.read(shard) for label in raw.label.to_pylist()]


def look(path: Path, *, label: str = "label", task: str = "binaryClassification", **fields: Any) -> Looked:
    """Prepare a training on a file; `fields` are further ones of `spec.data`."""
    folder = path.parent / f"{path.name}.out"
    folder.mkdir(exist_ok=True)
    spec = a_spec(path, label=label, task=task).with_fit(batchSize=1).with_data(**fields).write(folder)
    log = io.StringIO()
    run = read_run(str(spec), environment(folder))
    prepared = prepare(run, tracker=ProgressTracker(), event_log=EventLog(log))
    return Looked(prepared, [json.loads(line) for line in log.getvalue().splitlines()])
