"""Which events a change of status is worth: only what a person wants to know, and each only once."""

from collections.abc import Iterator
from datetime import datetime

from trainyard_api.meta import Condition
from trainyard_api.modelservice import ModelServiceStatus, RevisionStatus
from trainyard_api.rollout import CanaryStatus
from trainyard_api.times import from_rfc3339
from trainyard_operator.cluster.port import Event
from trainyard_operator.serving.conditions import AVAILABLE, DEGRADED, INCOMPLETE, READY, WAITING_FOR_TRAINING
from trainyard_operator.serving.gate import GATE_PASSED, GATE_REFUSED
from trainyard_operator.workloads.conditions import STALLED

_STOPPED = Event("Normal", "Stopped", "All pods are stopped, because spec.replicas is 0")


def events(before: ModelServiceStatus, after: ModelServiceStatus) -> Iterator[Event]:
    """Return the events of a transition, in the order in which they happened."""
    was = {revision.revision for revision in (before.current, before.next) if revision}
    if after.next and after.next.revision not in was:
        yield _rollout_started(after.next)
    if after.canary and (before.canary is None or _place(before.canary) != _place(after.canary)):
        yield _stepped(after.canary)
    if after.current and (before.current is None or before.current.revision != after.current.revision):
        yield _rolled_out(after.current)
    yield from _availability(before, after)
    yield from _refused(before, after)
    yield from _problem(before, after)
    yield from _incomplete(before, after)
    yield from _pending(before, after)
    if after.phase == "Stopped" and before.phase != "Stopped":
        yield _STOPPED


def last_events(status: ModelServiceStatus, promoted: datetime | None, *, since: datetime) -> Iterator[Event]:
    """Return the events of the transition to a status, as far as it tells them by itself.

    Only of the last: whoever wrote what is in it from before has told of that before writing again. An event that was
    told is the same as here, word by word.

    Args:
        status: As it was found.
        promoted: When its revision got the traffic.
        since: What happened earlier is left out, unless it goes on still.
    """
    changed = [from_rfc3339(condition.last_transition_time) for condition in status.conditions]
    available, degraded, ready = (_condition(status, name) for name in (AVAILABLE, DEGRADED, READY))
    if status.next:
        yield _rollout_started(status.next)
    if status.canary:
        yield _stepped(status.canary)
    if status.current and promoted and promoted >= since:
        yield _rolled_out(status.current)
    if status.phase == "Stopped":
        yield from [_STOPPED] if max(changed) >= since else []
    # When it got the traffic it answered: what came later is an outage, or the end of one.
    elif available and status.current and promoted:
        when = from_rfc3339(available.last_transition_time)
        if when == max(changed) and when > promoted and when >= since:
            yield _outage(available, ready)
    yield from _refused(None, status)
    if degraded and degraded.status == "True":
        yield _failing(status, degraded)
    if incomplete := _condition(status, INCOMPLETE):
        yield _missing(incomplete)
    if status.phase == "Pending" and ready:
        yield _waiting(ready)


def _availability(before: ModelServiceStatus, after: ModelServiceStatus) -> Iterator[Event]:
    """Tell of outages: of a revision that had the traffic before and still has it."""
    if not (before.current and after.current) or after.phase == "Stopped" or before.phase == "Stopped":
        return
    was, now = (_condition(status, AVAILABLE) for status in (before, after))
    if was and now and was.status != now.status:
        yield _outage(now, _condition(after, READY))


def _refused(before: ModelServiceStatus | None, after: ModelServiceStatus) -> Iterator[Event]:
    """Tell of a version that the gate refused; where nothing serves, that is what the service waits for."""
    now, was = _condition(after, GATE_PASSED), _condition(before, GATE_PASSED) if before else None
    if now and now.status == "False" and after.phase != "Pending" and (was is None or was.message != now.message):
        yield Event("Warning", GATE_REFUSED, now.message)


def _problem(before: ModelServiceStatus, after: ModelServiceStatus) -> Iterator[Event]:
    # Compared by reason only: the scheduler's message changes with every node that comes and goes.
    now, was = _condition(after, DEGRADED), _condition(before, DEGRADED)
    if now is None or now.status != "True" or (was and was.status == "True" and was.reason == now.reason):
        return
    yield _failing(after, now)


def _incomplete(before: ModelServiceStatus, after: ModelServiceStatus) -> Iterator[Event]:
    now, was = _condition(after, INCOMPLETE), _condition(before, INCOMPLETE)
    if now and (was is None or was.message != now.message):
        yield _missing(now)


def _pending(before: ModelServiceStatus, after: ModelServiceStatus) -> Iterator[Event]:
    now, was = _condition(after, READY), _condition(before, READY)
    if after.phase == "Pending" and now and (was is None or was.reason != now.reason):
        yield _waiting(now)


def _rollout_started(revision: RevisionStatus) -> Event:
    return Event("Normal", "RolloutStarted", f"Bringing up {_name(revision)}")


def _place(canary: CanaryStatus) -> tuple[str, int, int]:
    return canary.revision, canary.step, canary.weight


def _stepped(canary: CanaryStatus) -> Event:
    asked = f"step {canary.step} of {canary.steps} asks for {canary.weight} % of the requests"
    return Event("Normal", "CanaryStep", f"Revision {canary.revision} is a canary: {asked}")


def _rolled_out(revision: RevisionStatus) -> Event:
    return Event("Normal", "RolledOut", f"V{_name(revision)[1:]} takes all requests")


def _outage(available: Condition, ready: Condition | None) -> Event:
    if available.status == "True":
        return Event("Normal", "Available", "The model answers again")
    return Event("Warning", "Unavailable", f"No pod answers. {ready.message if ready else ''}".rstrip())


def _failing(status: ModelServiceStatus, degraded: Condition) -> Event:
    ready = _condition(status, READY)
    message = ready.message if ready else ""
    # What may still pass, such as a full cluster, has not failed.
    if status.current and status.next and _condition(status, STALLED):
        return Event("Warning", "RolloutFailed", f"{degraded.reason}: {message}")
    return Event("Warning", degraded.reason, message)


def _missing(incomplete: Condition) -> Event:
    return Event("Warning", incomplete.reason, incomplete.message)


def _waiting(ready: Condition) -> Event:
    return Event("Normal" if ready.reason == WAITING_FOR_TRAINING else "Warning", ready.reason, ready.message)


def _name(revision: RevisionStatus) -> str:
    of_model = f" of {revision.model}" if revision.model else ""
    return f"version {revision.model_version}{of_model} as revision {revision.revision}"


def _condition(status: ModelServiceStatus, name: str) -> Condition | None:
    return next((one for one in status.conditions if one.type == name), None)
