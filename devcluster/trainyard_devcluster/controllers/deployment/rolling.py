"""How many replicas each ReplicaSet of a Deployment should have now: pure arithmetic, one step at a time."""

from collections.abc import Sequence
from dataclasses import dataclass

from trainyard_devcluster.controllers.deployment.spec import DeploymentSpec
from trainyard_devcluster.controllers.deployment.template import age
from trainyard_devcluster.resources import Object, uid_of

DESIRED_ANNOTATION = "deployment.kubernetes.io/desired-replicas"
MOST_ANNOTATION = "deployment.kubernetes.io/max-replicas"


@dataclass(frozen=True, slots=True)
class Scale:
    """A ReplicaSet and the replicas it should have."""

    replica_set: Object
    replicas: int


def replicas_of(replica_set: Object) -> int:
    """How many replicas the set is asked for."""
    wanted = replica_set["spec"].get("replicas")
    return 1 if wanted is None else int(wanted)


def available_in(replica_set: Object) -> int:
    """How many of the set's pods are available."""
    return int(replica_set.get("status", {}).get("availableReplicas") or 0)


def first_scale(spec: DeploymentSpec, old: Sequence[Object]) -> int:
    """How many replicas the current set may have beside the old ones."""
    if spec.recreate:
        return spec.replicas
    return max(0, min(spec.replicas, spec.most_pods - sum(map(replicas_of, old))))


def roll(spec: DeploymentSpec, new: Object, old: Sequence[Object]) -> list[Scale]:
    """The next step of a rolling update: up first, and down once the new pods are available."""
    if up := _up(spec, new, old):
        return up
    return _down(spec, new, [entry for entry in old if replicas_of(entry)])


def _up(spec: DeploymentSpec, new: Object, old: Sequence[Object]) -> list[Scale]:
    have = replicas_of(new)
    if have >= spec.replicas:
        return [Scale(new, spec.replicas)] if have > spec.replicas else []
    room = spec.most_pods - have - sum(map(replicas_of, old))
    return [Scale(new, min(spec.replicas, have + room))] if room > 0 else []


def _down(spec: DeploymentSpec, new: Object, old: Sequence[Object]) -> list[Scale]:
    # New pods that are not available yet do not count, whoever else is: they may never become so.
    waiting = replicas_of(new) - available_in(new)
    spare = replicas_of(new) + sum(map(replicas_of, old)) - spec.fewest_available - waiting
    if spare <= 0:
        return []
    targets = {uid_of(entry): replicas_of(entry) for entry in old}
    for entry in sorted(old, key=age):
        broken = min(spare, replicas_of(entry) - available_in(entry))
        if broken > 0:
            targets[uid_of(entry)] -= broken
            spare -= broken
    available = available_in(new) + sum(map(available_in, old))
    healthy = max(0, available - spec.fewest_available)
    for entry in sorted(old, key=age):
        removed = min(healthy, targets[uid_of(entry)])
        targets[uid_of(entry)] -= removed
        healthy -= removed
    return [Scale(entry, targets[uid_of(entry)]) for entry in old if targets[uid_of(entry)] != replicas_of(entry)]


def resize(spec: DeploymentSpec, new: Object | None, old: Sequence[Object]) -> list[Scale]:
    """Follow a change of the Deployment's replicas (or stay paused) without moving the rollout."""
    everyone = [*old, *([new] if new else [])]
    active = [entry for entry in everyone if replicas_of(entry)]
    if len(active) <= 1:
        only = active[0] if active else new
        return [Scale(only, spec.replicas)] if only is not None and replicas_of(only) != spec.replicas else []
    if new is not None and replicas_of(new) == spec.replicas == available_in(new):
        return [Scale(entry, 0) for entry in old if replicas_of(entry)]
    return [] if spec.recreate else _in_proportion(spec, active)


def _in_proportion(spec: DeploymentSpec, active: Sequence[Object]) -> list[Scale]:
    # In the middle of a rollout every set keeps its share, so that a bad version does not get all the new replicas.
    allowed = spec.most_pods if spec.replicas else 0
    total = sum(map(replicas_of, active))
    missing = allowed - total
    largest_first = sorted(active, key=lambda entry: (-replicas_of(entry), age(entry)))
    left = missing
    targets = {}
    for entry in largest_first:
        have = replicas_of(entry)
        before = int((entry["metadata"].get("annotations") or {}).get(MOST_ANNOTATION) or total)
        share = round(have * allowed / before) - have if before else 0
        share = min(share, left) if missing > 0 else max(share, left)
        share = share if (share > 0) == (missing > 0) else 0
        targets[uid_of(entry)] = have + share
        left -= share
    targets[uid_of(largest_first[0])] = max(0, targets[uid_of(largest_first[0])] + left)
    return [Scale(entry, targets[uid_of(entry)]) for entry in active if targets[uid_of(entry)] != replicas_of(entry)]


def is_resized(spec: DeploymentSpec, sets: Sequence[Object]) -> bool:
    """Whether the Deployment's replicas changed since its sets were last scaled."""
    for entry in sets:
        known = (entry["metadata"].get("annotations") or {}).get(DESIRED_ANNOTATION)
        if replicas_of(entry) and known is not None and int(known) != spec.replicas:
            return True
    return False
