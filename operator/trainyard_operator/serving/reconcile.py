"""Makes the cluster match a ModelService: observe, parse, plan, apply, compute, report."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from trainyard_api import rollout as api
from trainyard_api.meta import parse_duration
from trainyard_api.modelservice import ModelService, ModelServiceStatus
from trainyard_api.queueing import ChildMetadata
from trainyard_api.times import Clock, utc_now
from trainyard_operator.cluster.errors import NotFound
from trainyard_operator.cluster.kinds import MODEL_SERVICE
from trainyard_operator.cluster.port import Cluster, Manifest
from trainyard_operator.runtime.reconciler import DONE, Key, Outcome
from trainyard_operator.runtime.service_metrics import Measures
from trainyard_operator.serving import commands
from trainyard_operator.serving.analyst import CanaryAnalyst
from trainyard_operator.serving.apply import ServiceChildren
from trainyard_operator.serving.canary import canary_steps, fingerprint
from trainyard_operator.serving.events import events, last_events
from trainyard_operator.serving.gateway import shares
from trainyard_operator.serving.history import MOST_ENTRIES, kept, park
from trainyard_operator.serving.measures import measures
from trainyard_operator.serving.model_status_reader import ModelStatusSource, Served
from trainyard_operator.serving.observe import observe
from trainyard_operator.serving.observed import ObservedService, replicas_of, route_of
from trainyard_operator.serving.optional_children import Serving, bring_optional_children, hand_over
from trainyard_operator.serving.pod import FetchImages
from trainyard_operator.serving.proving import Proving, Server, oldest
from trainyard_operator.serving.revision import Revision
from trainyard_operator.serving.revision_reader import RevisionSource
from trainyard_operator.serving.rollout import Plan, Rollout, Route, Step
from trainyard_operator.serving.room import Update
from trainyard_operator.serving.situation import Result, Situation, result, serving_revision, versions_held
from trainyard_operator.serving.source import Held
from trainyard_operator.serving.spec import parse, parse_status
from trainyard_operator.serving.status import compute
from trainyard_operator.serving.target import find_target, missing_store
from trainyard_operator.workloads import pods
from trainyard_operator.workloads.blockers import Blocker
from trainyard_operator.workloads.profiles import Profiles
from trainyard_operator.workloads.report import EVENT_LIFE, Change, DeliveredEvents, report

_SOON = 1.0
"""Seconds until pods that are ready but do not answer for their model are asked again."""
_RECHECK = 15.0
"""Seconds until something that is missing, and that nobody watches, is looked for again."""
_SAFETY = 60.0
"""Seconds until a rollout is looked at again, should its watch have missed something."""


@dataclass(frozen=True, slots=True)
class ModelServiceReconciler:
    """See `runtime.reconciler.Reconciler`.

    Attributes:
        model_status: What pods say before they get requests.
        served_status: What they say afterwards, for which they are asked ever so often.
        fetch_images: Images whose fetch commands bring models to their servers.
        analyst: Reads and judges the requests of canaries.
        drain: How long a revision goes on after it lost the traffic.
        observe: Told what is measured of a service, and None where it is gone.
        operator_namespace: Where the operator runs; None where it does not know.
        profiles: The profiles of the cluster.
    """

    cluster: Cluster
    model_status: ModelStatusSource
    served_status: ModelStatusSource
    revisions: RevisionSource
    fetch_images: FetchImages
    analyst: CanaryAnalyst
    drain: timedelta = timedelta(seconds=15)
    observe: Callable[[Key, Measures | None], None] = lambda *_: None
    operator_namespace: str | None = None
    clock: Clock = utc_now
    delivered: DeliveredEvents = field(default_factory=DeliveredEvents)
    profiles: Profiles = field(default_factory=Profiles)

    async def reconcile(self, key: Key) -> Outcome:
        """Observe, parse, plan, apply, compute, report."""
        try:
            manifest = await self.cluster.get(MODEL_SERVICE, key.namespace, key.name)
        except NotFound:
            self.delivered.complete.discard(key)
            self.analyst.forget(key)
            self.observe(key, None)
            return DONE
        now, before = self.clock(), parse_status(manifest)
        if "deletionTimestamp" in manifest["metadata"]:
            return DONE
        observed = await observe(self.cluster, manifest)
        running = replicas_of(observed, route_of(observed, before, now))
        if await hand_over(self.cluster, manifest, before, running=running):
            return Outcome(_SOON)
        situation, plan = await self._plan(manifest, before, observed, now)
        if must_be_certain(plan, situation.route, before):
            expected = {before.current.revision} if before.current else set()
            observed = await observe(self.cluster, manifest, live=True, expected=expected)
            situation, plan = await self._plan(manifest, before, observed, now)
        children = ServiceChildren(
            self.cluster, manifest, self.fetch_images, self.profiles, now, metadata=situation.metadata
        )
        refused = await children.carry_out(
            plan, situation.observed, target=situation.revision, replicas=situation.replicas
        )
        if situation.not_serving and plan.step is Step.STABLE and situation.revision:
            await children.restart(situation.observed.deployments[situation.revision.id])
        outcome = result(situation, plan, refused)
        serving = serving_of(situation, outcome, self.operator_namespace)
        incomplete = await bring_optional_children(self.cluster, manifest, serving)
        after = compute(before, situation, outcome, incomplete)
        await self._report(situation, before, after)
        self.observe(key, measures(before, after, situation))
        return _requeue(plan, situation, outcome, incomplete)

    async def _plan(
        self, manifest: Manifest, before: ModelServiceStatus, observed: ObservedService, now: datetime
    ) -> tuple[Situation, Plan]:
        situation = await self._look(manifest, before, observed, now)
        target, serving = situation.revision.id if situation.revision else None, serving_revision(situation.route)
        planner = Rollout(
            target=target,
            route=situation.route,
            live=situation.observed.live,
            answers=situation.may_take_over,
            drain=self.drain,
            now=situation.now,
            steps=situation.steps,
            rollout=situation.rollout,
            findings=situation.findings,
            command=situation.command,
            update=situation.update,
            lacking=situation.lacking,
            stuck=blocked.message if (blocked := situation.blocker()) else "",
            stable_ready=situation.ready(serving) if serving else 0,
            replicas=situation.replicas,
            answering=situation.answering,
            stable_answers=serving is not None and situation.ready(serving) > 0,
            guarded=situation.guarded,
            strangers=situation.observed.others_ready(target or "", serving or ""),
        )
        keep = kept(before.history, situation.history, observed.deployments)
        return situation, park(planner.plan(), keep, observed.deployments)

    async def _look(
        self, manifest: Manifest, before: ModelServiceStatus, observed: ObservedService, now: datetime
    ) -> Situation:
        """Find out what shall be served, and ask the pods that have not proved themselves yet."""
        service = parse(manifest)
        route = route_of(observed, before, now)
        held = versions_held(observed, before, route)
        target = await find_target(self.cluster, service, held)
        revision, namespace = target.revision, manifest["metadata"]["namespace"]
        ready = observed.ready(revision.id) if revision else []
        wishes = _wishes(service, running=replicas_of(observed, route))
        rollout = wishes.rollout
        not_serving = await self._ask(manifest, ready, revision, route) if revision else {}
        able = [pod for pod in ready if pod["metadata"]["name"] not in not_serving]
        unproven = None
        if not isinstance(service, Blocker) and revision and revision.id != serving_revision(route):
            unproven = await self._unproven(
                service, able, revision, observed.ready(serving_revision(route) or ""), held
            )
        return Situation(
            owner=manifest,
            replicas=wishes.replicas,
            history=wishes.history,
            observed=observed,
            route=route,
            target=target,
            not_serving=not_serving,
            missing_store=await missing_store(self.cluster, namespace, revision.model)
            if revision and wishes.replicas and not ready
            else None,
            now=now,
            steps=canary_steps(rollout.steps),
            rollout=fingerprint(rollout),
            findings=await self.analyst.findings(
                _key(manifest), rollout.analysis, observed, target=revision, route=route, now=now
            )
            if revision
            else None,
            analysis=rollout.analysis,
            update=Update.of(rollout, wishes.replicas),
            command=commands.text_of(manifest["metadata"].get("annotations") or {}),
            unproven=unproven,
            guarded=wishes.guarded,
            metadata=wishes.metadata,
        )

    async def _unproven(
        self, service: ModelService, new: list[Manifest], target: Revision, serving: list[Manifest], held: Held
    ) -> Blocker | None:
        """Return what a revision has to prove yet whose pods have their model; nothing of one that has no such pod."""
        pod, other = oldest(new), oldest(serving)
        if pod is None:
            return None
        key = Key(MODEL_SERVICE.name, service.metadata["namespace"], service.metadata["name"])
        proving = Proving(self.cluster, self.revisions, key)
        return await proving.unproven(
            service, Server(pod, target.model), Server(other, held.serving) if other and held.serving else None
        )

    async def _ask(
        self, manifest: Manifest, ready: list[Manifest], target: Revision, route: Route | None
    ) -> dict[str, str]:
        """Return the ready pods that do not answer for the model, with what they say instead.

        Of a revision that has the traffic those alone that say so themselves: a server too busy to tell its status is
        not a broken one. Whoever reaches its gRPC port can unload its model.
        """
        key, name, not_serving = _key(manifest), manifest["metadata"]["name"], {}
        serves = target.id == serving_revision(route)
        source = self.served_status if serves else self.model_status
        for pod in ready:
            answer = await source.latest(key, Served(pods.address(pod), name, target.model.version))
            lost = answer is not None and answer.lost
            unproven = answer is None or not answer.available
            if lost if serves else unproven:
                not_serving[pod["metadata"]["name"]] = answer.detail if answer else "it has not been asked yet"
        return not_serving

    async def _report(self, situation: Situation, before: ModelServiceStatus, after: ModelServiceStatus) -> None:
        again = last_events(before, _promoted(before, situation.route), since=situation.now - EVENT_LIFE)
        change = Change(before, after, events(before, after), again)
        await report(self.cluster, MODEL_SERVICE, situation.owner, change, delivered=self.delivered)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Wishes:
    """What a spec says. One that cannot be read leaves everything as it is."""

    replicas: int
    history: int = MOST_ENTRIES
    rollout: api.Rollout = field(default_factory=api.Rollout)
    guarded: bool = False
    metadata: ChildMetadata | None = None


def _wishes(service: ModelService | Blocker, *, running: int) -> _Wishes:
    if isinstance(service, Blocker):
        return _Wishes(replicas=running)
    spec = service.spec
    return _Wishes(
        replicas=spec.replicas,
        history=spec.history,
        rollout=spec.rollout,
        guarded=bool(spec.checks),
        metadata=spec.metadata,
    )


def _key(manifest: Manifest) -> Key:
    return Key(MODEL_SERVICE.name, manifest["metadata"]["namespace"], manifest["metadata"]["name"])


def serving_of(situation: Situation, outcome: Result, operator_namespace: str | None) -> Serving:
    """Return what the optional children depend on."""
    return Serving(
        revision=serving_revision(outcome.route) or "",
        replicas=situation.replicas,
        operator_namespace=operator_namespace,
        shares=shares(outcome.route, situation.steps, situation.answering_revisions),
        answering=frozenset(situation.answering_revisions),
    )


def must_be_certain(plan: Plan, route: Route | None, before: ModelServiceStatus) -> bool:
    """Return whether a plan takes something away: children, or the traffic from whoever has it.

    Then what is there has to be read from the API server: what no list has need not be gone.
    """
    return bool(plan.remove or plan.park) or (plan.route != route and (route is not None or before.current is not None))


def _promoted(status: ModelServiceStatus, route: Route | None) -> datetime | None:
    """Return when the revision got the traffic that has it in the status too."""
    current = status.current
    return route.promoted if route and current and route.revision == current.revision else None


def _requeue(plan: Plan, situation: Situation, result: Result, incomplete: Blocker | None) -> Outcome:
    """Return when to look again without being woken."""
    waits = [(plan.wake_at - situation.now).total_seconds()] if plan.wake_at else []
    if situation.not_serving or (result.waiting and result.waiting.transient):
        waits.append(_SOON)
    elif result.waiting or result.blocker:
        waits.append(_RECHECK)
    elif situation.revision and (
        situation.revision.id != serving_revision(result.route) or situation.answering < situation.replicas
    ):
        waits.append(_SAFETY)
    if situation.analysis and plan.route and plan.route.canary:
        waits.append(parse_duration(situation.analysis.interval))
    if incomplete:
        waits.append(_SAFETY)
    return Outcome(min(waits)) if waits else DONE
