"""What is there of a TrainingJob: its children, sorted."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from trainyard_api.roles import RoleName
from trainyard_operator.cluster.children import by_controller, controlled_by
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
        followers: The Jobs of the other roles of each attempt, where there are any.
        follower_pods: Their pods.
    """

    config_map: Manifest | None
    service: Manifest | None
    jobs: Mapping[int, Manifest]
    pods: Mapping[int, Workers]
    leaving: bool
    followers: Mapping[int, Mapping[RoleName, Manifest]] = field(default_factory=dict)
    follower_pods: Mapping[int, Mapping[RoleName, Workers]] = field(default_factory=dict)

    @property
    def running(self) -> int | None:
        """The attempt whose Job has not ended."""
        return next((n for n, job in self.jobs.items() if ended_with(job) is None), None)

    def lacking(self, n: int, lead: RoleName) -> dict[RoleName, Manifest]:
        """Return the Jobs of an attempt that have not all their pods, by role."""
        jobs = {lead: self.jobs[n]} | dict(self.followers.get(n, {})) if n in self.jobs else {}
        pods = {lead: self.pods.get(n, {})} | dict(self.follower_pods.get(n, {}))
        return {role: job for role, job in jobs.items() if len(pods.get(role, {})) < job["spec"]["completions"]}


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
    own, lead = controlled_by(parent, jobs), identity.lead_of(parent)
    attempts = _of_role(own, name, lead)
    followers = _followers(own, name) if lead == "chief" else {}
    pods_of, at_work = by_controller(pods), _at_work(attempts, followers)
    return ObservedTraining(
        config_map=controlled_by(parent, config_maps).get(identity.spec_name(name)),
        service=controlled_by(parent, services).get(identity.service_name(name)),
        jobs=dict(sorted(attempts.items())),
        pods={number: _newest(pods_of, job) for number, job in attempts.items()},
        leaving=any(is_alive(pod) and _is_stray(pod, name, at_work) for pod in pods),
        followers=followers,
        follower_pods={
            n: {role: _newest(pods_of, job) for role, job in there.items()} for n, there in followers.items()
        },
    )


def _of_role(jobs: Mapping[str, Manifest], name: str, role: RoleName) -> dict[int, Manifest]:
    """Return the Job of each attempt."""
    numbers = {job_name: identity.attempt_number(name, job_name, role) for job_name in jobs}
    return {number: jobs[job_name] for job_name, number in numbers.items() if number is not None}


def _followers(jobs: Mapping[str, Manifest], name: str) -> dict[int, dict[RoleName, Manifest]]:
    found: dict[int, dict[RoleName, Manifest]] = {}
    roles: tuple[RoleName, ...] = ("ps", "worker")
    for role in roles:
        for number, job in _of_role(jobs, name, role).items():
            found.setdefault(number, {})[role] = job
    return found


def _at_work(attempts: Mapping[int, Manifest], followers: Mapping[int, Mapping[RoleName, Manifest]]) -> frozenset[str]:
    """Return the uids of the Jobs of attempts that go on: the leading Job says so for all."""
    going = {n for n, job in attempts.items() if ended_with(job) is None}
    jobs = [*(attempts[n] for n in going), *(job for n in going for job in followers.get(n, {}).values())]
    return frozenset(str(job["metadata"]["uid"]) for job in jobs)


def _newest(pods_of: Mapping[str, Sequence[Manifest]], job: Manifest) -> Workers:
    # A pod is replaced only after it has ended, and creation times are whole seconds: the one that lives is the newest.
    own = sorted(
        pods_of.get(job["metadata"]["uid"], ()),
        key=lambda pod: (is_alive(pod), pod["metadata"]["creationTimestamp"]),
    )
    return dict(sorted({index_of(pod): pod for pod in own}.items()))


def _is_stray(pod: Manifest, name: str, known: frozenset[str]) -> bool:
    """Return whether the pod belongs to a Job with a name of ours which has ended or is not there any more."""
    return any(
        owner["kind"] == JOB.name
        and owner["uid"] not in known
        and identity.attempt_number(name, owner["name"]) is not None
        for owner in pod["metadata"].get("ownerReferences", [])
    )
