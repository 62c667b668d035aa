"""Why the numbers of a training are not finite any more, as far as can be told from the rows and the settings."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from trainyard_trainer.encoding.columns import DENSE
from trainyard_trainer.execution import BFLOAT16, FLOAT16, FLOAT32
from trainyard_trainer.fitting.steps import LABELS, WEIGHTS
from trainyard_trainer.tensors import Array, Tensors

HUGE = 1e4
"""Normalised features are of about 1; far beyond, one step can throw the weights anywhere."""
_ROWS = 65_536


@dataclass(frozen=True, slots=True)
class DivergenceDiagnosis:
    """What can make a training diverge. `columns` names those of the numbers of a table."""

    learning_rate: float
    precision: str
    columns: Sequence[str]

    def likeliest(self, rows: Tensors | None = None, which: Array | Sequence[int] = ()) -> str:
        """Return the likeliest cause, and what to change; `which` are the rows of the last steps."""
        worst, name = self._worst(rows, np.asarray(which)[:_ROWS]) if rows else (0.0, "")
        if not np.isfinite(worst):
            return (
                f"{name} holds a value that is not a finite number once prepared; correct it, or leave the column out"
            )
        if worst > HUGE:
            return (
                f"{name} reaches {worst:.3g} once prepared, where values of about 1 are expected; look for outliers, "
                "or leave the column out"
            )
        rate = f"a learning rate of {self.learning_rate:g} that is too high; try {self.learning_rate / 10:g}"
        wider = {FLOAT16: f"{BFLOAT16} or {FLOAT32}", BFLOAT16: FLOAT32}.get(self.precision)
        return f"{rate}, or fit.precision {wider} instead of {self.precision}" if wider else rate

    def _worst(self, rows: Tensors, which: Array) -> tuple[float, str]:
        """Return the largest size of a number that was trained on, and where it is."""
        found = [(0.0, "")]
        for name, value in rows.items():
            if value.dtype.is_floating and value.shape[0]:
                sizes = np.abs(value.numpy()[which].astype(np.float32)).reshape(len(which), -1)
                largest = np.where(np.isfinite(sizes), sizes, np.inf).max(axis=0, initial=0.0)
                column = int(largest.argmax())
                found.append((float(largest[column]), self._shown(name, column)))
        return max(found)

    def _shown(self, name: str, column: int) -> str:
        if name == DENSE and column < len(self.columns):
            return f"column {self.columns[column]!r}"
        return {LABELS: "the label", WEIGHTS: "the weight"}.get(name, f"input {name}")
