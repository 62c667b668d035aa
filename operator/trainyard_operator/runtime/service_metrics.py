"""What the operator tells Prometheus of each ModelService.

These are its only metrics with names of objects among their labels: one set of series for each service, which ends with
the service. The labels are not called `namespace` and `name`, because Prometheus gives every series of the operator the
operator's own.
"""

from dataclasses import dataclass

from prometheus_client import CollectorRegistry, Counter, Gauge

from trainyard_operator.runtime.reconciler import Key

_LABELS = ("service_namespace", "model_service")
OUTCOMES = ("Promoted", "RolledBack", "Refused")
"""What can become of a version."""


@dataclass(frozen=True, slots=True)
class Measures:
    """What is measured of a service. Times are in seconds since 1970; None is no series.

    Attributes:
        rollout_started: When the rollout began that is under way.
        model_timestamp: When the model that serves was trained.
        canary_weight: Percent of the requests that a canary asks for.
        outcomes: What has become of versions since the last time.
    """

    wanted: int
    ready: int
    rollout_started: float | None = None
    model_timestamp: float | None = None
    canary_weight: int | None = None
    outcomes: tuple[str, ...] = ()


class ServiceMetrics:
    """The series of all ModelServices."""

    def __init__(self, registry: CollectorRegistry) -> None:
        def gauge(name: str, what: str) -> Gauge:
            return Gauge(f"trainyard_model_service_{name}", what, _LABELS, registry=registry)

        self._wanted = gauge("replicas_wanted", "Replicas that shall serve")
        self._ready = gauge("replicas_ready", "Replicas that answer")
        self._started = gauge("rollout_started_timestamp_seconds", "When the rollout under way began")
        self._model = gauge("model_timestamp_seconds", "When the model that serves was trained")
        self._canary = gauge("canary_weight_percent", "Percent of the requests that a canary asks for")
        self._rollouts = Counter(
            "trainyard_model_service_rollouts_total",
            "Versions by what became of them: Promoted, RolledBack or Refused",
            [*_LABELS, "outcome"],
            registry=registry,
        )

    def observe(self, key: Key, measures: Measures | None) -> None:
        """Take what is measured of a service; None where it is gone."""
        labels = (key.namespace, key.name)
        gauges = (self._wanted, self._ready, self._started, self._model, self._canary)
        for gauge, value in zip(gauges, _values(measures), strict=True):
            if value is None:
                gauge.remove(*labels)
            else:
                gauge.labels(*labels).set(value)
        for outcome in OUTCOMES:
            if measures is None:
                self._rollouts.remove(*labels, outcome)
            else:
                self._rollouts.labels(*labels, outcome).inc(measures.outcomes.count(outcome))


def _values(measures: Measures | None) -> tuple[float | None, ...]:
    if measures is None:
        return (None,) * 5
    times = (measures.rollout_started, measures.model_timestamp)
    return (measures.wanted, measures.ready, *times, measures.canary_weight)
