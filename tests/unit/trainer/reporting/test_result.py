"""The termination message."""

import json

from trainyard_trainer.reporting.progress_server import SavedCheckpoint, TrainingProgress
from trainyard_trainer.reporting.result import LIMIT, ModelVersion, termination_message

MODEL = ModelVersion("churn", 3, "sha256:" + "0" * 64, 1234)


def test_it_holds_the_result_and_where_it_is() -> None:
    progress = TrainingProgress(
        epoch=4,
        step=40,
        loss=0.5,
        metrics={"loss": 0.5},
        last_checkpoint=SavedCheckpoint(40, "x", "2026-01-01T00:00:00Z"),
    )

    message = json.loads(termination_message("MaxEpochs", "done", progress, MODEL))

    assert message == {
        "reason": "MaxEpochs",
        "message": "done",
        "epochs": 4,
        "steps": 40,
        "loss": 0.5,
        "metrics": {"loss": 0.5},
        "model": {
            "name": "churn",
            "version": 3,
            "path": "churn/3",
            "digest": "sha256:" + "0" * 64,
            "sizeBytes": 1234,
        },
        "lastCheckpoint": {"step": 40, "path": "x", "time": "2026-01-01T00:00:00Z"},
    }


def test_it_is_never_longer_than_kubernetes_takes() -> None:
    progress = TrainingProgress(metrics={f"metric_{'ä' * 40}_{i}": i / 7 for i in range(300)})

    document = termination_message("Failed", "ü" * 10_000, progress, MODEL)

    assert len(document.encode()) <= LIMIT < 4096
    assert json.loads(document)["model"]["version"] == 3


def test_it_holds_no_number_that_json_lacks() -> None:
    message = json.loads(
        termination_message("Diverged", "x", TrainingProgress(loss=float("nan"), metrics={"a": float("inf")}))
    )

    assert (message["loss"], message["metrics"]) == (None, {})


def test_it_is_one_line() -> None:
    assert json.loads(termination_message("Failed", "two\nlines", TrainingProgress()))["message"] == "two lines"
