"""The progress of a training that is one of several: the whole only ever comes on."""

from typing import Any

from trainyard_trainer.reporting.progress_server import ProgressTracker


class PartTracker(ProgressTracker):
    """Holds the picture of one part, and keeps the whole's: steps and epochs go on from those of the parts before.

    The part is the share of the whole from `begin` to `end`. How many steps the parts to come will have is not known,
    so the steps of the whole are as many as make its share right.
    """

    def __init__(self, whole: ProgressTracker, *, begin: float, end: float) -> None:
        super().__init__(whole.clock)
        self._whole, self._before = whole, whole.current
        self._begin, self._end = begin, end

    def update(self, **changes: Any) -> None:
        """Replace the picture of the part, and that of the whole."""
        super().update(**changes)
        self._whole.update(**changes | self._of_whole())

    def _of_whole(self) -> dict[str, int]:
        own, before = self.current, self._before
        step = before.step + own.step
        share = self._begin + (self._end - self._begin) * (own.step / own.steps if own.steps else 0.0)
        steps = round(step / share if share and step else own.steps / (self._end - self._begin))
        return {
            "step": step,
            "steps": max(steps, step),
            "epoch": before.epoch + own.epoch,
            "epochs": before.epoch + own.epochs,
        }
