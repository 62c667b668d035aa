"""Makes the cluster match a TrainingJob: observe, parse, build, apply, report."""

from dataclasses import dataclass, field

from trainyard_api.trainingjob import TrainingJob, TrainingJobStatus
from trainyard_operator.cluster.errors import NotFound
from trainyard_operator.cluster.kinds import TRAINING_JOB
from trainyard_operator.cluster.port import Cluster, Manifest
from trainyard_operator.cluster.report import EVENT_LIFE, Change, DeliveredEvents, report
from trainyard_operator.runtime.clock import Clock, utc_now
from trainyard_operator.runtime.reconciler import DONE, Key, Outcome
from trainyard_operator.training import log_progress
from trainyard_operator.training.apply import Children
from trainyard_operator.training.attempt_pods import is_training
from trainyard_operator.training.attempts import Ledger, Next, plan, tally
from trainyard_operator.training.blockers import Problem
from trainyard_operator.training.events import events, last_events
from trainyard_operator.training.observe import Observed, observe
from trainyard_operator.training.progress import ProgressReader, Snapshot
from trainyard_operator.training.spec import parse, parse_status
from trainyard_operator.training.status import Facts, compute, rejected, seen, stalled_for

_RECHECK = 15.0
"""Most seconds until something that is in the way is looked at again; sooner while it is new."""
_SOON = 1.0
"""Seconds until something that goes away by itself is looked at again."""
_SAFETY = 60.0
"""Seconds until a job that is starting is looked at again, should its watch have missed something."""


@dataclass(frozen=True, slots=True)
class TrainingJobReconciler:
    """See `runtime.outcome.Reconciler`.

    Attributes:
        progress_interval: Seconds between two looks at a running trainer.
        telling: What this process has told so far.
    """

    cluster: Cluster
    progress: ProgressReader
    trainer_image: str
    progress_interval: float
    clock: Clock = utc_now
    telling: DeliveredEvents = field(default_factory=DeliveredEvents)

    async def reconcile(self, key: Key) -> Outcome:
        """Observe, parse, build, apply, report."""
        try:
            manifest = await self.cluster.get(TRAINING_JOB, key.namespace, key.name)
        except NotFound:
            self.telling.complete.discard(key)
            return DONE
        before = parse_status(manifest)
        # What is being deleted takes its children along.
        if "deletionTimestamp" in manifest["metadata"]:
            return DONE
        # What has ended stays so, whatever becomes of its Jobs.
        if before.completion_time:
            await self._report(manifest, before, seen(before, manifest["metadata"].get("generation", 0)))
            return DONE
        job = parse(manifest, before)
        if isinstance(job, Problem):
            running = (await observe(self.cluster, manifest)).running
            after = rejected(manifest, before, job, running=running, now=self.clock())
            await self._report(manifest, before, after)
            return DONE
        observed = await observe(self.cluster, manifest)
        observed, blocked = await self._apply(job, manifest, observed)
        ledger, step = self._next(job, observed)
        live = await self._ask(job, observed, step)
        facts = Facts(observed=observed, ledger=ledger, next=step, blocked=blocked, live=live, now=self.clock())
        after = compute(job, facts)
        await self._report(manifest, before, after)
        return self._outcome(job, facts, after)

    async def _apply(self, job: TrainingJob, manifest: Manifest, observed: Observed) -> tuple[Observed, Problem | None]:
        """Take the next step; return what is there then, and what kept it from being taken."""
        ledger, step = self._next(job, observed)
        children = Children(self.cluster, job, manifest, self.trainer_image)
        if step.step == "continue":
            result = await children.keep(observed, step.n)
        # An end is recorded before anything new begins: whoever dies in between would lose its count.
        elif step.step == "start" and ledger.news is None and self._may_start(job, observed, step):
            result = await children.start(observed, step.n)
        else:
            return observed, None
        return (observed, result) if isinstance(result, Problem) else (result, None)

    def _next(self, job: TrainingJob, observed: Observed) -> tuple[Ledger, Next]:
        ledger = tally(job.status.attempts if job.status else (), observed, now=self.clock())
        return ledger, plan(ledger, job.spec.run_policy)

    def _may_start(self, job: TrainingJob, observed: Observed, step: Next) -> bool:
        due = step.at is None or step.at <= self.clock()
        return due and not observed.leaving and not job.spec.run_policy.suspend

    async def _ask(self, job: TrainingJob, observed: Observed, step: Next) -> Snapshot | None:
        pod = observed.pods.get(step.n, {}).get(0) if step.step == "continue" else None
        if pod is None or not is_training(pod):
            return None
        address = pod["status"].get("podIP")
        answer = await self.progress.read(address) if address else None
        if answer is None and job.spec.program.container is not None:
            return await log_progress.read(self.cluster, pod)
        return answer

    async def _report(self, manifest: Manifest, before: TrainingJobStatus, after: TrainingJobStatus) -> None:
        change = Change(before, after, events(before, after), last_events(before, since=self.clock() - EVENT_LIFE))
        await report(self.cluster, TRAINING_JOB, manifest, change, telling=self.telling)

    def _outcome(self, job: TrainingJob, facts: Facts, after: TrainingJobStatus) -> Outcome:
        """Return when to look again without being woken."""
        match facts.next.step:
            case "succeed" | "fail":
                return DONE
            case _ if facts.blocked is not None:
                return Outcome(min(_RECHECK, max(_SOON, stalled_for(after, facts.now))))
            case _ if job.spec.run_policy.suspend:
                return DONE
            case "start":
                wait = (facts.next.at - facts.now).total_seconds() if facts.next.at else 0.0
                return Outcome(max(wait, _SOON if facts.observed.leaving else 0.1))
            case "continue":
                training = is_training(facts.observed.pods.get(facts.next.n, {}).get(0))
                return Outcome(self.progress_interval if training else _SAFETY)
