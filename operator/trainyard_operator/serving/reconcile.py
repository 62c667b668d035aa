"""Makes the cluster match a ModelService: observe, plan, apply, report."""

import asyncio
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from trainyard_api.modelservice import ModelService, ModelServiceStatus
from trainyard_operator.cluster.errors import NotFound
from trainyard_operator.cluster.kinds import MODEL_SERVICE
from trainyard_operator.cluster.port import Cluster, Manifest
from trainyard_operator.cluster.report import EVENT_LIFE, Change, DeliveredEvents, report
from trainyard_operator.runtime.clock import Clock, utc_now
from trainyard_operator.runtime.reconciler import DONE, Key, Outcome
from trainyard_operator.serving import blockers, observe, pods
from trainyard_operator.serving.apply import Children
from trainyard_operator.serving.blockers import Problem
from trainyard_operator.serving.events import events, last_events
from trainyard_operator.serving.model_status import Answer, ModelStatus
from trainyard_operator.serving.pod import FetchImages
from trainyard_operator.serving.revision import Revision
from trainyard_operator.serving.rollout import Plan, Rollout
from trainyard_operator.serving.spec import parse, parse_status
from trainyard_operator.serving.status import Facts, compute
from trainyard_operator.serving.target import NotYet, missing_store, target_revision

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
        telling: What this process has told so far.
    """

    cluster: Cluster
    model_status: ModelStatus
    fetch_images: FetchImages
    drain: timedelta = timedelta(seconds=15)
    clock: Clock = utc_now
    telling: DeliveredEvents = field(default_factory=DeliveredEvents)

    async def reconcile(self, key: Key) -> Outcome:
        """Observe, plan, apply, report."""
        try:
            manifest = await self.cluster.get(MODEL_SERVICE, key.namespace, key.name)
        except NotFound:
            self.telling.complete.discard(key)
            return DONE
        if "deletionTimestamp" in manifest["metadata"]:
            return DONE
        before, service = parse_status(manifest), parse(manifest)
        found = await self._look(manifest, service, before)
        plan = Rollout(
            target=found.target.id if found.target else None,
            route=found.route,
            live=found.observed.live,
            answers=found.may_take_over,
            drain=self.drain,
            now=found.now,
        ).plan()
        children = Children(self.cluster, manifest, self.fetch_images)
        refused = await children.carry_out(plan, found.observed, target=found.target, replicas=found.replicas)
        facts = found.refused(refused) if refused else replace(found, route=plan.route)
        await self._report(before, found, facts)
        return _outcome(plan, facts)

    async def _look(self, manifest: Manifest, service: ModelService | Problem, before: ModelServiceStatus) -> Facts:
        """Observe the children, find out what is wanted, and ask the pods that have not proved themselves yet."""
        observed, now = await observe.observe(self.cluster, manifest), self.clock()
        route = observe.route(observed, before, now)
        if isinstance(service, Problem):
            replicas = observe.replicas(observed, route)
            return Facts(owner=manifest, replicas=replicas, observed=observed, route=route, now=now, problem=service)
        facts = Facts(owner=manifest, replicas=service.spec.replicas, observed=observed, route=route, now=now)
        try:
            target = await target_revision(self.cluster, service, before)
        except NotYet as error:
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
            absent = await missing_store(self.cluster, facts.owner["metadata"]["namespace"], target.model)
            if absent is not None:
                return absent
        return blockers.of_revision(
            facts.observed.deployments.get(target.id),
            facts.observed.pods.get(target.id, []),
            target.server,
            mute=facts.mute,
            now=facts.now,
        )

    async def _report(self, before: ModelServiceStatus, found: Facts, facts: Facts) -> None:
        after = compute(before, facts)
        again = last_events(before, _promoted(before, found), since=facts.now - EVENT_LIFE)
        change = Change(before, after, events(before, after), again)
        await report(self.cluster, MODEL_SERVICE, facts.owner, change, telling=self.telling)


def _promoted(status: ModelServiceStatus, found: Facts) -> datetime | None:
    """Return when the revision got the traffic that has it in the status too."""
    current, route = status.current, found.route
    return route.promoted if route and current and route.revision == current.revision else None


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
