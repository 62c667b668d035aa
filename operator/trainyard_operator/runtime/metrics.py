"""The operator's metrics, under the names controller-runtime and client-go use where they have one.

Dashboards for Go operators then fit. Labels are bounded: kinds, results, verbs and codes. Names of objects are in
`service_metrics` only.
"""

import time
from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.gc_collector import GCCollector
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector

from trainyard_operator.cluster.port import Event
from trainyard_operator.runtime.reconciler import Key
from trainyard_operator.runtime.service_metrics import ServiceMetrics

_FAST = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)


class Metrics:
    """Everything that is counted, in a registry of its own."""

    def __init__(self, version: str) -> None:
        self.registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        PlatformCollector(registry=registry)
        GCCollector(registry=registry)
        self._depth = Gauge("workqueue_depth", "Keys that wait for a worker", ["name"], registry=registry)
        self._adds = Counter(
            "workqueue_adds_total", "Keys that began to wait for a worker", ["name"], registry=registry
        )
        self._waits = Histogram(
            "workqueue_queue_duration_seconds",
            "Time a key waited for a worker",
            ["name"],
            buckets=_FAST,
            registry=registry,
        )
        self._work = Histogram(
            "workqueue_work_duration_seconds",
            "Time a worker spent on a key",
            ["name"],
            buckets=_FAST,
            registry=registry,
        )
        self._retries = Counter(
            "workqueue_retries_total", "Keys to be tried again after a failure", ["name"], registry=registry
        )
        self._reconciles = Counter(
            "controller_runtime_reconcile_total",
            "Reconciles by result: success, requeue_after or error",
            ["controller", "result"],
            registry=registry,
        )
        self._errors = Counter(
            "controller_runtime_reconcile_errors_total", "Reconciles that failed", ["controller"], registry=registry
        )
        self._seconds = Histogram(
            "controller_runtime_reconcile_time_seconds",
            "Time of a reconcile",
            ["controller"],
            buckets=_FAST,
            registry=registry,
        )
        self._active = Gauge(
            "controller_runtime_active_workers", "Workers that are at work", ["controller"], registry=registry
        )
        self.max_workers = Gauge(
            "controller_runtime_max_concurrent_reconciles",
            "Workers there are, for all kinds together",
            registry=registry,
        )
        self._requests = Counter(
            "rest_client_requests_total",
            "Requests to the API server by HTTP method and status; <error> where no answer came",
            ["method", "code"],
            registry=registry,
        )
        self._request_seconds = Histogram(
            "rest_client_request_duration_seconds",
            "Time of a request to the API server",
            ["verb"],
            buckets=_FAST,
            registry=registry,
        )
        self.objects = Gauge(
            "trainyard_objects", "TrainingJobs and ModelServices by phase", ["kind", "phase"], registry=registry
        )
        self._events = Counter(
            "trainyard_events_total",
            "Changes of state that were reported as an event, by its type and reason",
            ["kind", "type", "reason"],
            registry=registry,
        )
        self.services = ServiceMetrics(registry)
        self.loop_lag = Gauge(
            "trainyard_loop_lag_seconds", "How late the event loop last woke a sleeper", registry=registry
        )
        self.last_resync = Gauge(
            "trainyard_last_resync_timestamp_seconds", "When all resources were last listed", registry=registry
        )
        self._watch_up = Gauge(
            "trainyard_watch_up",
            "Whether a watch works: 1, or 0 while it is being tried again; namespace is empty for all of them",
            ["resource", "namespace"],
            registry=registry,
        )
        self._leads = Gauge(
            "leader_election_master_status",
            "Whether this operator leads, by the name of the Lease; absent without leader election",
            ["name"],
            registry=registry,
        )
        Gauge("trainyard_build_info", "Version of the operator; always 1", ["version"], registry=registry).labels(
            version
        ).set(1)

    def added(self, key: Key) -> None:
        """A key began to wait."""
        self._adds.labels(key.kind).inc()
        self._depth.labels(key.kind).inc()

    def started(self, key: Key, waited: float) -> None:
        """A worker took a key that had waited so many seconds."""
        self._depth.labels(key.kind).dec()
        self._waits.labels(key.kind).observe(waited)
        self._active.labels(key.kind).inc()

    def finished(self, key: Key, *, result: str, seconds: float) -> None:
        """A reconcile ended with `success`, `requeue_after` or `error`."""
        self._active.labels(key.kind).dec()
        self._work.labels(key.kind).observe(seconds)
        self._seconds.labels(key.kind).observe(seconds)
        self._reconciles.labels(key.kind, result).inc()
        if result == "error":
            self._errors.labels(key.kind).inc()
            self._retries.labels(key.kind).inc()

    def requested(self, method: str, code: int, seconds: float) -> None:
        """The API server answered; code 0 means that it did not."""
        self._requests.labels(method, str(code) if code else "<error>").inc()
        self._request_seconds.labels(method).observe(seconds)

    def reported(self, kind: str, event: Event) -> None:
        """An event was emitted about an object of this kind."""
        self._events.labels(kind, event.type, event.reason).inc()

    def watches(self, resource: str, namespace: str | None, is_up: Callable[[], bool]) -> None:
        """There is such a watch; ask this way how it is."""
        self._watch_up.labels(resource, namespace or "").set_function(lambda: float(is_up()))

    def elects(self, lease: str, leads: Callable[[], bool]) -> None:
        """This operator is a candidate for a Lease; ask this way whether it leads."""
        self._leads.labels(lease).set_function(lambda: float(leads()))

    def resynced(self) -> None:
        """All resources were listed just now."""
        self.last_resync.set(time.time())

    def render(self) -> bytes:
        """Return the text format that Prometheus scrapes."""
        return generate_latest(self.registry)
