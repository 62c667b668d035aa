"""Metrics of trainings. Counters move on transitions only, and a gauge of a training ends with it.

Labels are bounded: phases and kinds of failures. Only gauges of trainings that run are labelled by their names.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from trainyard_api.gpu_seconds import GpuSeconds
from trainyard_api.times import from_rfc3339
from trainyard_api.trainingjob import Progress, TrainingJobStatus
from trainyard_operator.runtime.reconciler import Key
from trainyard_operator.training.accounting import newly_ended
from trainyard_operator.training.failure_card import DISRUPTIONS

_SECONDS = (1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1800, 3600, 4 * 3600, 12 * 3600, 24 * 3600)
_GAUGES: dict[str, tuple[str, Callable[[Progress], float | None]]] = {
    "epoch": ("Epochs finished", lambda progress: progress.epoch),
    "loss": ("Training loss", lambda progress: float(progress.loss) if progress.loss else None),
    "samples_per_second": ("Rows trained on each second", lambda progress: progress.samples_per_second),
}


@dataclass
class TrainingMetrics:
    """What is counted of trainings, in the registry of all metrics."""

    registry: CollectorRegistry = field(default_factory=CollectorRegistry)

    def __post_init__(self) -> None:
        registry = self.registry
        self._transitions = Counter(
            "trainyard_training_transitions_total",
            "Changes of phase, by the new phase; of failures, by their kind",
            ["phase", "reason"],
            registry=registry,
        )
        self._restarts = Counter(
            "trainyard_training_restarts_total",
            "Attempts that failed and were charged, by the kind of failure",
            ["reason"],
            registry=registry,
        )
        self._disruptions = Counter(
            "trainyard_training_disruptions_total",
            "Attempts that were stopped from outside, by what stopped them",
            ["reason"],
            registry=registry,
        )
        self._queue = Histogram(
            "trainyard_training_queue_seconds",
            "Time from the creation of a TrainingJob until its trainer first ran",
            buckets=_SECONDS,
            registry=registry,
        )
        self._first_step = Histogram(
            "trainyard_training_first_step_seconds",
            "Time from the creation of a TrainingJob until its first step",
            buckets=_SECONDS,
            registry=registry,
        )
        self._gpu_seconds = Counter(
            "trainyard_training_gpu_seconds_total",
            "GPUs times seconds of attempts that ended: used, waiting for the trainer to run, lost after a checkpoint",
            ["state"],
            registry=registry,
        )
        labels = ["namespace", "name"]
        self._gauges = {
            name: Gauge(f"trainyard_training_{name}", f"{text}, of a running training", labels, registry=registry)
            for name, (text, _) in _GAUGES.items()
        }
        self._shown: set[tuple[str, Key]] = set()

    def observe(
        self, key: Key, before: TrainingJobStatus, after: TrainingJobStatus, *, created: datetime, now: datetime
    ) -> None:
        """A status was found to be the same, or written anew."""
        self._count(before, after)
        if after.run == 0:
            self._time(before, after, created, now)
        if after.phase in ("Running", "Exporting") and after.progress:
            for name, (_, value) in _GAUGES.items():
                self._set(name, key, value(after.progress))
        else:
            self.gone(key)

    def gone(self, key: Key) -> None:
        """A training runs no longer."""
        for name in self._gauges:
            self._set(name, key, None)

    def _set(self, name: str, key: Key, value: float | None) -> None:
        gauge = self._gauges[name]
        if value is not None:
            gauge.labels(key.namespace, key.name).set(value)
            self._shown.add((name, key))
        elif (name, key) in self._shown:
            gauge.remove(key.namespace, key.name)
            self._shown.remove((name, key))

    def _count(self, before: TrainingJobStatus, after: TrainingJobStatus) -> None:
        if after.phase != before.phase:
            reason = after.failure.reason_class if after.failure and after.phase == "Failed" else ""
            self._transitions.labels(after.phase, reason).inc()
        for attempt in newly_ended(before.attempts, after.attempts):
            if attempt.outcome == "Failed" and after.phase != "Failed":
                self._restarts.labels(after.failure.reason_class if after.failure else "ApplicationError").inc()
            if attempt.outcome == "Stopped":
                known = attempt.reason in DISRUPTIONS.values()
                self._disruptions.labels(attempt.reason if known else "Stopped").inc()
        then, now = before.gpu_seconds or GpuSeconds(), after.gpu_seconds or GpuSeconds()
        spent = {"used": now.used - then.used, "waiting": now.waiting - then.waiting, "lost": now.lost - then.lost}
        for state, seconds in spent.items():
            self._gpu_seconds.labels(state).inc(max(0, seconds))

    def _time(self, before: TrainingJobStatus, after: TrainingJobStatus, created: datetime, now: datetime) -> None:
        if _first_start(before) is None and (started := _first_start(after)) is not None:
            self._queue.observe(max(0.0, (started - created).total_seconds()))
        if _steps(before) == 0 and _steps(after) > 0 and len(after.attempts) == 1:
            self._first_step.observe(max(0.0, (now - created).total_seconds()))


def _first_start(status: TrainingJobStatus) -> datetime | None:
    """Return when a trainer first ran, as far as attempts are kept."""
    return next((from_rfc3339(attempt.started) for attempt in status.attempts if attempt.started), None)


def _steps(status: TrainingJobStatus) -> int:
    return max(status.progress.step, status.progress.epoch) if status.progress else 0
