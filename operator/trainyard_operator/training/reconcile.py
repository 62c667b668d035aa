"""Makes the cluster match a TrainingJob: observe, parse, plan, apply, compute, report."""

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime

from trainyard_api.times import Clock, from_rfc3339, to_rfc3339, utc_now
from trainyard_api.trainingjob import TrainingJob, TrainingJobStatus
from trainyard_operator.cluster.errors import ApiError, NotFound
from trainyard_operator.cluster.kinds import TRAINING_JOB
from trainyard_operator.cluster.port import Cluster, Manifest
from trainyard_operator.runtime.reconciler import DONE, Key, Outcome
from trainyard_operator.training import blockers, cleanup, rerun, scheduling, timeouts
from trainyard_operator.training.apply import TrainingChildren, end, remove_rest
from trainyard_operator.training.attempt_pods import LINGER, has_trained, is_training
from trainyard_operator.training.attempts import Ledger, Next, lingering, must_be_certain, plan, tally
from trainyard_operator.training.conditions import QUEUED, SUSPENDED_BY_OTHER
from trainyard_operator.training.events import events, last_events
from trainyard_operator.training.log_reader import last_lines
from trainyard_operator.training.metrics import TrainingMetrics
from trainyard_operator.training.observe import observe
from trainyard_operator.training.observed import ObservedTraining
from trainyard_operator.training.pod import TrainerImages
from trainyard_operator.training.progress import Heard
from trainyard_operator.training.progress_reader import ProgressSource, Trainer
from trainyard_operator.training.spec import is_anothers, parse, parse_run_policy, parse_status
from trainyard_operator.training.status import TrainingFacts, compute, rejected, seen, stalled_for
from trainyard_operator.training.store_use import Namespaces
from trainyard_operator.training.timeouts import Timer
from trainyard_operator.workloads.blockers import Blocker
from trainyard_operator.workloads.nodes import NodeOffers
from trainyard_operator.workloads.pods import address
from trainyard_operator.workloads.profiles import Profiles
from trainyard_operator.workloads.report import EVENT_LIFE, Change, DeliveredEvents, report

_RECHECK = 15.0
"""Seconds until something that is in the way is looked at again; sooner while it is new, later when it is old."""
_LONGEST_RECHECK = 300.0
"""Most seconds between two looks at what has been in the way for long."""
_SOON = 1.0
"""Seconds until something that goes away by itself is looked at again."""
_SAFETY = 60.0
"""Seconds until a job that is at work is looked at again, should its watch have missed something."""


