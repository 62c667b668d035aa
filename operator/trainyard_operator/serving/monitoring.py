"""What Prometheus reads of a ModelService, and when it alerts: objects of the Prometheus Operator."""

from trainyard_api.meta import parse_duration
from trainyard_api.monitoring import Monitoring
from trainyard_api.names import MODEL_VERSION_LABEL, REVISION_LABEL, SERVICE_LABEL
from trainyard_operator.cluster.kinds import POD_MONITOR, PROMETHEUS_RULE
from trainyard_operator.cluster.port import Manifest
from trainyard_operator.serving import identity
from trainyard_operator.serving.pod import METRICS_PATH
from trainyard_operator.workloads.identity import child

SERVER_ERRORS = "UNKNOWN|DEADLINE_EXCEEDED|RESOURCE_EXHAUSTED|ABORTED|UNIMPLEMENTED|INTERNAL|UNAVAILABLE|DATA_LOSS"
"""Of gRPC's codes those that are not the client's fault (https://grpc.github.io/grpc/core/md_doc_statuscodes.html)."""
_DAY = 86400
_MOST_PARTS = 6
"""Of a metric's name between colons: TensorFlow's longest has four."""


def pod_monitor(owner: Manifest, monitoring: Monitoring) -> Manifest:
    """Return the PodMonitor of a ModelService."""
    name = owner["metadata"]["name"]
    labels = (monitoring.labels or {}) | identity.labels(name)
    endpoint = {
        "port": "http",
        "path": METRICS_PATH,
        "relabelings": [
            _label(SERVICE_LABEL, "model_service"),
            _label(REVISION_LABEL, "revision"),
            _label(MODEL_VERSION_LABEL, "model_version"),
        ],
        "metricRelabelings": _without_colons(),
    }
    selector = {"matchLabels": {SERVICE_LABEL: name}}
    return child(POD_MONITOR, name, owner, labels) | {"spec": {"selector": selector, "podMetricsEndpoints": [endpoint]}}


def _label(pod_label: str, target: str) -> Manifest:
    source = "__meta_kubernetes_pod_label_" + "".join(letter if letter.isalnum() else "_" for letter in pod_label)
    return {"action": "replace", "sourceLabels": [source], "targetLabel": target}


def _without_colons() -> list[Manifest]:
    """Return what makes `tensorflow_serving_request_count` of `:tensorflow:serving:request_count`.

    Prometheus keeps colons for recording rules (tensorflow/serving#1690). One rule replaces one colon.
    """
    first = {"regex": ":(.+)", "replacement": "${1}"}
    other = {"regex": "([^:]*):(.+)", "replacement": "${1}_${2}"}
    about = {"action": "replace", "sourceLabels": ["__name__"], "targetLabel": "__name__"}
    return [about | first, *(about | other for _ in range(_MOST_PARTS - 1))]


def prometheus_rule(owner: Manifest, monitoring: Monitoring) -> Manifest:
    """Return the PrometheusRule of a ModelService."""
    name = owner["metadata"]["name"]
    labels = (monitoring.labels or {}) | identity.labels(name)
    group = {"name": f"trainyard-{name}", "rules": alerts(owner, monitoring)}
    return child(PROMETHEUS_RULE, name, owner, labels) | {"spec": {"groups": [group]}}


def alerts(owner: Manifest, monitoring: Monitoring) -> list[Manifest]:
    """Return the alerts of a ModelService."""
    name, namespace = owner["metadata"]["name"], owner["metadata"]["namespace"]
    about = {"model_service": name, "service_namespace": namespace}
    own = f'{{model_service="{name}",service_namespace="{namespace}"}}'
    ready, wanted = (f"max(trainyard_model_service_replicas_{what}{own})" for what in ("ready", "wanted"))
    service = f"ModelService {namespace}/{name}"
    stuck = f"time() - max(trainyard_model_service_rollout_started_timestamp_seconds{own})"
    old = f"time() - max(trainyard_model_service_model_timestamp_seconds{own})"
    rules = [
        _alert("Down", f"{ready} == 0 and {wanted} > 0", about, f"No replica of {service} answers.", wait="2m"),
        *(_burning(service, about, monitoring.objective, *burn) for burn in _BURNS),
        _alert(
            "RolloutStuck",
            f"{stuck} > {parse_duration(monitoring.rollout_deadline)}",
            about,
            f"A rollout of {service} takes longer than {monitoring.rollout_deadline}.",
            severity="warning",
        ),
    ]
    if monitoring.max_model_age is not None:
        told = f"The model of {service} was trained more than {monitoring.max_model_age} days ago."
        expression = f"{old} > {monitoring.max_model_age * _DAY}"
        rules.append(_alert("Old", expression, about, told, severity="warning"))
    return rules


_BURNS = (("1h", "5m", 14.4, "critical"), ("6h", "30m", 6.0, "warning"))
"""A long window and a short one, how many times faster than allowed the errors may come, and how bad that is.

As in https://sre.google/workbook/alerting-on-slos: 2 % of a month's errors in an hour, 5 % in six hours.
"""


def _burning(service: str, about: dict[str, str], objective: float, *burn: object) -> Manifest:
    long, short, factor, severity = burn
    most = f"{float(str(factor)) * (100 - objective) / 100:.6g}"
    expression = " and ".join(f"{_error_ratio(about, str(window))} > {most}" for window in (long, short))
    told = f"{service} fails {{{{ $value | humanizePercentage }}}} of its requests; its objective is {objective:g} %."
    return _alert("Failing", expression, about, told, severity=str(severity))


def _error_ratio(about: dict[str, str], window: str) -> str:
    own = f'model_service="{about["model_service"]}",namespace="{about["service_namespace"]}"'
    failed = f'sum(rate(tensorflow_serving_request_count{{{own},status=~"{SERVER_ERRORS}"}}[{window}]))'
    return f"{failed} / sum(rate(tensorflow_serving_request_count{{{own}}}[{window}]))"


def _alert(
    name: str, expression: str, about: dict[str, str], summary: str, *, severity: str = "critical", wait: str = "0s"
) -> Manifest:
    return {
        "alert": f"TrainyardModel{name}",
        "expr": expression,
        "for": wait,
        "labels": about | {"severity": severity},
        "annotations": {"summary": summary},
    }
