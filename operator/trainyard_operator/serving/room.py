"""Room for a new revision: what a rollout may take away from the old one where the cluster is full."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated

from pydantic import AwareDatetime, Field, ValidationError

from trainyard_api.meta import ApiModel, parse_duration
from trainyard_api.rollout import Rollout

_MOST = 1000
# A time from which nobody can count on is none.
_Moment = Annotated[AwareDatetime, Field(lt=datetime(3000, 1, 1, tzinfo=UTC))]


@dataclass(frozen=True, slots=True, kw_only=True)
class Update:
    """How a rollout makes room.

    Attributes:
        one_by_one: Old pods go one at a time where the new ones find no room.
        at_once: All old pods go first.
        floor: Pods that answer at least.
        deadline: How long pods may take to answer.
    """

    one_by_one: bool = False
    at_once: bool = False
    floor: int = 0
    deadline: timedelta | None = None

    @classmethod
    def of(cls, rollout: Rollout, replicas: int) -> "Update":
        """Return what a spec says, for so many replicas."""
        least = replicas - 1 if rollout.min_available is None else rollout.min_available
        return cls(
            one_by_one=rollout.update == "Auto",
            at_once=rollout.update == "Recreate",
            floor=least if rollout.allow_unavailable else max(1, least),
            deadline=timedelta(seconds=parse_duration(rollout.progress_deadline))
            if rollout.progress_deadline
            else None,
        )


class Progress(ApiModel):
    """What the stable Service says of a revision that comes up.

    Attributes:
        since: When it began to.
        yielded: How many old pods made room.
    """

    revision: str = Field(min_length=1, max_length=63)
    since: _Moment
    yielded: int = Field(default=0, ge=0, le=_MOST)


def read_progress(text: str | None) -> Progress | None:
    """Return what an annotation says; anybody may have written it."""
    try:
        return Progress.model_validate_json(text) if text else None
    except ValidationError:
        return None
