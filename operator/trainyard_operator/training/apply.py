"""Writes the children of a TrainingJob as its next step needs them."""

from dataclasses import dataclass, replace

from trainyard_api.trainingjob import TrainingJob
from trainyard_operator.cluster.children import ensure, ensure_by_name
from trainyard_operator.cluster.kinds import CONFIG_MAP, JOB, NETWORK_POLICY, SERVICE
from trainyard_operator.cluster.port import Cluster, Manifest
from trainyard_operator.training import build
from trainyard_operator.training.attempts import Next
from trainyard_operator.training.observed import ObservedTraining
from trainyard_operator.training.preflight import missing_input
from trainyard_operator.workloads.blockers import REFUSALS, Blocker, of_refusal


@dataclass(frozen=True, slots=True)
class TrainingChildren:
    """Writes the children of one TrainingJob; nothing is written where all is as its spec wants it.

    Attributes:
        owner: The TrainingJob as the API server has it.
        network_policies: Whether trainings with several pods are shut to all other pods.
    """

    cluster: Cluster
    job: TrainingJob
    owner: Manifest
    trainer_image: str
    network_policies: bool = True

    async def carry_out(self, step: Next, observed: ObservedTraining) -> tuple[ObservedTraining, Blocker | None]:
        """Take the next step; return what is there then, and what kept the step from being taken."""
        match step.step:
            case "start":
                if blocker := await missing_input(self.cluster, self.job):
                    return observed, blocker
                target = build.attempt_job(self.job, self.owner, step.n, trainer_image=self.trainer_image)
            case "continue":
                target = build.running_job(self.job, observed.jobs[step.n])
            case _:
                return observed, None
        try:
            return await self._ensure(observed, step.n, target), None
        except REFUSALS as error:
            return observed, of_refusal(error, "the job")

    async def _ensure(self, observed: ObservedTraining, attempt: int, target: Manifest) -> ObservedTraining:
        # In this order: a pod that starts finds its spec and its name.
        config_map = build.spec_config_map(self.job, self.owner)
        config_map = await ensure(self.cluster, CONFIG_MAP, config_map, observed.config_map)
        service = build.headless_service(self.job, self.owner)
        service = await ensure(self.cluster, SERVICE, service, observed.service)
        if self.network_policies and self.job.spec.roles.worker.replicas > 1:
            await ensure_by_name(self.cluster, NETWORK_POLICY, build.network_policy(self.job, self.owner))
        job = await ensure(self.cluster, JOB, target, observed.jobs.get(attempt))
        return replace(observed, config_map=config_map, service=service, jobs={**observed.jobs, attempt: job})
