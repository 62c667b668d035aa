"""Replicas that follow the load: a HorizontalPodAutoscaler on the ModelService itself.

It writes `spec.replicas` through the scale subresource, as people do, so that it knows nothing of revisions and lives
through all of them. Nobody else writes that number, but for one moment: whoever hands over from a fixed number to an
autoscaler leaves `replicas` out of the manifest, and then the API server fills in the default. Taken as it is, that
would stop most pods until the autoscaler has measured again. So the number that runs is written back first.
"""

from collections.abc import Mapping
from decimal import Decimal

from trainyard_api.meta import parse_duration
from trainyard_api.modelservice import ModelServiceSpec
from trainyard_api.quantities import parse_quantity
from trainyard_api.scaling import ExternalMetric, Keda, PodsMetric, Scaling, ScalingMetric
from trainyard_operator.cluster.kinds import HORIZONTAL_POD_AUTOSCALER, SCALED_OBJECT
from trainyard_operator.cluster.port import Manifest
from trainyard_operator.serving import identity
from trainyard_operator.workloads.identity import child

REQUESTS_PER_SECOND, LATENCY, GPU_DUTY_CYCLE = (
    "tensorflow_serving_request_count_per_second",
    "tensorflow_serving_request_latency_p95",
    "tensorflow_serving_gpu_duty_cycle",
)
"""What the shipped rules for prometheus-adapter call the metrics of a pod. Latencies are in microseconds."""


def autoscaler(owner: Manifest, scaling: Scaling) -> Manifest:
    """Return the HorizontalPodAutoscaler of a ModelService."""
    name = owner["metadata"]["name"]
    target = {"apiVersion": owner["apiVersion"], "kind": owner["kind"], "name": name}
    return child(HORIZONTAL_POD_AUTOSCALER, name, owner, identity.labels(name)) | {
        "spec": {
            "scaleTargetRef": target,
            "minReplicas": scaling.min,
            "maxReplicas": scaling.max,
            "metrics": [_metric(metric) for metric in scaling.metrics],
            "behavior": scaling.behavior.to_wire() if scaling.behavior else None,
        }
    }


def scaled_object(owner: Manifest, scaling: Scaling, keda: Keda) -> Manifest:
    """Return the ScaledObject of KEDA in place of the autoscaler.

    What Prometheus does not answer is an error, not a 0 as by default: then KEDA keeps the fallback's replicas.
    """
    metadata = owner["metadata"]
    name = metadata["name"]
    resources = [_resource_trigger(metric) for metric in scaling.metrics if metric.cpu or metric.memory]
    asked = [_built_in_query(metadata, metric) for metric in scaling.metrics if not (metric.cpu or metric.memory)]
    asked += [(query.query, parse_quantity(query.average)) for query in keda.queries]
    fallback = {"failureThreshold": 3, "replicas": keda.fallback or scaling.max} if asked else None
    behavior = scaling.behavior.to_wire() if scaling.behavior else None
    return child(SCALED_OBJECT, name, owner, identity.labels(name)) | {
        "spec": {
            "scaleTargetRef": {"apiVersion": owner["apiVersion"], "kind": owner["kind"], "name": name},
            "minReplicaCount": 0 if keda.scale_to_zero else scaling.min,
            "maxReplicaCount": scaling.max,
            "cooldownPeriod": parse_duration(keda.cooldown),
            "triggers": [*resources, *(_prometheus_trigger(keda.prometheus, *query) for query in asked)],
            "fallback": fallback,
            "advanced": {"horizontalPodAutoscalerConfig": {"behavior": behavior}} if behavior else None,
        }
    }


def _resource_trigger(metric: ScalingMetric) -> Manifest:
    resource, percent = ("cpu", metric.cpu) if metric.cpu else ("memory", metric.memory)
    return {"type": resource, "metricType": "Utilization", "metadata": {"value": str(percent)}}


def _prometheus_trigger(address: str, query: str, average: Decimal) -> Manifest:
    metadata = {"serverAddress": address, "query": query, "threshold": f"{average:f}", "ignoreNullValues": "false"}
    return {"type": "prometheus", "metricType": "AverageValue", "metadata": metadata}


