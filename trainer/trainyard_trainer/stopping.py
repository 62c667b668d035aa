"""When to stop before the last epoch, and which epoch was the best: a pure state machine."""

import math
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

from trainyard_operator.api.fit import StopWhen
from trainyard_trainer.errors import BadInput, did_you_mean, listed
from trainyard_trainer.metrics import is_better_higher

Reason = Literal["MaxEpochs", "LossThreshold", "EarlyStopping"]


@dataclass(frozen=True, slots=True)
class StopState:
    """What the policy remembers: kept in checkpoints, so that a resumed run decides alike."""

    best: float | None = None
    best_epoch: int = 0
    waited: int = 0

    def to_wire(self) -> dict[str, Any]:
        """Return the JSON form."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What an epoch's numbers mean: the new memory, whether it was the best epoch, and why to stop, if so."""

    state: StopState
    improved: bool
    reason: Reason | None


class StopPolicy:
    """Decides after each epoch. Epochs count from 1.

    `lossBelow` looks at the training loss. `noImprovement` follows Keras' EarlyStopping with restore_best_weights:
    an epoch counts as better if it beats the best one by more than `minDelta`, and the weights of the best epoch are
    the ones to keep.
    """

    def __init__(self, when: StopWhen, *, epochs: int) -> None:
        self._when = when
        self._epochs = epochs

    @property
    def keeps_best(self) -> bool:
        """Whether the best epoch's weights are wanted at the end, not the last one's."""
        return self._when.no_improvement is not None

    def check(self, metrics: Collection[str]) -> None:
        """Refuse a watched metric that is not among those there will be.

        Raises:
            BadInput: with the names that would do.
        """
        watched = self._when.no_improvement
        if watched and watched.metric not in metrics:
            raise BadInput(
                f"fit.stopWhen.noImprovement.metric is {watched.metric!r}, which this training does not have"
                f"{did_you_mean(watched.metric, metrics)} (it has {listed(metrics)})"
            )

    def judge(self, state: StopState, *, epoch: int, metrics: Mapping[str, float]) -> Verdict:
        """Return the verdict on a finished epoch."""
        state, improved = self._watch(state, epoch, metrics)
        return Verdict(state, improved, self._reason(state, epoch, metrics))

    def _watch(self, state: StopState, epoch: int, metrics: Mapping[str, float]) -> tuple[StopState, bool]:
        watched = self._when.no_improvement
        if watched is None:
            return state, False
        value = metrics.get(watched.metric, math.nan)
        gain = (
            math.inf if state.best is None else (value - state.best) * (1 if is_better_higher(watched.metric) else -1)
        )
        if not math.isnan(value) and gain > watched.min_delta:
            return StopState(best=value, best_epoch=epoch), True
        return replace(state, waited=state.waited + 1), False

    def _reason(self, state: StopState, epoch: int, metrics: Mapping[str, float]) -> Reason | None:
        if self._when.loss_below is not None and metrics["loss"] < self._when.loss_below:
            return "LossThreshold"
        if self._when.no_improvement and state.waited >= self._when.no_improvement.epochs:
            return "EarlyStopping"
        return "MaxEpochs" if epoch >= self._epochs else None
