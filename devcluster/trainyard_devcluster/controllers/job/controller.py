"""The Job controller's shell: observe, decide, act, look again, report."""

import asyncio
from collections.abc import Awaitable, Iterable

from trainyard_devcluster import pods
from trainyard_devcluster.client import ApiError, NotFoundError
from trainyard_devcluster.controllers.context import Context, enqueue, enqueue_owner
from trainyard_devcluster.controllers.job import census, manage, outcome
from trainyard_devcluster.controllers.job.pod import build
from trainyard_devcluster.controllers.job.report import report
from trainyard_devcluster.controllers.job.spec import (
    CONTROLLER,
    JOB_NAME_LABELS,
    TRACKING_FINALIZER,
    JobSpec,
    finished_at,
    is_tracked,
    parse,
)
from trainyard_devcluster.informer import Key
from trainyard_devcluster.resources import JOBS, PODS, Object, controller_of, name_of, namespace_of, uid_of
from trainyard_devcluster.workqueue import WorkQueue


class JobController:
    """Runs the pods that Jobs ask for and counts them."""

    name = "job-controller"

    def __init__(self, context: Context) -> None:
        self._context = context
        self._client = context.client
        self._recorder = context.recorder(self.name)
        self.queue: WorkQueue[Key] = WorkQueue()
        self._jobs = context.informer(JOBS)
        self._pods = context.informer(PODS)
        self._jobs.on_change(lambda old, new: enqueue(self.queue, new or old))
        self._pods.on_change(lambda old, new: enqueue_owner(self.queue, "Job", new or old))
        self._pods.on_change(self._look_at_orphan)

    def _look_at_orphan(self, old: Object | None, new: Object | None) -> None:
        if new is not None and is_tracked(new) and controller_of(new) is None and (job := _job_label(new)):
            self.queue.add((namespace_of(new), job))

    async def sync(self, key: Key) -> None:
        """Bring one Job forward."""
        job = self._jobs.get(*key)
        await self._release_orphans(key, job)
        if job is None or job["spec"].get("managedBy", CONTROLLER) != CONTROLLER:
            return
        if (end := finished_at(job)) is not None:
            await self._release(pod for pod in self._pods_of(job) if is_tracked(pod))
            await self._expire(job, (self._context.now() - end).total_seconds())
            return
        spec = parse(job)
        refusals = await self._act(job, spec)
        await self._report(job, spec)
        if refusals:
            raise refusals[0]

    async def _act(self, job: Object, spec: JobSpec) -> list[ApiError]:
        now = self._context.now()
        own = self._pods_of(job)
        counts = census.take(job, spec, own)
        wanted = manage.actions(job, spec, counts, own, now)
        if wanted.wait is not None:
            self.queue.add_after((namespace_of(job), name_of(job)), wanted.wait)
        return await _all(
            [
                *(self._start(job, build(job, spec, n, counts.last_failures.get(n or 0))) for n in wanted.start),
                *(self._remove(job, pod) for pod in wanted.remove),
                *(self._stop(job, pod) for pod in wanted.stop),
            ]
        )

    async def _report(self, job: Object, spec: JobSpec) -> None:
        now = self._context.now()
        told = report(job, spec, self._pods_of(job), now)
        if told.status != job.get("status", {}):
            # The resourceVersion goes along: counting on from an old status would count twice.
            job = await self._client.update_status(JOBS, job | {"status": told.status})
            self._jobs.observe(job)
        for kind, reason, message in told.events:
            await self._recorder.record(kind, job, reason, message)
        await self._release(told.releases)
        end = outcome.deadline(job, spec)
        if end is not None and finished_at(job) is None:
            self.queue.add_after((namespace_of(job), name_of(job)), max(0.01, (end - now).total_seconds()))

    def _pods_of(self, job: Object) -> list[Object]:
        return self._pods.by_index("controller", uid_of(job))

    async def _start(self, job: Object, pod: Object) -> None:
        try:
            made = await self._client.create(PODS, pod)
        except ApiError as error:
            if not error.namespace_is_ending:
                await self._recorder.warning(job, "FailedCreate", f"Error creating: {error}")
            raise
        self._pods.observe(made)
        await self._recorder.normal(job, "SuccessfulCreate", f"Created pod: {name_of(made)}")

    async def _remove(self, job: Object, pod: Object) -> None:
        await self._release([pod])
        await self._stop(job, pod)

    async def _stop(self, job: Object, pod: Object) -> None:
        try:
            left = await self._client.delete(PODS, name_of(pod), namespace_of(pod), uid=uid_of(pod))
        except NotFoundError:
            return
        if left.get("kind") == "Pod":
            self._pods.observe(left)
        await self._recorder.normal(job, "SuccessfulDelete", f"Deleted pod: {name_of(pod)}")

    async def _release(self, finished: Iterable[Object]) -> None:
        refusals = await _all([self._release_one(pod) for pod in finished])
        if refusals:
            raise refusals[0]

    async def _release_one(self, pod: Object) -> None:
        kept = [entry for entry in pod["metadata"].get("finalizers") or () if entry != TRACKING_FINALIZER]
        # The whole list is replaced, so only where it is still the list that was read.
        change = {"metadata": {"uid": uid_of(pod), "resourceVersion": pod["metadata"]["resourceVersion"]}}
        change["metadata"]["finalizers"] = kept or None
        try:
            self._pods.observe(await self._client.patch(PODS, name_of(pod), change, namespace_of(pod)))
        except NotFoundError:
            return

    async def _release_orphans(self, key: Key, job: Object | None) -> None:
        """Let go of pods whose Job is gone: nobody is left to count them."""
        await self._release(
            pod
            for pod in self._pods.by_index("namespace", key[0])
            if is_tracked(pod) and _job_uid(pod, key[1]) not in (None, job and uid_of(job))
        )

    async def _expire(self, job: Object, age: float) -> None:
        lifetime = job["spec"].get("ttlSecondsAfterFinished")
        if lifetime is None or pods.is_terminating(job):
            return
        if age < lifetime:
            self.queue.add_after((namespace_of(job), name_of(job)), lifetime - age)
            return
        try:
            await self._client.delete(JOBS, name_of(job), namespace_of(job), uid=uid_of(job), propagation="Foreground")
        except NotFoundError:
            return


def _job_uid(pod: Object, job_name: str) -> str | None:
    """The UID of the Job of that name that the pod belongs to; no Job's where the pod was left without an owner."""
    owner = controller_of(pod)
    if owner is None:
        return "" if _job_label(pod) == job_name else None
    return owner["uid"] if owner["kind"] == "Job" and owner["name"] == job_name else None


def _job_label(pod: Object) -> str:
    return str((pod["metadata"].get("labels") or {}).get(JOB_NAME_LABELS[0], ""))


async def _all(calls: Iterable[Awaitable[None]]) -> list[ApiError]:
    """Make all calls, and return what was refused."""
    results = await asyncio.gather(*calls, return_exceptions=True)
    refusals = []
    for result in results:
        if isinstance(result, ApiError):
            refusals.append(result)
        elif isinstance(result, BaseException):
            raise result
    return refusals
