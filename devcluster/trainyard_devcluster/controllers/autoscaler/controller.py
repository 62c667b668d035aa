"""The controller: asks for metrics every few seconds, and scales what it finds through the scale subresource."""

from collections.abc import Sequence
from fractions import Fraction

from trainyard_devcluster import pods as pod_states
from trainyard_devcluster import quantity
from trainyard_devcluster.client import ApiError, ConflictError
from trainyard_devcluster.controllers.autoscaler import metrics, replicas
from trainyard_devcluster.controllers.autoscaler.behavior import History, decide
from trainyard_devcluster.controllers.autoscaler.replicas import NoMetricsError
from trainyard_devcluster.controllers.conditions import a_condition, with_condition
from trainyard_devcluster.controllers.context import Context, enqueue
from trainyard_devcluster.controllers.garbage.catalog import Catalog, group_of
from trainyard_devcluster.events import timestamp
from trainyard_devcluster.informer import Key
from trainyard_devcluster.resources import HORIZONTAL_POD_AUTOSCALERS, PODS, Object, Resource, name_of, uid_of
from trainyard_devcluster.workqueue import WorkQueue

NONE_WANTED = ("DesiredWithinRange", "the desired count is within the acceptable range")


class ScaleError(Exception):
    """The target has no scale, or cannot be scaled."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class AutoscalerController:
    """Scales the targets of HorizontalPodAutoscalers."""

    name = "horizontal-pod-autoscaler"

    def __init__(self, context: Context, catalog: Catalog) -> None:
        self._context = context
        self._client = context.client
        self._catalog = catalog
        self._recorder = context.recorder(self.name)
        self.queue: WorkQueue[Key] = WorkQueue()
        self._autoscalers = context.informer(HORIZONTAL_POD_AUTOSCALERS)
        self._autoscalers.on_change(self._changed)
        self._histories: dict[str, History] = {}

    async def sync(self, key: Key) -> None:
        """Look once, and again after the period."""
        autoscaler = self._autoscalers.get(*key)
        if autoscaler is None:
            return
        self.queue.add_after(key, self._context.settings.autoscaler_period)
        conditions = list(autoscaler.get("status", {}).get("conditions") or ())
        status = autoscaler.get("status", {}) | {"conditions": conditions}
        try:
            resource, scale = await self._scale_of(autoscaler)
            status = await self._scaled(autoscaler, resource, scale, status)
        except ScaleError as error:
            status = self._with(status, "AbleToScale", "False", error.reason, str(error))
            await self._recorder.warning(autoscaler, error.reason, str(error))
        if status != autoscaler.get("status"):
            written = await self._client.update_status(HORIZONTAL_POD_AUTOSCALERS, autoscaler | {"status": status})
            self._autoscalers.observe(written)

    async def _scaled(self, autoscaler: Object, resource: Resource, scale: Object, status: Object) -> Object:
        """Scale where that is due; returns the status."""
        spec, current = autoscaler["spec"], int(scale["spec"].get("replicas") or 0)
        status = self._with(
            status,
            "AbleToScale",
            "True",
            "SucceededGetScale",
            "the HPA controller was able to get the target's current scale",
        )
        status = status | {
            "currentReplicas": int(scale.get("status", {}).get("replicas") or 0),
            "desiredReplicas": current,
        }
        if current == 0:
            why = "scaling is disabled since the replica count of the target is zero"
            return self._with(status, "ScalingActive", "False", "ScalingDisabled", why)
        least, most = spec.get("minReplicas", 1), spec["maxReplicas"]
        limited, reason = None, ""
        if current > most:
            desired, reason = most, "Current number of replicas above Spec.MaxReplicas"
        elif current < least:
            desired, reason = least, "Current number of replicas below Spec.MinReplicas"
        else:
            wanted, reason, status = await self._wanted(autoscaler, scale, current, status)
            if wanted is None:
                return status
            history, now = self._history(autoscaler), self._context.now()
            history.forget(now)
            decision = decide(spec, current, wanted, history, now)
            desired, limited = decision.replicas, decision.limited
            reason = reason if desired > current else "All metrics below target"
        status = self._with(status, "ScalingLimited", str(limited is not None), *(limited or NONE_WANTED))
        if desired == current:
            return self._with(
                status, "AbleToScale", "True", "ReadyForNewScale", "recommended size matches current size"
            )
        return await self._rescale(autoscaler, resource, scale, desired, reason, status)

    async def _rescale(
        self, autoscaler: Object, resource: Resource, scale: Object, desired: int, reason: str, status: Object
    ) -> Object:
        current = int(scale["spec"].get("replicas") or 0)
        try:
            wanted = scale | {"spec": {"replicas": desired}}
            path = resource.path(scale["metadata"].get("namespace"), name_of(scale), "scale")
            await self._client.request("PUT", path, body=wanted)
        except ConflictError:
            raise
        except ApiError as error:
            raise ScaleError(
                "FailedUpdateScale", f"the HPA controller was unable to update the target scale: {error}"
            ) from error
        now = self._context.now()
        self._history(autoscaler).changes.append((now, desired - current))
        await self._recorder.normal(autoscaler, "SuccessfulRescale", f"New size: {desired}; reason: {reason}")
        why = f"the HPA controller was able to update the target scale to {desired}"
        status = status | {"desiredReplicas": desired, "lastScaleTime": timestamp(now)}
        return self._with(status, "AbleToScale", "True", "SucceededRescale", why)

    async def _scale_of(self, autoscaler: Object) -> tuple[Resource, Object]:
        target = autoscaler["spec"]["scaleTargetRef"]
        resource = self._catalog.find(
            group_of(target | {"apiVersion": target.get("apiVersion") or "v1"}), target["kind"]
        )
        what = f"{target['kind']}/{target['name']}"
        if resource is None:
            raise ScaleError(
                "FailedGetScale", f"no matches for kind {target['kind']!r} of {target.get('apiVersion')!r}"
            )
        namespace = autoscaler["metadata"]["namespace"]
        try:
            return resource, await self._client.get(resource, target["name"], namespace, subresource="scale")
        except ApiError as error:
            raise ScaleError("FailedGetScale", f"unable to get the scale of {what}: {error}") from error

    async def _wanted(
        self, autoscaler: Object, scale: Object, current: int, status: Object
    ) -> tuple[int | None, str, Object]:
        """The most that a metric wants, with the reason; None where nothing may be done. And the status."""
        specs: Sequence[Object] = autoscaler["spec"]["metrics"]
        selector = str(scale.get("status", {}).get("selector") or "")
        if not selector:
            raise ScaleError("InvalidSelector", "the HPA target's scale is missing a selector")
        best, why, shown, problem = None, "", [], None
        found = (await self._client.list(PODS, autoscaler["metadata"]["namespace"], label_selector=selector)).items
        for metric in specs:
            try:
                wanted, told, name = await self._of_metric(metric, found, selector, current, autoscaler)
            except NoMetricsError as error:
                problem = problem or error
                await self._recorder.warning(autoscaler, error.reason, str(error))
                continue
            shown.append(told)
            if best is None or wanted > best:
                best, why = wanted, f"{name} above target"
        status = status | {"currentMetrics": shown}
        # A metric that says nothing may want more than all others: nothing is taken away without it.
        if problem is not None and (best is None or best < current):
            message = f"the HPA was unable to compute the replica count: {problem}"
            return None, "", self._with(status, "ScalingActive", "False", problem.reason, message)
        valid = "the HPA was able to successfully calculate a replica count"
        return best, why, self._with(status, "ScalingActive", "True", "ValidMetricFound", valid)

    async def _of_metric(
        self, metric: Object, found: Sequence[Object], selector: str, current: int, autoscaler: Object
    ) -> tuple[int, Object, str]:
        """What one metric wants, what the status says of it, and what to call it."""
        namespace, now = autoscaler["metadata"]["namespace"], self._context.now()
        match metric["type"]:
            case "Resource":
                name, target = metric["resource"]["name"], metric["resource"]["target"]
                samples = await metrics.of_resource(self._client, namespace, selector, name)
                groups = replicas.group(found, samples, now, cpu=name == "cpu")
                return _of_resource(name, target, groups, found, current)
            case "Pods":
                name, target = metric["pods"]["metric"]["name"], metric["pods"]["target"]
                samples = await metrics.of_pods(self._client, namespace, selector, metric["pods"]["metric"])
                groups = replicas.group(found, samples, now, cpu=False)
                wanted, average = replicas.of_average(
                    groups, target=quantity.parse(target["averageValue"]), current=current
                )
                shown = {"metric": metric["pods"]["metric"], "current": {"averageValue": _text(average)}}
                return wanted, {"type": "Pods", "pods": shown}, f"pods metric {name}"
            case "External":
                return await self._of_external(metric["external"], found, current, namespace)
        raise NoMetricsError("InvalidMetricSourceType", f"metrics of type {metric['type']} are not known here")

    async def _of_external(
        self, metric: Object, found: Sequence[Object], current: int, namespace: str
    ) -> tuple[int, Object, str]:
        target, value = metric["target"], await metrics.external(self._client, namespace, metric["metric"])
        if target["type"] == "Value":
            ready = sum(pod_states.is_ready(pod) for pod in found)
            wanted = replicas.of_value(value, target=quantity.parse(target["value"]), ready=ready, current=current)
            now = {"value": _text(value)}
        else:
            wanted = replicas.of_total(value, target=quantity.parse(target["averageValue"]), current=current)
            now = {"averageValue": _text(value / current)}
        shown = {"metric": metric["metric"], "current": now}
        return wanted, {"type": "External", "external": shown}, f"external metric {metric['metric']['name']}"

    def _history(self, autoscaler: Object) -> History:
        return self._histories.setdefault(uid_of(autoscaler), History())

    def _changed(self, old: Object | None, new: Object | None) -> None:
        if new is None and old is not None:
            self._histories.pop(uid_of(old), None)
        elif old is None or (new and old["spec"] != new["spec"]):
            enqueue(self.queue, new)

    def _with(self, status: Object, kind: str, holds: str, reason: str, message: str) -> Object:
        condition = a_condition(kind, holds, reason, message)
        return status | {"conditions": with_condition(status["conditions"], condition, self._context.now())}


def _of_resource(
    name: str, target: Object, groups: replicas.Groups, found: Sequence[Object], current: int
) -> tuple[int, Object, str]:
    if target["type"] == "Utilization":
        asked = _requests(found, name)
        wanted, percent = replicas.of_utilization(groups, asked, target=target["averageUtilization"], current=current)
        usage = sum(groups.measured.values(), Fraction(0)) / len(groups.measured)
        now = {"averageUtilization": percent, "averageValue": _text(usage)}
        called = f"{name} resource utilization (percentage of request)"
    else:
        wanted, usage = replicas.of_average(groups, target=quantity.parse(target["averageValue"]), current=current)
        now, called = {"averageValue": _text(usage)}, f"{name} resource"
    return wanted, {"type": "Resource", "resource": {"name": name, "current": now}}, called


def _requests(found: Sequence[Object], resource: str) -> dict[str, Fraction]:
    """What each pod's containers request of a resource. NoMetricsError where one requests nothing."""
    asked = {}
    for pod in found:
        total = Fraction(0)
        for container in pod["spec"]["containers"]:
            amount = ((container.get("resources") or {}).get("requests") or {}).get(resource)
            if amount is None:
                where = f"container {container['name']} of Pod {name_of(pod)}"
                raise NoMetricsError("FailedGetResourceMetric", f"missing request for {resource} in {where}")
            total += quantity.parse(amount)
        asked[name_of(pod)] = total
    return asked


def _text(value: Fraction) -> str:
    """A quantity in thousandths, or whole."""
    return str(int(value)) if value.denominator == 1 else f"{int(value * 1000)}m"
