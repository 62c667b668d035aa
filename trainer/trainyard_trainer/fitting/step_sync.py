"""What workers that train together settle between two calls: once for each call, so that nothing is left to a clock.

All must run the same steps in the same calls. So all that could differ, a clock, a signal, the pace, is asked for here,
and from here on every worker decides by the same numbers.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from trainyard_trainer.errors import TrainerError
from trainyard_trainer.fitting.saving import newest
from trainyard_trainer.reporting.event_log import EventLog
from trainyard_trainer.stores.folder_checkpoints import CheckpointFolder, Snapshot, from_bytes, to_bytes
from trainyard_trainer.tensors import Arrays, Totals
from trainyard_trainer.workers.group import WorkerGroup


class WeightsDiffer(TrainerError):
    """Workers that started alike have come to different weights: what they would save is worth nothing."""

    reason = "WeightsDiffer"


@dataclass(frozen=True, slots=True)
class CallSummary:
    """What a call of some steps did, and what comes next; of one worker, or of all together.

    `seconds`, `save` and `steps_per_call` are the chief's: the time of training so far, whether to save now, and how
    many steps to run next. `stop` is true where anybody was asked to stop.
    """

    totals: Mapping[str, float]
    bad_step: int
    weights_finite: bool
    stop: bool
    save: bool
    seconds: float
    steps_per_call: int


def sync_call(group: WorkerGroup, own: CallSummary, before: Mapping[str, float]) -> CallSummary:
    """Return the call of all workers together; `before` are the totals that each has added its own numbers to."""
    if group.count == 1:
        return own
    plain = asdict(own) | {"totals": {name: float(value) for name, value in own.totals.items()}}
    chief, *others = calls = [CallSummary(**answer) for answer in group.gather(plain)]
    return CallSummary(
        totals={
            name: value + sum(other.totals[name] - float(before[name]) for other in others)
            for name, value in chief.totals.items()
        },
        bad_step=min((call.bad_step for call in calls if call.bad_step >= 0), default=-1),
        weights_finite=all(call.weights_finite for call in calls),
        stop=any(call.stop for call in calls),
        save=chief.save,
        seconds=chief.seconds,
        steps_per_call=chief.steps_per_call,
    )


@dataclass(frozen=True, slots=True)
class ValidationRound:
    """What is settled before each block of validation rows, of which not all workers have as many.

    `more` is true where anybody has another block, and `stop` where anybody was asked to stop.
    """

    more: bool
    stop: bool


def sync_validation(group: WorkerGroup, own: ValidationRound) -> ValidationRound:
    """Return the turn of all workers together; those without a block take part until nobody has one."""
    if group.count == 1:
        return own
    turns = [ValidationRound(**answer) for answer in group.gather(asdict(own))]
    return ValidationRound(more=any(round_.more for round_ in turns), stop=any(round_.stop for round_ in turns))


def newest_of_chief(
    group: WorkerGroup, folder: CheckpointFolder, plan: str, event_log: EventLog
) -> tuple[Snapshot, Path] | None:
    """Return the chief's newest checkpoint and where it is; the others get it from the chief, not from its store."""
    found = None if group.index else newest(folder, plan, event_log)
    if group.count == 1:
        return found
    path = group.gather(str(found[1]) if found else None)[0]
    content = group.share(to_bytes(found[0]) if found else b"")
    return (from_bytes(content, plan), Path(path)) if path else None


def add_up(group: WorkerGroup, totals: Totals) -> Totals:
    """Return the sums of the totals of all workers; one that has none hands in nothing."""
    if group.count == 1:
        return dict(totals)
    every = group.gather({name: np.asarray(value).tolist() for name, value in totals.items()})
    names = dict.fromkeys(name for own in every for name in own)
    return {name: sum(np.asarray(own[name], np.float64) for own in every if name in own) for name in names}


def check_same(group: WorkerGroup, arrays: Arrays) -> None:
    """Check that all workers hold the same numbers, bit for bit.

    Raises:
        WeightsDiffer: they do not.
    """
    if group.count == 1:
        return
    digest = hashlib.sha256()
    for name in sorted(arrays):
        digest.update(np.ascontiguousarray(arrays[name]).reshape(-1).view(np.uint8).data)
    digests = group.gather(digest.hexdigest())
    if odd := [number for number, found in enumerate(digests) if found != digests[0]]:
        raise WeightsDiffer(
            f"the weights of worker {odd[0]} are not those of worker 0 any more; nothing was saved. Run all workers "
            "on the same kind of machine, with the same image"
        )
