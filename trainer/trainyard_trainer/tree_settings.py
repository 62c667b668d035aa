"""The knobs of a family of trees, with what they are where a spec leaves them out. Knows neither ydf nor TensorFlow."""

from dataclasses import dataclass
from typing import TypeGuard

from trainyard_api.program import TREE_FAMILIES, KerasProgram, ModelProgram
from trainyard_api.trainingjob import TrainingJobSpec

_SLICE_CELLS = 10_000_000
"""Cells (rows times columns times rounds) of a slice: about a second of growing on one core."""
_MOST_ROUNDS = 25


@dataclass(frozen=True, slots=True)
class TreeSettings:
    """How to grow trees. A round adds one tree, or with several classes and boosting one for each class."""

    boosted: bool
    rounds: int
    max_depth: int
    min_examples: int
    shrinkage: float
    subsample: float
    l2: float

    @classmethod
    def of(cls, program: KerasProgram) -> "TreeSettings":
        """Return the settings of a program; the defaults are ydf's."""
        boosted = program.family == "gradientBoostedTrees"
        return cls(
            boosted=boosted,
            rounds=program.num_trees or 300,
            max_depth=program.max_depth or (6 if boosted else 16),
            min_examples=program.min_examples or 5,
            shrinkage=program.shrinkage or 0.1,
            subsample=program.subsample or 1.0,
            l2=program.l2 or 0.0,
        )


def grows_trees(program: ModelProgram) -> TypeGuard[KerasProgram]:
    """Return whether a program's family is one of trees."""
    return program.family in TREE_FAMILIES


def most_epochs(spec: TrainingJobSpec) -> int | None:
    """Return how often a training may pass over its rows: for trees, each round is one pass.

    Nothing where that depends on the data, which nobody has looked at yet.
    """
    program = spec.program.keras
    return TreeSettings.of(program).rounds if program and grows_trees(program) else spec.fit.epochs


def rounds_per_slice(rows: int, columns: int) -> int:
    """Return how many rounds are grown between two checkpoints.

    It depends on the data alone, not on the speed: so slices begin at the same rounds in every run.
    """
    return max(1, min(_MOST_ROUNDS, _SLICE_CELLS // (rows * columns)))
