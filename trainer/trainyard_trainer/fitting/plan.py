"""What a training is to do, and how far it is."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from trainyard_trainer.autotune.choices import Choices
from trainyard_trainer.fitting.saving import CheckpointInterval
from trainyard_trainer.fitting.stopping import Reason, StopState
from trainyard_trainer.workers.sharding import ALL, Share


@dataclass(frozen=True, slots=True)
class Position:
    """Where a training is: what a checkpoint holds beside the weights.

    `step` counts within the running epoch, whose `totals` so far are kept too. `seconds` is the time of training so
    far. `metrics` are those of the last epoch that was judged, `best_metrics` those of the epoch whose weights are kept
    as the best. `reason` is set once it is over; `step` is not 0 then if it ended within an epoch.
    """

    epoch: int = 0
    step: int = 0
    totals: Mapping[str, float] = field(default_factory=dict)
    seconds: float = 0.0
    stop: StopState = field(default_factory=StopState)
    metrics: Mapping[str, float] = field(default_factory=dict)
    best_metrics: Mapping[str, float] = field(default_factory=dict)
    reason: Reason | None = None

    @property
    def epochs_begun(self) -> int:
        """Finished epochs, and the running one."""
        return self.epoch + (self.step > 0)

    @classmethod
    def from_wire(cls, state: Mapping[str, Any]) -> "Position":
        """Return the position a checkpoint holds."""
        own = {part.name: state[part.name] for part in fields(cls)}
        return cls(**(own | {"stop": StopState(**own["stop"])}))


@dataclass(frozen=True, slots=True)
class Plan:
    """The fixed numbers of a training. `digest` tells which checkpoints fit it, `store` where paths are relative to.

    The batch size and `rows` are those of all workers together, `share` is this one's part.
    """

    epochs: int
    choices: Choices
    rows: int
    interval: CheckpointInterval
    digest: str
    store: Path
    share: Share = ALL

    @property
    def steps_per_epoch(self) -> int:
        """Steps of an epoch; the last one may be on fewer rows."""
        return math.ceil(self.rows / self.choices.batch_size)

    @property
    def own_batch(self) -> int:
        """Rows of each batch that are this worker's."""
        return self.share.of(self.choices.batch_size)

    def rows_left(self, step: int) -> int:
        """Return how many rows of an epoch are left after `step` of its steps."""
        return self.rows - step * self.choices.batch_size
