"""What is there of a TrainingJob: its children as the API server has them now."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

from trainyard_operator.cluster.children import controlled_by, is_controlled_by
from trainyard_operator.cluster.kinds import CONFIG_MAP, JOB, POD, SERVICE
from trainyard_operator.cluster.port import Cluster, Manifest
from trainyard_operator.training import identity
from trainyard_operator.training.attempt_pods import Workers, ended_with, index_of, is_alive


@dataclass(frozen=True, slots=True)
class Observed:
    """The children of one TrainingJob.

    Attributes:
        jobs: The Job of each attempt that still has one.
        pods: The pods of each of these Jobs by their index, only the newest at each.
        leaving: Whether a pod of an attempt that is over still runs: its Job has ended or is gone, or belonged to an
            earlier TrainingJob of that name. Nothing else may start before: two trainers would write in one place.
    """

    config_map: Manifest | None
    service: Manifest | None
    jobs: Mapping[int, Manifest]
    pods: Mapping[int, Workers]
    leaving: bool

    @property
    def running(self) -> int | None:
        """The attempt whose Job has not ended."""
        return next((n for n, job in self.jobs.items() if ended_with(job) is None), None)


async def observe(cluster: Cluster, parent: Manifest) -> Observed:
    """List the children by label and keep those that the parent really controls: one LIST for each kind."""
    namespace, name = parent["metadata"]["namespace"], parent["metadata"]["name"]
    if identity.naming_problem(name):  # no label either, so it has none
        return Observed(config_map=None, service=None, jobs={}, pods={}, leaving=False)
    labels = identity.selector(name)
    config_maps, services, all_jobs = await asyncio.gather(
        *(cluster.select(kind, namespace, labels=labels) for kind in (CONFIG_MAP, SERVICE, JOB))
    )
    # Strictly after the Jobs: what ended a Job we have seen has then happened to the pod we see, last words included.
    pods = await cluster.select(POD, namespace, labels=labels)
    attempts = {
        number: job
        for each, job in controlled_by(parent, all_jobs).items()
        if (number := identity.attempt_number(name, each)) is not None
    }
    return Observed(
        config_map=controlled_by(parent, config_maps).get(identity.spec_name(name)),
        service=controlled_by(parent, services).get(identity.service_name(name)),
        jobs=dict(sorted(attempts.items())),
        pods={number: _newest(pods, job) for number, job in attempts.items()},
        leaving=any(is_alive(pod) and _is_stray(pod, name, attempts) for pod in pods),
    )


def _newest(pods: list[Manifest], job: Manifest) -> Workers:
    own = [pod for pod in pods if is_controlled_by(pod, job["metadata"]["uid"])]
    # A pod is replaced only after it has ended, and creation times are whole seconds: the one that lives is the newest.
    own.sort(key=lambda pod: (is_alive(pod), pod["metadata"]["creationTimestamp"]))
    return dict(sorted({index_of(pod): pod for pod in own}.items()))


def _is_stray(pod: Manifest, name: str, attempts: Mapping[int, Manifest]) -> bool:
    """Return whether the pod belongs to a Job with a name of ours which has ended or is not there any more."""
    known = {job["metadata"]["uid"] for job in attempts.values() if ended_with(job) is None}
    return any(
        owner["kind"] == JOB.name
        and owner["uid"] not in known
        and identity.attempt_number(name, owner["name"]) is not None
        for owner in pod["metadata"].get("ownerReferences", [])
    )
