"""PodDisruptionBudgets (policy/v1): how many of their pods may be evicted now."""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from trainyard_devcluster import pods
from trainyard_devcluster.controllers.conditions import a_condition, with_condition
from trainyard_devcluster.controllers.context import Context, enqueue
from trainyard_devcluster.controllers.deployment.spec import resolve
from trainyard_devcluster.events import parse_timestamp
from trainyard_devcluster.informer import Informer, Key
from trainyard_devcluster.resources import (
    POD_DISRUPTION_BUDGETS,
    PODS,
    REPLICA_SETS,
    Object,
    controller_of,
    name_of,
    namespace_of,
)
from trainyard_devcluster.selectors import matches
from trainyard_devcluster.workqueue import WorkQueue

EVICTION = timedelta(minutes=2)
"""How long a pod that was evicted may take to be deleted; after that the eviction is taken to have failed."""


def status_of(budget: Object, own: Sequence[Object], expected: int, now: datetime) -> Object:
    """The budget's status, from its pods and from how many of them there should be."""
    spec = budget["spec"]
    leaving = disrupted(budget, own, now)
    healthy = sum(pods.is_ready(pod) and not pods.is_terminating(pod) and name_of(pod) not in leaving for pod in own)
    if spec.get("maxUnavailable") is not None:
        desired = max(0, expected - resolve(spec["maxUnavailable"], expected, up=True))
    else:
        desired = resolve(spec.get("minAvailable", 1), expected, up=True)
    allowed = max(0, healthy - desired) if expected else 0
    reason = "SufficientPods" if allowed else "InsufficientPods"
    condition = a_condition("DisruptionAllowed", str(allowed > 0), reason, "")
    condition["observedGeneration"] = budget["metadata"].get("generation", 0)
    return {
        "currentHealthy": healthy,
        "desiredHealthy": desired,
        "expectedPods": expected,
        "disruptionsAllowed": allowed,
        "observedGeneration": budget["metadata"].get("generation", 0),
        "disruptedPods": leaving,
        "conditions": with_condition(budget.get("status", {}).get("conditions") or (), condition, now),
    }


def disrupted(budget: Object, own: Sequence[Object], now: datetime) -> dict[str, str]:
    """The pods that the API server has evicted, of which it is not to be seen yet that they are going."""
    there = {name_of(pod) for pod in own if not pods.is_terminating(pod)}
    noted = (budget.get("status") or {}).get("disruptedPods") or {}
    return {name: at for name, at in noted.items() if name in there and parse_timestamp(at) + EVICTION > now}


def expected_pods(budget: Object, own: Sequence[Object], scale: Callable[[Object], int | None]) -> int:
    """How many pods there should be: what their controllers ask for. `scale` looks that up by owner reference."""
    if isinstance(budget["spec"].get("minAvailable"), int):
        return len(own)
    owners = {owner["uid"]: owner for pod in own if (owner := controller_of(pod)) is not None}
    free = sum(controller_of(pod) is None for pod in own)
    counts = {uid: sum((controller_of(pod) or {}).get("uid") == uid for pod in own) for uid in owners}
    return free + sum(counts[uid] if (size := scale(owners[uid])) is None else size for uid in owners)


class DisruptionBudgetController:
    """Writes the budgets' status."""

    name = "disruption-controller"

    def __init__(self, context: Context) -> None:
        self._context = context
        self._client = context.client
        self.queue: WorkQueue[Key] = WorkQueue()
        self._budgets = context.informer(POD_DISRUPTION_BUDGETS)
        self._pods = context.informer(PODS)
        self._sets: Informer = context.informer(REPLICA_SETS)
        self._budgets.on_change(lambda old, new: enqueue(self.queue, new))
        self._pods.on_change(self._pod_changed)

    async def sync(self, key: Key) -> None:
        """Count one budget's pods."""
        budget = self._budgets.get(*key)
        if budget is None:
            return
        own = [
            pod
            for pod in self._pods.by_index("namespace", key[0])
            if not pods.is_terminal(pod) and matches(budget["spec"].get("selector"), pod["metadata"].get("labels"))
        ]
        expected = expected_pods(budget, own, lambda owner: self._scale(key[0], owner))
        before = budget.get("status", {})
        status = before | status_of(budget, own, expected, self._context.now())
        if status != before:
            written = await self._client.update_status(POD_DISRUPTION_BUDGETS, budget | {"status": status})
            self._budgets.observe(written)

    def _scale(self, namespace: str, owner: Object) -> int | None:
        found = self._sets.get(namespace, owner["name"]) if owner["kind"] == "ReplicaSet" else None
        return None if found is None else int(found["spec"].get("replicas") or 0)

    def _pod_changed(self, old: Object | None, new: Object | None) -> None:
        for budget in self._budgets.by_index("namespace", namespace_of(new or old or {})):
            selector = budget["spec"].get("selector")
            if any(pod and matches(selector, pod["metadata"].get("labels")) for pod in (old, new)):
                enqueue(self.queue, budget)
