"""Makes the cluster match a ModelService: observe, plan, apply, report."""

import asyncio
from dataclasses import dataclass, replace
from datetime import timedelta

from trainyard_operator.api.modelservice import ModelService, ModelServiceStatus
from trainyard_operator.cluster.errors import NotFound
from trainyard_operator.cluster.kinds import MODEL_SERVICE
from trainyard_operator.cluster.port import Cluster, Manifest
from trainyard_operator.cluster.report import Change, Reported, report
from trainyard_operator.runtime.clock import Clock, utc_now
from trainyard_operator.runtime.outcome import DONE, Key, Outcome
from trainyard_operator.serving import observe, pods, problems, wanted
from trainyard_operator.serving.apply import Children
from trainyard_operator.serving.model_status import Answer, ModelStatus
from trainyard_operator.serving.pod import FetchImages
from trainyard_operator.serving.problems import Problem
from trainyard_operator.serving.revision import Revision
from trainyard_operator.serving.rollout import Plan, Rollout
from trainyard_operator.serving.spec import parse, parse_status
from trainyard_operator.serving.status import Facts, compute, rejected
from trainyard_operator.serving.transitions import events

_SOON = 1.0
"""Seconds until pods that are ready but do not answer for their model are asked again."""
_RECHECK = 15.0
"""Seconds until something that is missing, and that nobody watches, is looked for again."""
_SAFETY = 60.0
"""Seconds until a rollout is looked at again, should its watch have missed something."""
_ASKED_AT_ONCE = 32


@dataclass(frozen=True, slots=True)
class ModelServiceReconciler:
    """See `runtime.outcome.Reconciler`.

    Attributes:
        fetch_images: Images whose fetch commands bring models to their servers.
        drain: How long a revision goes on after it lost the traffic.
        reported: Told of the kind and the event, whenever one was emitted.
    """

    cluster: Cluster
    model_status: ModelStatus
    fetch_images: FetchImages
    drain: timedelta = timedelta(seconds=15)
    clock: Clock = utc_now
    reported: Reported = lambda *_: None

    async def reconcile(self, key: Key) -> Outcome:
        """Observe, plan, apply, report."""
        try:
            manifest = await self.cluster.get(MODEL_SERVICE, key.namespace, key.name)
        except NotFound:
            return DONE
        if "deletionTimestamp" in manifest["metadata"]:
            return DONE
        before, service = parse_status(manifest), parse(manifest)
        if isinstance(service, Problem):
            await self._report(manifest, before, rejected(manifest, before, service, self.clock()))
            return DONE
        facts = await self._look(manifest, service, before)
        plan = Rollout(
            target=facts.target.id if facts.target else None,
            route=facts.route,
            live=facts.observed.live,
            answers=facts.may_take_over,
            drain=self.drain,
            now=facts.now,
        ).plan()
        children = Children(self.cluster, manifest, self.fetch_images)
        refused = await children.carry_out(plan, facts.observed, target=facts.target, replicas=facts.replicas)
        facts = facts.refused(refused) if refused else replace(facts, route=plan.route)
        await self._report(manifest, before, compute(before, facts))
        return _outcome(plan, facts)

    async def _look(self, manifest: Manifest, service: ModelService, before: ModelServiceStatus) -> Facts:
        """Observe the children, find out what is wanted, and ask the pods that have not proved themselves yet."""
        observed, now = await observe.observe(self.cluster, manifest), self.clock()
        facts = Facts(
            owner=manifest,
            replicas=service.spec.replicas,
            observed=observed,
            route=observe.route(observed, before, now),
            now=now,
        )
        try:
            target = await wanted.wanted_revision(self.cluster, service, before)
        except wanted.NotYet as error:
            waiting, problem = (error.problem, None) if error.patient else (None, error.problem)
            return replace(facts, waiting=waiting, problem=problem)
        facts = replace(facts, target=target, mute=await self._ask(manifest, facts, target))
        return replace(facts, problem=await self._diagnose(facts, target))

    async def _ask(self, manifest: Manifest, facts: Facts, target: Revision) -> dict[str, str]:
        """Return the ready pods that do not answer for the model, with what they say instead.

        Only before a revision takes the traffic. Afterwards readiness tells: TensorFlow Serving listens only while it
        has its one version, and a server too busy to tell its status is not a broken one.
        """
        if target.id == facts.serving:
            return {}
        name, members = manifest["metadata"]["name"], facts.observed.ready(target.id)
        turns = asyncio.Semaphore(_ASKED_AT_ONCE)

        async def ask(pod: Manifest) -> Answer:
            async with turns:
                return await self.model_status.ask(pods.address(pod), name, target.model.version)

        answers = await asyncio.gather(*map(ask, members))
        return {
            pod["metadata"]["name"]: answer.detail
            for pod, answer in zip(members, answers, strict=True)
            if not answer.available
        }

    async def _diagnose(self, facts: Facts, target: Revision) -> Problem | None:
        """Return what keeps the wanted revision from answering on all its replicas."""
        if facts.answering >= facts.replicas:
            return None
        if not facts.observed.ready(target.id):
            absent = await wanted.missing_store(self.cluster, facts.owner["metadata"]["namespace"], target.model)
            if absent is not None:
                return absent
        return problems.of_revision(
            facts.observed.deployments.get(target.id),
            facts.observed.pods.get(target.id, []),
            target.server,
            mute=facts.mute,
            now=facts.now,
        )

    async def _report(self, manifest: Manifest, before: ModelServiceStatus, after: ModelServiceStatus) -> None:
        change = Change(before, after, events(before, after))
        await report(self.cluster, MODEL_SERVICE, manifest, change, reported=self.reported)


def _outcome(plan: Plan, facts: Facts) -> Outcome:
    """Return when to look again without being woken."""
    waits = [(plan.wake_at - facts.now).total_seconds()] if plan.wake_at else []
    if facts.mute or (facts.waiting and facts.waiting.passing):
        waits.append(_SOON)
    elif facts.waiting or facts.problem:
        waits.append(_RECHECK)
    elif facts.target and facts.target.id != facts.serving:
        waits.append(_SAFETY)
    return Outcome(min(waits)) if waits else DONE
