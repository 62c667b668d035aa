"""ReplicaSets (apps/v1): as many pods of a template as asked for."""

import asyncio
from collections.abc import Sequence
from datetime import datetime

from trainyard_devcluster import pods
from trainyard_devcluster.client import ApiError, NotFoundError
from trainyard_devcluster.controllers.adoption import adopt
from trainyard_devcluster.controllers.conditions import a_condition, with_condition, without_condition
from trainyard_devcluster.controllers.context import Context, enqueue, enqueue_owner
from trainyard_devcluster.controllers.pod_template import parting_rank, pod_from
from trainyard_devcluster.informer import Key
from trainyard_devcluster.resources import PODS, REPLICA_SETS, Object, name_of, namespace_of, uid_of
from trainyard_devcluster.selectors import matches
from trainyard_devcluster.workqueue import WorkQueue

PODS_AT_ONCE = 100


def surplus(replica_set: Object, active: Sequence[Object]) -> int:
    """How many pods are too many; negative where some are missing."""
    wanted = replica_set["spec"].get("replicas")
    return len(active) - (1 if wanted is None else wanted)


def status_of(replica_set: Object, active: Sequence[Object], refusal: str | None, now: datetime) -> Object:
    """The ReplicaSet's status. `refusal`: what the API server said when a pod could not be made or deleted."""
    min_ready = replica_set["spec"].get("minReadySeconds") or 0
    labels = replica_set["spec"]["template"]["metadata"].get("labels") or {}
    conditions = list(replica_set.get("status", {}).get("conditions") or ())
    if refusal is None:
        conditions = without_condition(conditions, "ReplicaFailure")
    else:
        reason = "FailedCreate" if surplus(replica_set, active) < 0 else "FailedDelete"
        conditions = with_condition(conditions, a_condition("ReplicaFailure", "True", reason, refusal), now)
    available = [at for at in (pods.available_at(pod, min_ready) for pod in active) if at is not None and at <= now]
    status = {
        "fullyLabeledReplicas": sum(matches({"matchLabels": labels}, pod["metadata"].get("labels")) for pod in active),
        "readyReplicas": sum(map(pods.is_ready, active)),
        "availableReplicas": len(available),
        "conditions": conditions,
        "observedGeneration": replica_set["metadata"].get("generation"),
    }
    return {"replicas": len(active)} | {key: value for key, value in status.items() if value}


def next_change(replica_set: Object, active: Sequence[Object], now: datetime) -> float | None:
    """Seconds until the next ready pod has been ready for long enough to count as available."""
    min_ready = replica_set["spec"].get("minReadySeconds") or 0
    moments = [pods.available_at(pod, min_ready) for pod in active]
    waits = [(moment - now).total_seconds() for moment in moments if moment is not None and moment > now]
    return min(waits) if waits else None


class ReplicaSetController:
    """Keeps the number of pods."""

    name = "replicaset-controller"

    def __init__(self, context: Context) -> None:
        self._context = context
        self._client = context.client
        self._recorder = context.recorder(self.name)
        self.queue: WorkQueue[Key] = WorkQueue()
        self._sets = context.informer(REPLICA_SETS)
        self._pods = context.informer(PODS)
        self._sets.on_change(lambda old, new: enqueue(self.queue, new or old))
        self._pods.on_change(lambda old, new: enqueue_owner(self.queue, "ReplicaSet", new or old))

    async def sync(self, key: Key) -> None:
        """Bring one ReplicaSet forward."""
        replica_set = self._sets.get(*key)
        if replica_set is None:
            return
        refusal: ApiError | None = None
        if not pods.is_terminating(replica_set):
            await adopt(self._client, replica_set, self._pods)
            refusal = await self._scale(replica_set)
        now = self._context.now()
        active = self._active(replica_set)
        status = status_of(replica_set, active, str(refusal) if refusal else None, now)
        if status != replica_set.get("status"):
            self._sets.observe(await self._client.update_status(REPLICA_SETS, replica_set | {"status": status}))
        wait = next_change(replica_set, active, now)
        if wait is not None:
            self.queue.add_after(key, wait)
        if refusal is not None:
            raise refusal

    def _active(self, replica_set: Object) -> list[Object]:
        return [pod for pod in self._pods.by_index("controller", uid_of(replica_set)) if pods.is_active(pod)]

    async def _scale(self, replica_set: Object) -> ApiError | None:
        active = self._active(replica_set)
        extra = surplus(replica_set, active)
        if extra > 0:
            calls = [self._delete(replica_set, pod) for pod in sorted(active, key=parting_rank)[:extra]]
        else:
            calls = [self._create(replica_set) for _ in range(min(-extra, PODS_AT_ONCE))]
        results = await asyncio.gather(*calls, return_exceptions=True)
        for result in results:
            if isinstance(result, BaseException) and not isinstance(result, ApiError):
                raise result
        return next((result for result in results if isinstance(result, ApiError)), None)

    async def _create(self, replica_set: Object) -> None:
        pod = pod_from(replica_set["spec"]["template"], replica_set, f"{name_of(replica_set)[:57]}-")
        try:
            made = await self._client.create(PODS, pod)
        except ApiError as error:
            if not error.namespace_is_ending:
                await self._recorder.warning(replica_set, "FailedCreate", f"Error creating: {error}")
            raise
        self._pods.observe(made)
        await self._recorder.normal(replica_set, "SuccessfulCreate", f"Created pod: {name_of(made)}")

    async def _delete(self, replica_set: Object, pod: Object) -> None:
        try:
            left = await self._client.delete(PODS, name_of(pod), namespace_of(pod), uid=uid_of(pod))
        except NotFoundError:
            return
        if left.get("kind") == "Pod":
            self._pods.observe(left)
        await self._recorder.normal(replica_set, "SuccessfulDelete", f"Deleted pod: {name_of(pod)}")
