"""What the curves are drawn from: the losses in the statuses of trainings, in memory of a bounded size.

Statuses are watched by every operator, so one that stands by draws the curves as well.
"""

import asyncio
import math
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from trainyard_api.times import Clock, utc_now
from trainyard_operator.cluster.port import Manifest

MOST_POINTS = 240
"""Of one curve. A full one loses every second point, so that it always reaches back to its first."""
MOST_JOBS = 500
"""Curves kept: those that changed last."""
_LOOK_SECONDS = 5.0
_LARGEST = 1e100
"""Of a loss that is drawn: no sum or difference of two such numbers overflows."""


@dataclass(frozen=True, slots=True)
class Point:
    """The losses at one step."""

    step: int
    loss: float | None
    val_loss: float | None


@dataclass(slots=True)
class Curve:
    """The losses of one training since it was first looked at."""

    since: datetime
    points: list[Point] = field(default_factory=list)
    _stride: int = 1
    _skipped: int = 0

    def add(self, point: Point) -> None:
        """Take a point; an attempt that went back to a checkpoint writes over what it does again."""
        while self.points and self.points[-1].step > point.step:
            self.points.pop()
        if self.points and self.points[-1].step == point.step:
            self.points[-1] = point
            return
        self._skipped += 1
        if self._skipped < self._stride and len(self.points) > 1:
            self.points[-1] = point  # the last point is always there
            return
        self._skipped = 0
        self.points.append(point)
        if len(self.points) > MOST_POINTS:
            del self.points[1:-1:2]
            self._stride *= 2


class Histories:
    """The curves of the trainings that changed last, by the uid of the training."""

    def __init__(self, clock: Clock = utc_now) -> None:
        self._clock = clock
        self._curves: OrderedDict[str, Curve] = OrderedDict()

    def __len__(self) -> int:
        return len(self._curves)

    async def follow(
        self,
        trainings: Callable[[], Iterable[Manifest]],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """Look at the trainings every few seconds, until cancelled."""
        while True:
            for manifest in trainings():
                self.add(manifest)
            await sleep(_LOOK_SECONDS)

    def add(self, manifest: Manifest) -> None:
        """Take what a status says of the losses, where it says something new."""
        point = _point((manifest.get("status") or {}).get("progress") or {})
        uid = manifest["metadata"]["uid"]
        known = self._curves.get(uid)
        if point is None or (known and known.points and known.points[-1] == point):
            return
        curve = known or Curve(self._clock())
        curve.add(point)
        self._curves[uid] = curve
        self._curves.move_to_end(uid)
        while len(self._curves) > MOST_JOBS:
            self._curves.popitem(last=False)

    def of(self, uid: str) -> Curve | None:
        """Return the curve of a training, or None where nothing is known of it."""
        return self._curves.get(uid)


def series(points: Sequence[Point], name: str) -> list[tuple[int, float]]:
    """Return (step, value) of the loss or of the validation loss, where there is one."""
    return [(point.step, value) for point in points if (value := getattr(point, name)) is not None]


def _point(progress: dict[str, Any]) -> Point | None:
    step = progress.get("step") or progress.get("epoch")
    loss, val_loss = _drawable(progress.get("loss")), _drawable((progress.get("metrics") or {}).get("val_loss"))
    if not isinstance(step, int) or (loss is None and val_loss is None):
        return None
    return Point(step, loss, val_loss)


def _drawable(text: object) -> float | None:
    try:
        value = float(str(text))
    except ValueError:
        return None
    if not math.isfinite(value) or abs(value) > _LARGEST:
        return None
    return value if abs(value) > 1 / _LARGEST else 0.0