def _built_in_query(metadata: Manifest, metric: ScalingMetric) -> tuple[str, Decimal]:
    """Return what to ask Prometheus for, summed over the replicas, since KEDA divides by their number."""
    own = _pods_of(metadata)
    if metric.requests_per_second is not None:
        query = f'sum(rate({{__name__=~":?tensorflow[:_]serving[:_]request_count",{own}}}[1m]))'
        return query, parse_quantity(metric.requests_per_second)
    if metric.latency is not None:
        buckets = f'rate({{__name__=~":?tensorflow[:_]serving[:_]request_latency_bucket",{own}}}[2m])'
        query = f"sum(histogram_quantile(0.95, sum by (le, pod) ({buckets})))"
        return query, Decimal(_microseconds(metric.latency))
    # NVIDIA's exporter has the pod that uses a GPU under names of its own.
    query = f"sum(DCGM_FI_DEV_GPU_UTIL{{{_pods_of(metadata, 'exported_')}}})"
    return query, Decimal(metric.gpu_duty_cycle or 1)


def _pods_of(metadata: Manifest, prefix: str = "") -> str:
    revision = "[0-9a-f]{8}"
    return f'{prefix}namespace="{metadata["namespace"]}",{prefix}pod=~"{metadata["name"]}-{revision}-.+"'


def replicas_before_autoscaler(spec: ModelServiceSpec, running: int) -> int:
    """Return the number of replicas to hand over to an autoscaler: what runs, within its bounds. 0 means stopped."""
    scaling = spec.scaling
    if scaling is None or spec.replicas == 0:
        return spec.replicas
    return min(scaling.max, max(scaling.min, spec.replicas, running))


def _metric(metric: ScalingMetric) -> Manifest:
    """Return a metric in the form of autoscaling/v2."""
    for resource, percent in (("cpu", metric.cpu), ("memory", metric.memory)):
        if percent is not None:
            target = {"type": "Utilization", "averageUtilization": percent}
            return {"type": "Resource", "resource": {"name": resource, "target": target}}
    if metric.external is not None:
        return _external(metric.external)
    return _pods(*_pods_metric(metric))


def _pods_metric(metric: ScalingMetric) -> tuple[str, object, Mapping[str, str] | None]:
    """Return a metric of the pods: its name, the average to reach, and the labels of its series."""
    if metric.requests_per_second is not None:
        return REQUESTS_PER_SECOND, metric.requests_per_second, None
    if metric.latency is not None:
        return LATENCY, _microseconds(metric.latency), None
    if metric.gpu_duty_cycle is not None:
        return GPU_DUTY_CYCLE, metric.gpu_duty_cycle, None
    own: PodsMetric | None = metric.pods
    if own is None:  # a rule of the schema
        raise ValueError("a metric of spec.scaling names nothing to scale by")
    return own.name, own.average, own.match_labels


def _pods(name: str, average: object, labels: Mapping[str, str] | None) -> Manifest:
    target = {"type": "AverageValue", "averageValue": canonical(average)}
    return {"type": "Pods", "pods": {"metric": _identifier(name, labels), "target": target}}


def _external(metric: ExternalMetric) -> Manifest:
    if metric.average is not None:
        target = {"type": "AverageValue", "averageValue": canonical(metric.average)}
    else:
        target = {"type": "Value", "value": canonical(metric.value)}
    return {"type": "External", "external": {"metric": _identifier(metric.name, metric.match_labels), "target": target}}


def _identifier(name: str, labels: Mapping[str, str] | None) -> Manifest:
    return {"name": name, "selector": {"matchLabels": dict(labels)} if labels else None}


def _microseconds(latency: str) -> int:
    """Return what TensorFlow Serving measures: `50ms` are 50,000."""
    return int(latency.removesuffix("s").removesuffix("m")) * (1_000 if latency.endswith("ms") else 1_000_000)


def canonical(quantity: object) -> str:
    """Return a quantity as the API server writes it back, so that comparing finds no difference."""
    thousandths = int((parse_quantity(quantity) * 1000).to_integral_value(rounding="ROUND_UP"))
    for suffix in _SUFFIXES:
        if thousandths % 1000 or suffix == _SUFFIXES[-1]:
            return f"{thousandths}{suffix}"
        thousandths //= 1000
    raise AssertionError("unreachable")


_SUFFIXES = ("m", "", "k", "M", "G", "T", "P")