@dataclass(frozen=True, slots=True)
class TrainingJobReconciler:
    """See `runtime.reconciler.Reconciler`.

    Attributes:
        network_policies: Whether trainings with several pods are shut to all other pods.
        cleaned: Trainings that are over, and what of them is gone.
        asked: Since when this process asks a trainer how far it is.
        nodes: What the nodes of the cluster offer.
        profiles: The profiles of the cluster.
        namespaces: Those that the operator serves.
    """

    cluster: Cluster
    progress: ProgressSource
    trainer_images: TrainerImages
    network_policies: bool = True
    clock: Clock = utc_now
    delivered: DeliveredEvents = field(default_factory=DeliveredEvents)
    cleaned: dict[Key, cleanup.Scope] = field(default_factory=dict)
    asked: dict[Key, datetime] = field(default_factory=dict)
    metrics: TrainingMetrics = field(default_factory=TrainingMetrics)
    nodes: NodeOffers = field(default_factory=NodeOffers)
    profiles: Profiles = field(default_factory=Profiles)
    namespaces: Namespaces = (None,)

    async def reconcile(self, key: Key) -> Outcome:
        """Observe, parse, plan, apply, compute, report."""
        try:
            manifest = await self.cluster.get(TRAINING_JOB, key.namespace, key.name)
        except NotFound:
            self.delivered.complete.discard(key)
            self.cleaned.pop(key, None)
            self.asked.pop(key, None)
            self.metrics.gone(key)
            return DONE
        now, before = self.clock(), parse_status(manifest)
        # What is being deleted takes its children along.
        if "deletionTimestamp" in manifest["metadata"] or is_anothers(manifest):
            return DONE
        # What has ended stays so, whatever becomes of its Jobs.
        policy, recorded = parse_run_policy(manifest), before
        changed = before.observed_generation != manifest["metadata"].get("generation", 0)
        scheduled = None if changed else scheduling.due(policy, before, now)
        begins = rerun.is_wanted(policy, before) or (scheduled is not None and scheduled.begins)
        before = scheduling.noted(before, policy, now, changed=changed)
        if before.completion_time and not begins:
            generation, wrong = manifest["metadata"].get("generation", 0), scheduling.problem(policy)
            await self._report(manifest, recorded, seen(before, generation, now=now, schedule=wrong), now)
            again = await self._clean_up(key, manifest, before, now)
            return _until(before.next_schedule_time, again, now)
        if begins:
            before = rerun.begin(before, policy.rerun, now=now)
            self.cleaned.pop(key, None)
        observed = await self._observe(manifest, before)
        job = parse(manifest, before)
        if isinstance(job, Blocker):
            after = rejected(manifest, before, job, running=observed.running, now=now)
            await self._report(manifest, recorded, after, now)
            return DONE
        facts = await self._step(job, manifest, observed, now)
        after = compute(job, facts)
        await self._report(manifest, recorded, after, now)
        again = self._outcome(facts, after, job)
        left = timeouts.seconds_left(timeouts.timers(job, after, facts.observed, facts.heard, now=now), now)
        again = again if left is None or after.completion_time else again.within(max(left, _SOON))
        return _until(after.next_schedule_time, again, now)

    async def _observe(
        self, manifest: Manifest, before: TrainingJobStatus, *, live: bool = False, expected: Collection[int] = ()
    ) -> ObservedTraining:
        """Look at the children of this run, and end what is left of former ones."""
        observed = await observe(self.cluster, manifest, live=live, expected=expected)
        await end(self.cluster, rerun.outdated(observed, before))
        return rerun.of_this_run(observed, before)

    async def _clean_up(self, key: Key, manifest: Manifest, before: TrainingJobStatus, now: datetime) -> Outcome:
        """Delete what is to be gone of a training that is over: its GPUs are for others."""
        policy, ended = parse_run_policy(manifest), from_rfc3339(before.completion_time or to_rfc3339(now))
        scope = cleanup.scope(policy, ended=ended, now=now)
        if self.cleaned.get(key) != scope:
            observed = await observe(self.cluster, manifest)
            await end(self.cluster, cleanup.jobs_to_end(scope, before.attempts, observed))
            if scope == "Children":
                await remove_rest(self.cluster, manifest, observed)
            self.cleaned[key] = scope
        left = cleanup.seconds_left(policy, ended=ended, now=now)
        return DONE if left is None or left <= 0 else Outcome(left)

    async def _step(
        self, job: TrainingJob, manifest: Manifest, observed: ObservedTraining, now: datetime
    ) -> TrainingFacts:
        """Plan and take the next step; return what is there then."""
        before, policy = job.status or TrainingJobStatus(), job.spec.run_policy
        recorded = before.attempts
        over = lingering(recorded, observed)
        await end(self.cluster, over)
        leaving = observed.leaving or bool(over)
        going = timeouts.running_attempt(before, observed)
        heard = await self._progress(job, None if going is None else observed.pods.get(going, {}).get(0), now)

        def decide(observed: ObservedTraining, *, leaving: bool) -> tuple[Ledger, Next, Timer | None]:
            over = timeouts.expired(timeouts.timers(job, before, observed, heard, now=now), now)
            checkpoint = before.last_checkpoint.step if before.last_checkpoint else None
            ledger = tally(recorded, observed, now=now, checkpoint=checkpoint, expired=over)
            first = before.first_attempt
            return ledger, plan(ledger, policy, leaving=leaving, now=now, expired=over, first=first), over

        ledger, planned, _ = decide(observed, leaving=leaving)
        if must_be_certain(ledger, planned):
            expected = {attempt.n for attempt in recorded if attempt.outcome == "Running"}
            observed = await self._observe(manifest, before, live=True, expected=expected)
            leaving = observed.leaving or bool(lingering(recorded, observed))
            _, planned, _ = decide(observed, leaving=leaving)
        children = TrainingChildren(
            self.cluster,
            job,
            manifest,
            self.trainer_images,
            network_policies=self.network_policies,
            now=now,
            nodes=self.nodes,
            profiles=self.profiles,
            namespaces=self.namespaces,
        )
        taken = await children.carry_out(planned, observed)
        observed = taken.observed
        ledger, step, expired = decide(observed, leaving=leaving)
        lacking = observed.lacking(step.n, job.spec.roles.lead) if step.step == "continue" else {}
        return TrainingFacts(
            observed=observed,
            ledger=ledger,
            next=step,
            blocker=taken.blocker,
            preflight=taken.preflight,
            heard=heard if step.step == "continue" else Heard(),
            now=now,
            expired=expired,
            log_tail=await self._last_lines(ledger, observed),
            refusals={role: await self._refusal(child, now) for role, child in lacking.items()},
        )

    async def _refusal(self, job: Manifest, now: datetime) -> str:
        """Return why pods of a Job are refused, by a quota, a LimitRange or a policy: its status says nothing of it."""
        if not blockers.may_be_refused(job, now=now):
            return ""
        metadata = job["metadata"]
        try:
            return blockers.refusal_in(await self.cluster.events_of(metadata["namespace"], metadata["uid"]))
        except ApiError:  # an operator with fewer rights goes on without
            return ""

    async def _last_lines(self, ledger: Ledger, observed: ObservedTraining) -> list[str]:
        """Return the last lines of the pod that decided how a failed attempt ended, while there is a log to read."""
        if ledger.news is None or (attempt := ledger.news.attempt).outcome != "Failed":
            return []
        return await last_lines(self.cluster, observed.pods.get(attempt.n, {}).get(attempt.index or 0))

    async def _progress(self, job: TrainingJob, pod: Manifest | None, now: datetime) -> Heard:
        metadata = job.metadata
        key = Key(TRAINING_JOB.name, metadata["namespace"], metadata["name"])
        if pod is None or not is_training(pod) or not address(pod):
            self.asked.pop(key, None)
            return Heard()
        since, prints = self.asked.setdefault(key, now), job.spec.program.container is not None
        trainer = Trainer(metadata["namespace"], pod["metadata"]["name"], address(pod), prints=prints)
        reading = await self.progress.latest(key, trainer)
        return Heard(reading.answer, reading.at, since) if reading else Heard(asked=since)

    async def _report(
        self, manifest: Manifest, before: TrainingJobStatus, after: TrainingJobStatus, now: datetime
    ) -> None:
        change = Change(before, after, events(before, after), last_events(before, since=now - EVENT_LIFE))
        await report(self.cluster, TRAINING_JOB, manifest, change, delivered=self.delivered)
        metadata = manifest["metadata"]
        created = from_rfc3339(metadata.get("creationTimestamp") or to_rfc3339(now))
        key = Key(TRAINING_JOB.name, metadata["namespace"], metadata["name"])
        self.metrics.observe(key, before, after, created=created, now=now)

    def _outcome(self, facts: TrainingFacts, after: TrainingJobStatus, job: TrainingJob) -> Outcome:
        """Return when to look again without being woken."""
        policy = job.spec.run_policy
        match facts.next.step:
            case "succeed" | "fail":
                goes = lingering(facts.ledger.attempts, facts.observed) or cleanup.is_wanted(policy)
                return Outcome(_SOON) if goes else DONE
            case _ if facts.blocker is not None and facts.blocker.reason in (SUSPENDED_BY_OTHER, QUEUED):
                return Outcome(_SAFETY)
            case _ if facts.blocker is not None and facts.blocker.transient and facts.next.step == "start":
                return Outcome(_RECHECK)
            case _ if facts.blocker is not None:
                return Outcome(pause(stalled_for(after, facts.now)))
            case _ if policy.suspend:
                # Somebody may have resumed its Job, which is not to be undone at once.
                child = facts.observed.jobs.get(facts.next.n)
                return DONE if child is None or child["spec"].get("suspend") else Outcome(_SAFETY)
            case "start" | "wait" if lingering(after.attempts, facts.observed):
                return Outcome(_SOON)  # its end is recorded, so its Job may go
            case "start" | "wait":
                wait = (facts.next.at - facts.now).total_seconds() if facts.next.at else 0.0
                return Outcome(max(wait, _SOON if facts.observed.leaving else 0.1))
            case "continue":
                pods = facts.observed.pods.get(facts.next.n, {})
                if any(map(has_trained, pods.values())):
                    return Outcome(LINGER.total_seconds())
                if facts.observed.lacking(facts.next.n, job.spec.roles.lead):
                    return Outcome(max(pause(stalled_for(after, facts.now)), blockers.REFUSAL_PATIENCE.total_seconds()))
                return Outcome(_SAFETY)


def _until(time: str | None, outcome: Outcome, now: datetime) -> Outcome:
    """Return the outcome, but look again at this time at the latest."""
    return outcome.within(max(_SOON, (from_rfc3339(time) - now).total_seconds())) if time else outcome


def pause(waited: float) -> float:
    """Return the seconds until something in the way is looked at again that has been there for so long.

    As long as it has been there, 15 s at most; of what has been there for minutes a tenth of the time, 5 min at most.
    """
    return max(min(_RECHECK, max(_SOON, waited)), min(_LONGEST_RECHECK, waited / 10))
