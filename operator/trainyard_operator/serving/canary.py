"""A canary: a revision that gets a share of the requests, by its share of the pods behind the one Service.

The stable revision keeps all its replicas until the canary has taken over, so that a way back finds its full capacity.
So a canary gets half of the requests at most, until a step of 100 % gives it all of them.
"""

import hashlib
import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated

from pydantic import AwareDatetime, Field, ValidationError

from trainyard_api.meta import ApiModel, parse_duration
from trainyard_api.rollout import MOST_STEPS, RollbackStatus, Rollout, RolloutStep
from trainyard_api.times import from_rfc3339, to_rfc3339
from trainyard_operator.workloads.text import clean

ALL = 100
_FOLLOWED = timedelta(seconds=5)
"""Until then gateways have followed a change of route. Pods that end before are asked still, and are not there."""
_LONGEST = 63
# A time from which nobody can count on is none.
_Moment = Annotated[AwareDatetime, Field(lt=datetime(3000, 1, 1, tzinfo=UTC))]


@dataclass(frozen=True, slots=True)
class CanaryStep:
    """A share in percent, and for how long."""

    weight: int
    hold: timedelta

    def replicas(self, stable: int) -> int:
        """Return how many pods beside `stable` others come closest to the share: at least one, at most as many."""
        return stable if self.weight == ALL else min(stable, max(1, round(stable * self.weight / (ALL - self.weight))))


@dataclass(frozen=True, slots=True, kw_only=True)
class Canary:
    """What the stable Service says of the canary.

    Attributes:
        revision: The canary.
        step: Its step, from 0; the number of steps where all are behind it.
        since: When the step began.
        reached: When its pods answered; None where they have not yet.
        alone: Whether it gets all requests, while the stable revision waits for a way back.
    """

    revision: str
    step: int
    since: datetime
    reached: datetime | None = None
    alone: bool = False


class Left(ApiModel):
    """What the stable Service says of a canary that has lost its share.

    Attributes:
        since: When it lost it.
    """

    revision: str = Field(min_length=1, max_length=_LONGEST)
    since: _Moment

    @property
    def ends(self) -> datetime:
        """When its pods may go."""
        return self.since + _FOLLOWED


def read_left(text: str | None, now: datetime) -> Left | None:
    """Return what an annotation says; anybody may have written it. It stays until the Service is written again."""
    try:
        left = Left.model_validate_json(text) if text else None
    except ValidationError:
        return None
    return left if left and now < left.ends else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Rollback:
    """A revision that was sent back.

    Attributes:
        rollout: Fingerprint of the rollout that it was tried with.
        message: Why.
    """

    revision: str
    rollout: str
    time: datetime
    message: str

    def status(self) -> RollbackStatus:
        """Return what status and Service say of it."""
        return RollbackStatus(
            revision=self.revision, rollout=self.rollout, time=to_rfc3339(self.time), message=clean(self.message)
        )

    @classmethod
    def of(cls, said: RollbackStatus) -> "Rollback | None":
        """Return what a status says, or None where it makes no sense."""
        try:
            time = from_rfc3339(said.time)
        except ValueError:
            return None
        return cls(revision=said.revision, rollout=said.rollout, time=time, message=said.message)


def fingerprint(rollout: Rollout) -> str:
    """Return eight hex digits that change with the spec of a rollout; a field added later changes nothing."""
    content = rollout.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:8]


def read_rollback(text: str | None) -> Rollback | None:
    """Return what the annotation of a Service says was sent back."""
    try:
        return Rollback.of(RollbackStatus.model_validate_json(text)) if text else None
    except ValidationError:
        return None


def canary_steps(steps: list[RolloutStep]) -> tuple[CanaryStep, ...]:
    """Return the steps of a spec."""
    return tuple(CanaryStep(step.weight, timedelta(seconds=parse_duration(step.hold))) for step in steps)


def achieved(canary: int, stable: int, *, alone: bool) -> int:
    """Return the share of the canary in percent, given how many pods of both answer."""
    return ALL if alone and canary else round(ALL * canary / (canary + stable)) if canary else 0


class _Record(ApiModel):
    """A canary in an annotation; anybody may have written it."""

    stable: str = Field(min_length=1, max_length=_LONGEST)
    revision: str = Field(min_length=1, max_length=_LONGEST)
    step: int = Field(ge=0, le=MOST_STEPS)
    since: _Moment
    reached: _Moment | None = None
    alone: bool = False


def write(stable: str, canary: Canary) -> str:
    """Return the text of the annotation. The selector of a Service with a canary does not name the stable revision."""
    record = _Record(
        stable=stable,
        revision=canary.revision,
        step=canary.step,
        since=canary.since,
        reached=canary.reached,
        alone=canary.alone,
    )
    return record.model_dump_json(exclude_none=True)


def read(text: str | None) -> tuple[str, Canary] | None:
    """Return the stable revision and its canary, or None where the annotation tells of none."""
    try:
        record = _Record.model_validate_json(text) if text else None
    except ValidationError:
        return None
    if record is None:
        return None
    return record.stable, Canary(
        revision=record.revision,
        step=record.step,
        since=record.since,
        reached=record.reached,
        alone=record.alone,
    )
