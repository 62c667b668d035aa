"""Brings the children of a TrainingJob to what its next step wants."""

from dataclasses import dataclass, replace

from trainyard_api.trainingjob import TrainingJob
from trainyard_operator.cluster.children import Leftover, NameTaken, ensure
from trainyard_operator.cluster.errors import Forbidden, Invalid
from trainyard_operator.cluster.kinds import CONFIG_MAP, JOB, SERVICE
from trainyard_operator.cluster.port import Cluster, Manifest
from trainyard_operator.training import build
from trainyard_operator.training.blockers import WAITING, Problem
from trainyard_operator.training.observe import Observed
from trainyard_operator.training.preflight import missing_input


@dataclass(frozen=True, slots=True)
class Children:
    """Writes the children of one TrainingJob; nothing is written where all is as wanted.

    Attributes:
        owner: The TrainingJob as the API server has it.
    """

    cluster: Cluster
    job: TrainingJob
    owner: Manifest
    trainer_image: str

    async def start(self, observed: Observed, attempt: int) -> Observed | Problem:
        """Start an attempt, if what it needs is there; return what is there then."""
        if problem := await missing_input(self.cluster, self.job):
            return problem
        wanted = build.attempt_job(self.job, self.owner, attempt, trainer_image=self.trainer_image)
        return await self._write(observed, attempt, wanted)

    async def keep(self, observed: Observed, attempt: int) -> Observed | Problem:
        """Keep the children of a running attempt as they are wanted.

        Of its Job only `suspend` can change: the rest is immutable, also where a newer operator would build another.
        """
        metadata = observed.jobs[attempt]["metadata"]
        wanted = {
            "apiVersion": JOB.api_version,
            "kind": JOB.name,
            "metadata": {"name": metadata["name"], "namespace": metadata["namespace"]},
            "spec": {"suspend": self.job.spec.run_policy.suspend},
        }
        return await self._write(observed, attempt, wanted)

    async def _write(self, observed: Observed, attempt: int, wanted: Manifest) -> Observed | Problem:
        config_map = build.spec_config_map(self.job, self.owner)
        service = build.headless_service(self.job, self.owner)
        try:
            # In this order: a pod that starts finds its spec and its name.
            observed = replace(
                observed,
                config_map=await ensure(self.cluster, CONFIG_MAP, config_map, observed.config_map),
                service=await ensure(self.cluster, SERVICE, service, observed.service),
            )
            child = await ensure(self.cluster, JOB, wanted, observed.jobs.get(attempt))
        except Leftover as error:
            return Problem(WAITING, str(error), passing=True)
        except NameTaken as error:
            return Problem("NameTaken", str(error))
        except (Invalid, Forbidden) as error:
            return Problem("Rejected", f"the API server rejects what the job needs: {error}")
        return replace(observed, jobs={**observed.jobs, attempt: child})
