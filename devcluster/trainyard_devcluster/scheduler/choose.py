"""Choosing a node for a pod, or saying why there is none."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from trainyard_devcluster.resources import Object, name_of
from trainyard_devcluster.scheduler.fit import Room, load_after, obstacles


@dataclass(frozen=True, slots=True)
class Choice:
    """The node's name, or why there is none."""

    node: str | None
    reason: str = ""


def choose(pod: Object, rooms: Sequence[Room], claim: Callable[[str], Object | None]) -> Choice:
    """Pick the least loaded node that the pod fits on. `claim` looks a PersistentVolumeClaim up by name."""
    if not rooms:
        return Choice(None, "no nodes available to schedule pods")
    available = f"0/{len(rooms)} nodes are available: "
    if problem := claims_problem(pod, claim):
        return Choice(None, f"{available}{problem}.")
    reasons: Counter[str] = Counter()
    fitting = []
    for room in rooms:
        found = obstacles(pod, room)
        reasons.update(found)
        if not found:
            fitting.append(room)
    if not fitting:
        told = sorted(f"{count} {reason}" for reason, count in reasons.items())
        return Choice(None, f"{available}{', '.join(told)}.")
    best = min(fitting, key=lambda room: (load_after(pod, room), name_of(room.node)))
    return Choice(name_of(best.node))


def claims_problem(pod: Object, claim: Callable[[str], Object | None]) -> str:
    """What keeps the pod's volume claims from being used; empty where nothing does."""
    for volume in pod["spec"].get("volumes") or ():
        name = (volume.get("persistentVolumeClaim") or {}).get("claimName")
        if volume.get("ephemeral"):
            name = f"{name_of(pod)}-{volume['name']}"
        if not name:
            continue
        found = claim(name)
        if found is None:
            return f'persistentvolumeclaim "{name}" not found'
        if "deletionTimestamp" in found["metadata"]:
            return f'persistentvolumeclaim "{name}" is being deleted'
        if found.get("status", {}).get("phase") == "Lost":
            return f'persistentvolumeclaim "{name}" bound to non-existent persistentvolume'
        if not found["spec"].get("volumeName"):
            return "pod has unbound immediate PersistentVolumeClaims"
    return ""
