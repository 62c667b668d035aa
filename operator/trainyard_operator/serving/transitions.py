"""Which events a change of status is worth: only what a person wants to know, and each only once."""

from collections.abc import Iterator

from trainyard_operator.api.meta import Condition
from trainyard_operator.api.modelservice import ModelServiceStatus, RevisionStatus
from trainyard_operator.cluster.port import Event
from trainyard_operator.serving.conditions import AVAILABLE, DEGRADED, READY, STALLED


def events(before: ModelServiceStatus, after: ModelServiceStatus) -> Iterator[Event]:
    """Return the events of a transition, in the order in which they happened."""
    was = {revision.revision for revision in (before.current, before.next) if revision}
    if after.next and after.next.revision not in was:
        yield Event("Normal", "RolloutStarted", f"Bringing up {_name(after.next)}")
    if after.current and (before.current is None or before.current.revision != after.current.revision):
        yield Event("Normal", "RolledOut", f"{_name(after.current).capitalize()} takes all requests")
    yield from _availability(before, after)
    yield from _problem(before, after)
    yield from _pending(before, after)
    if after.phase == "Stopped" and before.phase != "Stopped":
        yield Event("Normal", "Stopped", "All pods are stopped, because spec.replicas is 0")


def _availability(before: ModelServiceStatus, after: ModelServiceStatus) -> Iterator[Event]:
    """Tell of outages: of a revision that had the traffic before and still has it."""
    if not (before.current and after.current) or after.phase == "Stopped" or before.phase == "Stopped":
        return
    was, now = (_condition(status, AVAILABLE) for status in (before, after))
    if was and now and was.status != now.status:
        if now.status == "True":
            yield Event("Normal", "Available", "The model answers again")
        else:
            yield Event("Warning", "Unavailable", f"No pod answers. {now.message}")


def _problem(before: ModelServiceStatus, after: ModelServiceStatus) -> Iterator[Event]:
    # Compared by reason only: the scheduler's message changes with every node that comes and goes.
    now, was = _condition(after, DEGRADED), _condition(before, DEGRADED)
    if now is None or now.status != "True" or (was and was.status == "True" and was.reason == now.reason):
        return
    # What may still pass, such as a full cluster, has not failed.
    if after.current and after.next and _condition(after, STALLED):
        yield Event("Warning", "RolloutFailed", f"{now.reason}: {now.message}")
    else:
        yield Event("Warning", now.reason, now.message)


def _pending(before: ModelServiceStatus, after: ModelServiceStatus) -> Iterator[Event]:
    now, was = _condition(after, READY), _condition(before, READY)
    if after.phase == "Pending" and now and (was is None or was.reason != now.reason):
        yield Event("Normal" if now.reason == "WaitingForTraining" else "Warning", now.reason, now.message)


def _name(revision: RevisionStatus) -> str:
    return f"version {revision.model_version} as revision {revision.revision}"


def _condition(status: ModelServiceStatus, name: str) -> Condition | None:
    return next((each for each in status.conditions if each.type == name), None)
