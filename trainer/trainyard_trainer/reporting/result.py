"""The result of a run as the pod leaves it behind: the termination message (JSON, under 4 KB)."""

import json
from dataclasses import dataclass
from pathlib import Path

from trainyard_trainer.errors import one_line
from trainyard_trainer.reporting.progress_server import TrainingProgress, finite

LIMIT = 4000
"""Bytes; Kubernetes cuts a termination message at 4096, in the middle of its JSON."""


@dataclass(frozen=True, slots=True)
class ModelVersion:
    """A complete model version. `path` is relative to the store; `digest` is that of its manifest.

    `created` is told of a version that another TrainingJob made.
    """

    name: str
    version: int
    digest: str
    size_bytes: int
    created: str | None = None
    data_fingerprint: str | None = None

    @property
    def path(self) -> str:
        """Where it is, relative to the store."""
        return f"{self.name}/{self.version}"

    def to_wire(self) -> dict[str, object]:
        return {
            "name": self.name,
            "version": self.version,
            "path": self.path,
            "digest": self.digest,
            "sizeBytes": self.size_bytes,
        } | {
            name: value
            for name, value in {"created": self.created, "dataFingerprint": self.data_fingerprint}.items()
            if value
        }


@dataclass(frozen=True, slots=True)
class PredictedFiles:
    """What a batch scoring has written. `path` is its folder, relative to the store; `model` is what predicted."""

    rows: int
    bad_rows: int
    files: int
    path: str
    model: str

    def to_wire(self) -> dict[str, object]:
        return {
            "rows": self.rows,
            "badRows": self.bad_rows,
            "files": self.files,
            "path": self.path,
            "model": self.model,
        }


def termination_message(
    reason: str,
    message: str,
    progress: TrainingProgress,
    model: ModelVersion | None = None,
    predictions: PredictedFiles | None = None,
) -> str:
    """Return the message; where it would be too long the text is cut, then the metrics beyond the first ones."""
    metrics = progress.finite_metrics()
    text = one_line(message)
    while True:
        document = json.dumps(
            {
                "reason": reason,
                "message": text,
                "epochs": progress.epoch,
                "steps": progress.step,
                "loss": finite(progress.loss),
                "metrics": metrics,
                "model": model.to_wire() if model else None,
                **({"predictions": predictions.to_wire()} if predictions else {}),
                "lastCheckpoint": progress.last_checkpoint.to_wire() if progress.last_checkpoint else None,
            },
            ensure_ascii=False,
        )
        if len(document.encode()) <= LIMIT:
            return document
        if len(text) > 200:
            text = one_line(text, len(text) // 2)
        else:
            metrics = dict(list(metrics.items())[: len(metrics) // 2])


def write_report(path: str | None, document: str) -> None:
    """Write the termination message where Kubernetes looks for it; nowhere outside a pod."""
    if path:
        Path(path).write_text(document, encoding="utf-8")
