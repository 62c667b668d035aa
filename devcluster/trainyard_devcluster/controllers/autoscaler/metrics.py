"""What the metrics APIs say: `metrics.k8s.io`, `custom.metrics.k8s.io` and `external.metrics.k8s.io`."""

from datetime import timedelta
from fractions import Fraction
from urllib.parse import quote

from trainyard_devcluster import quantity
from trainyard_devcluster.client import ApiError, Client
from trainyard_devcluster.controllers.autoscaler.replicas import NoMetricsError, Sample
from trainyard_devcluster.events import parse_timestamp
from trainyard_devcluster.resources import Object

_RESOURCE = "/apis/metrics.k8s.io/v1beta1"
_CUSTOM = "/apis/custom.metrics.k8s.io/v1beta2"
_EXTERNAL = "/apis/external.metrics.k8s.io/v1beta1"


async def of_resource(client: Client, namespace: str, selector: str, resource: str) -> dict[str, Sample]:
    """How much of a resource each pod uses, in base units. NoMetricsError where nobody says."""
    path = f"{_RESOURCE}/namespaces/{namespace}/pods"
    found = await _ask(client, path, {"labelSelector": selector}, "FailedGetResourceMetric", f"resource {resource}")
    return {
        item["metadata"]["name"]: Sample(
            sum((quantity.parse(part["usage"][resource]) for part in item["containers"]), Fraction(0)),
            parse_timestamp(item["timestamp"]),
            _seconds(item["window"]),
        )
        for item in found["items"]
        if item["containers"] and all(resource in part["usage"] for part in item["containers"])
    }


async def of_pods(client: Client, namespace: str, selector: str, metric: Object) -> dict[str, Sample]:
    """A metric of each pod. NoMetricsError where nobody says."""
    path = f"{_CUSTOM}/namespaces/{namespace}/pods/*/{quote(metric['name'], safe='')}"
    query = {"labelSelector": selector, "metricLabelSelector": _labels(metric)}
    found = await _ask(client, path, query, "FailedGetPodsMetric", f"pods metric {metric['name']}")
    return {
        item["describedObject"]["name"]: Sample(quantity.parse(item["value"]), parse_timestamp(item["timestamp"]))
        for item in found["items"]
    }


async def external(client: Client, namespace: str, metric: Object) -> Fraction:
    """The sum of an external metric's series. NoMetricsError where nobody says."""
    path = f"{_EXTERNAL}/namespaces/{namespace}/{quote(metric['name'], safe='')}"
    why = f"external metric {metric['name']}"
    found = await _ask(client, path, {"labelSelector": _labels(metric)}, "FailedGetExternalMetric", why)
    if not found["items"]:
        raise NoMetricsError("FailedGetExternalMetric", f"unable to get {why}: no metrics returned")
    return sum((quantity.parse(item["value"]) for item in found["items"]), Fraction(0))


async def _ask(client: Client, path: str, query: dict[str, str], reason: str, what: str) -> Object:
    try:
        return await client.request("GET", path, query={key: value or None for key, value in query.items()})
    except ApiError as error:
        raise NoMetricsError(reason, f"unable to get metrics for {what}: {error}") from error


def _labels(metric: Object) -> str:
    wanted = (metric.get("selector") or {}).get("matchLabels") or {}
    return ",".join(f"{key}={value}" for key, value in sorted(wanted.items()))


def _seconds(window: str) -> timedelta:
    """A duration as Go writes it: `10s`, `1m0s`, `9.5s`."""
    minutes, found, rest = window.rpartition("m")
    return timedelta(minutes=float(minutes) if found else 0, seconds=float(rest.removesuffix("s") or 0))
