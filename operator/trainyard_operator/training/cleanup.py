"""What of a training goes once it has ended: pods by `cleanPods`, and all its children after `ttlAfterFinished`.

The TrainingJob itself stays. It is the record of the training, and whoever keeps it in Git would get a deleted one
back, which would train again.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Literal

from trainyard_api.meta import parse_duration
from trainyard_api.run_policy import RunPolicy
from trainyard_api.trainingjob import Attempt
from trainyard_operator.cluster.port import Manifest
from trainyard_operator.training.attempt_pods import is_training
from trainyard_operator.training.attempts import lingering
from trainyard_operator.training.observed import ObservedTraining

Scope = Literal["None", "Running", "All", "Children"]
"""What goes: one of `cleanPods`, or everything that was made for the training."""


def scope(policy: RunPolicy, *, ended: datetime, now: datetime) -> Scope:
    """Return what is to be gone by now."""
    left = seconds_left(policy, ended=ended, now=now)
    return "Children" if left is not None and left <= 0 else policy.clean_pods


def seconds_left(policy: RunPolicy, *, ended: datetime, now: datetime) -> float | None:
    """Return the seconds until the children go, or None where they stay."""
    if policy.ttl_after_finished is None:
        return None
    return (ended + timedelta(seconds=parse_duration(policy.ttl_after_finished)) - now).total_seconds()


def is_wanted(policy: RunPolicy) -> bool:
    """Return whether more goes than pods that still run."""
    return policy.clean_pods == "All" or policy.ttl_after_finished is not None


def jobs_to_end(what: Scope, recorded: Sequence[Attempt], observed: ObservedTraining) -> list[Manifest]:
    """Return the Jobs that go, and their pods with them."""
    if what in ("All", "Children"):
        others = [job for roles in observed.followers.values() for job in roles.values()]
        return [*observed.jobs.values(), *others]
    running = lingering(recorded, observed)
    if what == "Running":
        return running
    # A trainer that was out of time never goes on: only what stands beside it is left alone.
    trains = {n for n, pods in observed.pods.items() if any(map(is_training, pods.values()))}
    leads = list(observed.jobs.values())
    return [job for job in running if job not in leads or any(observed.jobs[n] is job for n in trains)]
