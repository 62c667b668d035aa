"""GPU seconds of a training. They are added when the end of an attempt is recorded, and so exactly once."""

from collections.abc import Iterable, Sequence
from datetime import datetime

from trainyard_api.gpu_seconds import GpuSeconds
from trainyard_api.times import from_rfc3339
from trainyard_api.trainingjob import Attempt


def newly_ended(recorded: Iterable[Attempt], attempts: Sequence[Attempt]) -> list[Attempt]:
    """Return the attempts whose end is not recorded yet."""
    known = {attempt.n for attempt in recorded if attempt.outcome != "Running"}
    return [attempt for attempt in attempts if attempt.outcome != "Running" and attempt.n not in known]


def add(before: GpuSeconds | None, ended: Sequence[Attempt], *, gpus: int, checkpoint: str | None) -> GpuSeconds | None:
    """Return the sums with these attempts; None for a training without GPUs.

    Args:
        gpus: GPUs of all pods of an attempt together.
        checkpoint: When the newest checkpoint was written.
    """
    if gpus == 0:
        return before
    sums = before or GpuSeconds()
    saved = from_rfc3339(checkpoint) if checkpoint else None
    for attempt in ended:
        used, waiting, lost = _seconds(attempt, saved)
        sums = GpuSeconds(
            used=sums.used + gpus * used, waiting=sums.waiting + gpus * waiting, lost=sums.lost + gpus * lost
        )
    return sums


def _seconds(attempt: Attempt, saved: datetime | None) -> tuple[int, int, int]:
    if attempt.ended is None or attempt.queued is None:
        return 0, 0, 0
    ended, queued = from_rfc3339(attempt.ended), from_rfc3339(attempt.queued)
    if attempt.started is None:
        return 0, _span(queued, ended), 0
    started = from_rfc3339(attempt.started)
    last = started if saved is None else min(max(started, saved), ended)
    lost = 0 if attempt.outcome == "Succeeded" else _span(last, ended)
    return _span(started, ended), _span(queued, started), lost


def _span(since: datetime, until: datetime) -> int:
    return max(0, int((until - since).total_seconds()))
