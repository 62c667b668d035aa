"""`metrics.k8s.io`, from what nodes measure, and `custom.metrics.k8s.io`, from what pods tell Prometheus.

On other clusters servers of their own answer these two groups: metrics-server, and an adapter for Prometheus.
"""

import asyncio
from collections.abc import Iterable

import aiohttp
from aiohttp import web

from trainyard_devcluster.apiserver import errors
from trainyard_devcluster.apiserver.endpoints.call import Call
from trainyard_devcluster.apiserver.listing import Selection
from trainyard_devcluster.apiserver.scraping import Scrapes, address_of
from trainyard_devcluster.apiserver.values import Object, key_of

RESOURCE_GROUP, CUSTOM_GROUP = "metrics.k8s.io", "custom.metrics.k8s.io"
GROUPS = (RESOURCE_GROUP, CUSTOM_GROUP)
WINDOW = "5s"
"""Over how long a node measures rates."""
_SCRAPE = aiohttp.ClientTimeout(total=3)
_MOST_BYTES = 4 * 1024 * 1024


class Metrics:
    """Answers both groups, and remembers what pods told, for rates."""

    def __init__(self) -> None:
        self._scrapes = Scrapes()
        self._session: aiohttp.ClientSession | None = None

    async def answer(self, call: Call) -> web.Response:
        """Answer a request.

        Raises:
            ApiError: 404, nothing is known of what the path names; 405, the verb is none of get and list.
        """
        if call.verb not in ("get", "list"):
            raise errors.method_not_allowed()
        if call.resource.group == CUSTOM_GROUP:
            return call.reply(await self._custom(call))
        found = await (_node_metrics(call) if call.target.plural == "nodes" else _pod_metrics(call))
        if call.target.name:
            return call.reply(_named(call, found))
        listed = {"kind": call.resource.list_kind, "apiVersion": call.resource.api_version, "metadata": {}}
        return call.reply(listed | {"items": found})

    async def close(self) -> None:
        """Close the connections to pods."""
        if self._session is not None:
            await self._session.close()

    async def _custom(self, call: Call) -> Object:
        name, metric = call.target.name, call.target.subresource
        if not metric:
            raise errors.no_such_path()
        found = [pod for pod in _selected(call, "pods") if name in ("*", pod["metadata"]["name"])]
        await asyncio.gather(*(self._scrape(pod) for pod in found))
        self._scrapes.forget_all_but({pod["metadata"]["uid"] for pod in call.parts.cluster.store.objects("pods")})
        values = [(pod, self._scrapes.value(pod["metadata"]["uid"], metric)) for pod in found]
        items = [_metric_value(pod, metric, *value) for pod, value in values if value is not None]
        if not items:
            what = f"the server could not find the metric {metric} for pods"
            raise errors.ApiError(404, "NotFound", what)
        api_version = call.resource.api_version
        return {"kind": "MetricValueList", "apiVersion": api_version, "metadata": {}, "items": items}

    async def _scrape(self, pod: Object) -> None:
        address = address_of(pod)
        if address is None:
            return
        if self._session is None:
            self._session = aiohttp.ClientSession(timeout=_SCRAPE)
        try:
            async with self._session.get(address) as answer:
                text = (await answer.content.read(_MOST_BYTES)).decode(errors="replace")
        except (aiohttp.ClientError, TimeoutError):
            return
        self._scrapes.add(pod["metadata"]["uid"], text)


async def _node_metrics(call: Call) -> list[Object]:
    selection = Selection.of(call.resource, "", "", call.query)
    return [
        _measured(call, node, summary["node"]) | {"usage": _usage(summary["node"])}
        for node, summary in await call.parts.logs.summaries()
        if "cpu" in summary.get("node", {}) and selection.takes(key_of(node), node)
    ]


async def _pod_metrics(call: Call) -> list[Object]:
    uses = {
        pod["podRef"]["uid"]: pod["containers"]
        for _, summary in await call.parts.logs.summaries()
        for pod in summary.get("pods", ())
    }
    found = []
    for pod in _selected(call, "pods"):
        containers = uses.get(pod["metadata"]["uid"], [])
        # As metrics-server: a pod of which one container was not measured yet has no metrics.
        if containers and all("cpu" in container for container in containers):
            parts = [{"name": container["name"], "usage": _usage(container)} for container in containers]
            found.append(_measured(call, pod, containers[0]) | {"containers": parts})
    return found


def _selected(call: Call, table: str) -> Iterable[Object]:
    selection = Selection.of(call.resource, call.target.namespace, "", call.query)
    objects = call.parts.cluster.store.objects(table, call.target.namespace or None)
    return [obj for obj in objects if selection.takes(key_of(obj), obj)]


def _measured(call: Call, obj: Object, reading: Object) -> Object:
    kept = ("name", "namespace", "labels", "creationTimestamp")
    return {
        "kind": call.resource.kind,
        "apiVersion": call.resource.api_version,
        "metadata": {key: obj["metadata"][key] for key in kept if key in obj["metadata"]},
        "timestamp": reading["cpu"]["time"],
        "window": WINDOW,
    }


def _usage(reading: Object) -> Object:
    kibibytes = -(-reading["memory"]["workingSetBytes"] // 1024)
    return {"cpu": f"{reading['cpu']['usageNanoCores']}n", "memory": f"{kibibytes}Ki"}


def _named(call: Call, found: Iterable[Object]) -> Object:
    for entry in found:
        if entry["metadata"]["name"] == call.target.name:
            return entry
    raise errors.not_found(call.resource.plural, call.resource.group, call.target.name)


def _metric_value(pod: Object, metric: str, value: float, at: str) -> Object:
    return {
        "describedObject": {
            "kind": "Pod",
            "apiVersion": "/v1",
            "namespace": pod["metadata"]["namespace"],
            "name": pod["metadata"]["name"],
        },
        "metric": {"name": metric, "selector": None},
        "timestamp": at,
        "value": f"{round(value * 1000)}m",
    }
