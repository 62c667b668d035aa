"""When to stop before the last epoch, and which epoch was the best: a pure state machine."""

import math
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Literal

from trainyard_api.fit import StopWhen
from trainyard_api.meta import parse_duration
from trainyard_trainer.tasks.metrics import check_metric, is_better_higher

Reason = Literal["TimeLimit", "LossThreshold", "EarlyStopping", "MaxSteps", "MaxEpochs"]
"""Where several hold, the first of these is given; a training that diverged or was stopped on request has none."""


@dataclass(frozen=True, slots=True)
class StopState:
    """What the policy remembers: kept in checkpoints, so that a resumed run decides alike."""

    best: float | None = None
    best_epoch: int = 0
    waited: int = 0

    def to_wire(self) -> dict[str, object]:
        """Return the JSON form."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What an epoch's numbers mean: the new memory, whether it was the best epoch, and why to stop, if so."""

    state: StopState
    improved: bool
    reason: Reason | None


class StopPolicy:
    """Decides after each epoch, and within one for what cannot wait. Epochs count from 1.

    `lossBelow` looks at the training loss. `noImprovement` follows Keras' EarlyStopping: an epoch counts as better if
    it beats the best one by more than `minDelta`. An epoch that is cut short is judged like a whole one.
    """

    def __init__(self, when: StopWhen, *, epochs: int = 1) -> None:
        self._when = when
        self._epochs = epochs
        self._time_limit = parse_duration(when.time_limit) if when.time_limit else None

    @property
    def keeps_best(self) -> bool:
        """Whether the best epoch's weights are wanted at the end, not the last one's."""
        return self._when.no_improvement is not None and self._when.no_improvement.restore_best_weights

    def steps_left(self, done: int, *, steps_per_epoch: int) -> int:
        """Return how many steps there are at most after those that are done."""
        return min(self._epochs * steps_per_epoch, self._when.steps or math.inf) - done  # type: ignore[return-value]

    def seconds_left(self, seconds: float) -> float:
        """Return how much time there is at most after that much of training."""
        return math.inf if self._time_limit is None else self._time_limit - seconds

    def cut(self, *, steps: int, seconds: float) -> Reason | None:
        """Return why to end the running epoch now, if so, after these steps and seconds of training."""
        if self.seconds_left(seconds) <= 0:
            return "TimeLimit"
        return "MaxSteps" if self._when.steps and steps >= self._when.steps else None

    def check(self, metrics: Collection[str]) -> None:
        """Refuse a watched metric that is not among those there will be.

        Raises:
            BadInput: with the names that would do.
        """
        if watched := self._when.no_improvement:
            check_metric("fit.stopWhen.noImprovement.metric", watched.metric, metrics)

    def judge(
        self, state: StopState, *, epoch: int, metrics: Mapping[str, float], cut: Reason | None = None
    ) -> Verdict:
        """Return the verdict on an epoch that is over, or was `cut`."""
        state, improved = self._watch(state, epoch, metrics)
        return Verdict(state, improved, self._reason(state, epoch, metrics, cut))

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

    def _reason(self, state: StopState, epoch: int, metrics: Mapping[str, float], cut: Reason | None) -> Reason | None:
        if cut == "TimeLimit":
            return cut
        if self._when.loss_below is not None and metrics["loss"] < self._when.loss_below:
            return "LossThreshold"
        if self._when.no_improvement and state.waited >= self._when.no_improvement.epochs:
            return "EarlyStopping"
        return cut or ("MaxEpochs" if epoch >= self._epochs else None)
