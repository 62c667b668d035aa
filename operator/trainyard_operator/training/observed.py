"""What is there of a TrainingJob: its children, sorted."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from trainyard_operator.cluster.children import controlled_by, is_controlled_by
from trainyard_operator.cluster.kinds import JOB
from trainyard_operator.cluster.port import Manifest
from trainyard_operator.training import identity
from trainyard_operator.training.attempt_pods import Workers, ended_with, index_of
from trainyard_operator.workloads.pods import is_alive


@dataclass(frozen=True, slots=True)
class ObservedTraining:
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


NOTHING = ObservedTraining(config_map=None, service=None, jobs={}, pods={}, leaving=False)


def sort(
    parent: Manifest,
    *,
    config_maps: Iterable[Manifest],
    services: Iterable[Manifest],
    jobs: Iterable[Manifest],
    pods: Sequence[Manifest],
) -> ObservedTraining:
    """Sort what was found by label, and keep what the parent really controls: labels can be copied, uids cannot."""
    name = parent["metadata"]["name"]
    attempts = {
        number: job
        for job_name, job in controlled_by(parent, jobs).items()
        if (number := identity.attempt_number(name, job_name)) is not None
    }
    return ObservedTraining(
        config_map=controlled_by(parent, config_maps).get(identity.spec_name(name)),
        service=controlled_by(parent, services).get(identity.service_name(name)),
        jobs=dict(sorted(attempts.items())),
        pods={number: _newest(pods, job) for number, job in attempts.items()},
        leaving=any(is_alive(pod) and _is_stray(pod, name, attempts) for pod in pods),
    )


def _newest(pods: Iterable[Manifest], job: Manifest) -> Workers:
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
