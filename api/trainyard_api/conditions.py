"""Conditions as the Kubernetes API conventions want them: the transition time changes with the status only."""

from collections.abc import Iterable
from datetime import datetime
from typing import Literal, NamedTuple

from trainyard_api.meta import Condition


class Observation(NamedTuple):
    """A condition before it is known when it became so."""

    type: str
    status: Literal["True", "False", "Unknown"]
    reason: str
    message: str = ""


def merge(
    previous: Iterable[Condition], now_observed: Iterable[Observation], *, now: datetime, generation: int
) -> list[Condition]:
    """Return the observations as conditions, in the given order, each with the time its status last changed."""
    before = {condition.type: condition for condition in previous}
    time = now.strftime("%Y-%m-%dT%H:%M:%SZ")
    return [
        Condition(
            type=condition.type,
            status=condition.status,
            reason=condition.reason,
            message=condition.message[:32768],
            observed_generation=generation,
            last_transition_time=old.last_transition_time
            if (old := before.get(condition.type)) and old.status == condition.status
            else time,
        )
        for condition in now_observed
    ]


def is_true(conditions: Iterable[Condition], condition_type: str) -> bool:
    """Return whether a condition of that type is there and holds."""
    return any(condition.type == condition_type and condition.status == "True" for condition in conditions)
