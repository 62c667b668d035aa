"""Writes the children of a TrainingJob as its next step needs them."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime

from trainyard_api.profile import TrainingProfile
from trainyard_api.times import utc_now
from trainyard_api.trainingjob import TrainingJob
from trainyard_operator.cluster.children import controlled_by, ensure, ensure_by_name, found
from trainyard_operator.cluster.kinds import CONFIG_MAP, JOB, NETWORK_POLICY, SERVICE
from trainyard_operator.cluster.port import Cluster, Manifest
from trainyard_operator.training import build, identity
from trainyard_operator.training.attempt_pods import ended_with, is_ending
from trainyard_operator.training.attempts import Next
from trainyard_operator.training.observed import ObservedTraining
from trainyard_operator.training.pod import TrainerImages
from trainyard_operator.training.preflight import Preflight, preflight
from trainyard_operator.training.profile import images, over_limit, with_profile
from trainyard_operator.training.store_use import Namespaces, recorded_text, store_use
from trainyard_operator.training.suspension import Suspension, decide, queued
from trainyard_operator.workloads.blockers import REFUSALS, Blocker, of_refusal, spec_errors
from trainyard_operator.workloads.identity import patch
from trainyard_operator.workloads.nodes import NodeOffers
from trainyard_operator.workloads.profiles import Profiles


@dataclass(frozen=True, slots=True)
class StepTaken:
    """What came of a step.

    Attributes:
        blocker: What kept the step from being taken.
        preflight: What was found before the pods exist; None where nobody looked, because they are there already.
    """

    observed: ObservedTraining
    blocker: Blocker | None = None
    preflight: Preflight | None = None


@dataclass(frozen=True, slots=True)
class TrainingChildren:
    """Writes the children of one TrainingJob; nothing is written where all is as its spec wants it.

    Attributes:
        owner: The TrainingJob as the API server has it.
        network_policies: Whether trainings with several pods are shut to all other pods.
        namespaces: Those that the operator serves.
    """

    cluster: Cluster
    job: TrainingJob
    owner: Manifest
    trainer_images: TrainerImages
    network_policies: bool = True
    now: datetime = field(default_factory=utc_now)
    nodes: NodeOffers = field(default_factory=NodeOffers)
    profiles: Profiles = field(default_factory=Profiles)
    namespaces: Namespaces = (None,)

    async def carry_out(self, step: Next, observed: ObservedTraining) -> StepTaken:
        """Take the next step; return what is there then, and what kept the step from being taken."""
        if step.step not in ("start", "continue"):
            return StepTaken(observed)
        found: Preflight | None = None
        try:
            if step.step == "start":
                return await self._start(step, observed)
            if self._leaves_its_queue():
                await end(self.cluster, [observed.jobs[step.n]])
                return StepTaken(observed)
            suspension = await self._suspension(step, observed)
            told = recorded_text(observed.config_map)
            if self.job.spec.output.keep.versions is not None:
                told = await self._store_use(observed.config_map)
            with spec_errors():
                children = self._build(step, observed, suspension, told)
            after = await self._ensure(observed, step.n, *children)
            return StepTaken(await self._follow(after, step.n, suspension.suspend), suspension.blocker, found)
        except REFUSALS as error:
            return StepTaken(observed, of_refusal(error, "the job"), found)

    async def _start(self, step: Next, observed: ObservedTraining) -> StepTaken:
        """Start an attempt with what the profile says now: its Job never changes afterwards."""
        choice = await self.profiles.choose(self.cluster, self.job.spec.profile, self.now)
        children, profile = self._filled(choice.profile), choice.profile
        blocker = choice.blocker
        if profile is not None:
            first = self.job.status.first_attempt if self.job.status else 0
            blocker = over_limit(self.job, profile) if step.n == first else None
        if blocker is not None:
            return StepTaken(observed, blocker, Preflight(blocker))
        found = await preflight(self.cluster, children.job, nodes=self.nodes, now=self.now)
        if found.blocker is not None:
            return StepTaken(observed, found.blocker, found)
        if choice.concern is not None:
            found = Preflight(concern=choice.concern)
        suspension = await self._suspension(step, observed)
        told = await self._store_use(observed.config_map)
        with spec_errors():
            job = build.attempt_job(
                children.job, self.owner, step.n, trainer_images=children.trainer_images, profile=profile
            )
            shared = (
                build.spec_config_map(self.job, self.owner, told),
                build.headless_service(self.job, self.owner),
            )
        after = await self._ensure(observed, step.n, *shared, job)
        return StepTaken(await self._follow(after, step.n, suspension.suspend), suspension.blocker, found)

    def _filled(self, profile: TrainingProfile | None) -> "TrainingChildren":
        if profile is None:
            return self
        job, own = with_profile(self.job, profile), images(self.trainer_images, profile)
        return replace(self, job=job, trainer_images=own)

    async def _follow(self, observed: ObservedTraining, attempt: int, suspend: bool) -> ObservedTraining:
        """Bring up the Jobs of the other roles, after the one that leads: without it they are nobody's."""
        roles, there = self.job.spec.roles.followers, dict(observed.followers.get(attempt, {}))
        lead = observed.jobs[attempt]
        if not roles or ended_with(lead) is not None or is_ending(lead):
            return observed
        for role in roles:
            live = there.get(role)
            if live is not None and ended_with(live) is None:
                wanted = patch(JOB, live, {"suspend": suspend})
                there[role] = await ensure(self.cluster, JOB, wanted, live)
            elif live is None:
                choice = await self.profiles.choose(self.cluster, self.job.spec.profile, self.now)
                children = self._filled(choice.profile)
                with spec_errors():
                    job = build.follower_job(
                        children.job,
                        self.owner,
                        attempt,
                        role,
                        trainer_images=children.trainer_images,
                        suspend=suspend,
                    )
                there[role] = await ensure(self.cluster, JOB, job, None)
        return replace(observed, followers={**observed.followers, attempt: there})

    async def _suspension(self, step: Next, observed: ObservedTraining) -> Suspension:
        target, queue = self.job.spec.run_policy.suspend, self.job.spec.run_policy.queue_name
        if queue is not None:
            suspended = step.step == "start" or bool(observed.jobs[step.n]["spec"].get("suspend"))
            return queued(identity.attempt_name(self.job.metadata["name"], step.n), queue, suspended=suspended)
        if step.step == "start" or bool(observed.jobs[step.n]["spec"].get("suspend")) == target:
            return Suspension(target)
        # Only the API server knows who wrote what.
        metadata = observed.jobs[step.n]["metadata"]
        job = await self.cluster.get(JOB, metadata["namespace"], metadata["name"], live=True)
        return decide(job, target=target, now=self.now)

    def _leaves_its_queue(self) -> bool:
        """Return whether the Job has to go: suspended only, its queue would resume it, and keep its quota for it."""
        return self.job.spec.run_policy.suspend and self.job.spec.run_policy.queue_name is not None

    def _build(
        self, step: Next, observed: ObservedTraining, suspension: Suspension, told: str | None
    ) -> tuple[Manifest, Manifest, Manifest]:
        """Return the ConfigMap, the Service and the Job of an attempt that goes on."""
        job = build.running_job(self.job, observed.jobs[step.n], suspend=suspension.suspend)
        config_map = build.spec_config_map(self.job, self.owner, told)
        return config_map, build.headless_service(self.job, self.owner), job

    async def _store_use(self, config_map: Manifest | None) -> str | None:
        return await store_use(self.cluster, self.job, config_map, namespaces=self.namespaces, now=self.now)

    async def _ensure(
        self, observed: ObservedTraining, attempt: int, config_map: Manifest, service: Manifest, job: Manifest
    ) -> ObservedTraining:
        # In this order: a pod that starts finds its spec and its name.
        config_map = await ensure(self.cluster, CONFIG_MAP, config_map, observed.config_map)
        live_service = observed.service
        # One that trains alone looks for nobody.
        if self.job.spec.roles.are_several:
            live_service = await ensure(self.cluster, SERVICE, service, live_service)
            if self.network_policies:
                await ensure_by_name(self.cluster, NETWORK_POLICY, build.network_policy(self.job, self.owner))
        job = await ensure(self.cluster, JOB, job, observed.jobs.get(attempt))
        return replace(observed, config_map=config_map, service=live_service, jobs={**observed.jobs, attempt: job})


async def remove_rest(cluster: Cluster, parent: Manifest, observed: ObservedTraining) -> None:
    """Delete what is no Job: it goes after them, so that no pod looks for it."""
    namespace, name = parent["metadata"]["namespace"], identity.service_name(parent["metadata"]["name"])
    # There are policies for trainings with several pods only, as there are Services: these go last, and show the way.
    policies = await found(cluster, NETWORK_POLICY, namespace, {name} if observed.service else ())
    children = [
        (CONFIG_MAP, observed.config_map),
        *((NETWORK_POLICY, policy) for policy in controlled_by(parent, policies).values()),
        (SERVICE, observed.service),
    ]
    for kind, child in children:
        if child is not None and "deletionTimestamp" not in (metadata := child["metadata"]):
            await cluster.delete(kind, metadata["namespace"], metadata["name"], uid=metadata["uid"])


async def end(cluster: Cluster, jobs: Iterable[Manifest]) -> None:
    """Delete Jobs with their pods. Suspended, somebody else could start them again."""
    for job in jobs:
        if "deletionTimestamp" not in (metadata := job["metadata"]):
            await cluster.delete(JOB, metadata["namespace"], metadata["name"], uid=metadata["uid"])
