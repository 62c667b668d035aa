"""Progress over HTTP."""

import json
import urllib.error
import urllib.request

import pytest

from trainyard_trainer.reporting.progress_server import ProgressTracker, serve


def get(port: int, path: str) -> tuple[str, str]:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as answer:
        return answer.read().decode(), answer.headers["Content-Type"]


def test_the_operator_reads_where_the_training_is() -> None:
    tracker = ProgressTracker()
    port = serve(tracker, 0)

    tracker.update(phase="training", epoch=1, epochs=4, step=25, steps=100, loss=0.5, metrics={"val_loss": 0.6})
    body, content_type = get(port, "/progress")

    assert content_type == "application/json"
    assert json.loads(body) == {
        "phase": "training",
        "epoch": 1,
        "epochs": 4,
        "step": 25,
        "steps": 100,
        "percent": 25,
        "loss": 0.5,
        "metrics": {"val_loss": 0.6},
        "samplesPerSecond": None,
        "etaSeconds": None,
        "lastStepTime": None,
        "lastCheckpoint": None,
    }


def test_prometheus_reads_the_same_numbers() -> None:
    tracker = ProgressTracker()
    port = serve(tracker, 0)

    tracker.update(phase="training", epoch=1, step=25, loss=0.5, metrics={"val_loss": 0.6})
    body, _ = get(port, "/metrics")

    assert "trainyard_trainer_epoch 1.0" in body
    assert "trainyard_trainer_steps_total 25.0" in body
    assert "trainyard_trainer_loss 0.5" in body
    assert 'trainyard_trainer_metric{name="val_loss"} 0.6' in body
    assert 'trainyard_trainer_phase{phase="training"} 1.0' in body
    assert 'trainyard_trainer_phase{phase="done"} 0.0' in body


def test_an_early_stop_is_done_all_the_same() -> None:
    tracker = ProgressTracker()
    tracker.update(phase="done", step=25, steps=100)

    assert tracker.current.percent == 100


def test_other_paths_are_not_found() -> None:
    port = serve(ProgressTracker(), 0)

    with pytest.raises(urllib.error.HTTPError, match="404") as raised:
        get(port, "/")
    raised.value.close()
