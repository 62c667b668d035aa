"""How far the training is, as anyone may ask at any time: /progress for the operator, /metrics for Prometheus."""

import json
import math
import socketserver
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from typing import Any, Literal

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.registry import Collector

from trainyard_trainer.clock import Clock

Phase = Literal["starting", "training", "exporting", "done"]
PHASES: tuple[Phase, ...] = ("starting", "training", "exporting", "done")


@dataclass(frozen=True, slots=True)
class SavedCheckpoint:
    """The newest checkpoint: steps finished, where it is and when it was written (RFC 3339)."""

    step: int
    path: str
    time: str

    def to_wire(self) -> dict[str, object]:
        return {"step": self.step, "path": self.path, "time": self.time}


@dataclass(frozen=True, slots=True)
class TrainingProgress:
    """One picture of the training. Loss is the running epoch's; metrics are those of the last finished epoch."""

    phase: Phase = "starting"
    epoch: int = 0
    epochs: int = 0
    step: int = 0
    steps: int = 0
    loss: float | None = None
    metrics: Mapping[str, float] = field(default_factory=dict)
    samples_per_second: float | None = None
    eta_seconds: float | None = None
    last_step_time: float | None = None
    last_checkpoint: SavedCheckpoint | None = None

    @property
    def percent(self) -> int:
        """Share of the work that is done."""
        if self.phase == "done":
            return 100
        if self.steps:
            return int(100 * self.step / self.steps)
        return int(100 * self.epoch / self.epochs) if self.epochs else 0

    def finite_metrics(self) -> dict[str, float]:
        """Return the metrics that JSON can hold."""
        return {name: value for name, value in self.metrics.items() if finite(value) is not None}

    def to_wire(self) -> dict[str, object]:
        """Return the JSON form that the operator reads."""
        return {
            "phase": self.phase,
            "epoch": self.epoch,
            "epochs": self.epochs,
            "step": self.step,
            "steps": self.steps,
            "percent": self.percent,
            "loss": finite(self.loss),
            "metrics": self.finite_metrics(),
            "samplesPerSecond": finite(self.samples_per_second),
            "etaSeconds": finite(self.eta_seconds),
            "lastStepTime": self.last_step_time,
            "lastCheckpoint": self.last_checkpoint.to_wire() if self.last_checkpoint else None,
        }


def finite(value: float | None) -> float | None:
    """Return the value, or nothing where JSON has no way to write it."""
    return value if value is not None and math.isfinite(value) else None


class ProgressTracker:
    """Holds the newest picture, for any thread: a picture is replaced, never changed."""

    def __init__(self, clock: Clock | None = None) -> None:
        self.current = TrainingProgress()
        self.clock = clock or Clock()
        self._changing = threading.Lock()

    def update(self, **changes: Any) -> None:
        """Replace the picture by one with these fields changed."""
        with self._changing:
            self.current = replace(self.current, **changes)

    def step_ended(self, **changes: Any) -> None:
        """Replace the picture, and say that the training has come on just now."""
        self.update(last_step_time=self.clock.unix(), **changes)


class ProgressCollector(Collector):
    """Turns the newest picture into Prometheus metrics, at scrape time only."""

    def __init__(self, tracker: ProgressTracker) -> None:
        self._tracker = tracker

    def collect(self) -> Iterator[Metric]:
        """Yield the metrics of the newest picture; what is not known yet is left out."""
        now = self._tracker.current
        numbers: list[tuple[str, str, float | None]] = [
            ("epoch", "Epochs finished.", now.epoch),
            ("epochs", "Epochs at most.", now.epochs),
            ("planned_steps", "Steps at most.", now.steps),
            ("loss", "Training loss of the running epoch.", now.loss),
            ("samples_per_second", "Rows trained on each second.", now.samples_per_second),
            ("eta_seconds", "Estimated time left.", now.eta_seconds),
            ("last_step_timestamp_seconds", "When the last step ended (Unix time).", now.last_step_time),
        ]
        for name, text, value in numbers:
            if value is not None:
                yield GaugeMetricFamily(f"trainyard_trainer_{name}", text, value)
        yield CounterMetricFamily("trainyard_trainer_steps", "Steps finished.", now.step)
        phase = GaugeMetricFamily("trainyard_trainer_phase", "1 for the phase the training is in.", labels=["phase"])
        for name in PHASES:
            phase.add_metric([name], float(name == now.phase))
        yield phase
        metric = GaugeMetricFamily(
            "trainyard_trainer_metric", "Metrics of the last finished epoch, by their Keras names.", labels=["name"]
        )
        for name, value in now.metrics.items():
            metric.add_metric([name], value)
        yield metric


class _ProgressServer(socketserver.ThreadingTCPServer):
    # Not http.server.HTTPServer: that one looks up the machine's full name when it binds, which can take seconds.
    allow_reuse_address = True
    daemon_threads = True


def serve(tracker: ProgressTracker, port: int) -> int:
    """Serve the progress on all interfaces from a daemon thread; returns the port, which the system picks for 0.

    Raises:
        OSError: the port is taken.
    """
    registry = CollectorRegistry()
    registry.register(ProgressCollector(tracker))

    class Handler(BaseHTTPRequestHandler):
        timeout = 10

        def do_GET(self) -> None:
            path = self.path.partition("?")[0]
            if path == "/progress":
                self._answer(json.dumps(tracker.current.to_wire()).encode(), "application/json")
            elif path == "/metrics":
                self._answer(generate_latest(registry), CONTENT_TYPE_LATEST)
            else:
                self.send_error(HTTPStatus.NOT_FOUND, explain="/progress and /metrics are here")

        def _answer(self, body: bytes, content_type: str) -> None:
            self.send_response(HTTPStatus.OK)
            self.send_header("Content-Type", content_type)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Keep requests out of the pod's log."""

    server = _ProgressServer(("", port), Handler)
    threading.Thread(target=server.serve_forever, name="progress", daemon=True).start()
    return int(server.server_address[1])
