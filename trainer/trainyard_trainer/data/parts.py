"""Which files hold the rows to train on, to validate with and to test with."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np

from trainyard_trainer.data.source import Source, SourceFile
from trainyard_trainer.tensors import Mask

Part = Literal["training", "validation", "test"]


@dataclass(frozen=True, slots=True)
class Sources:
    """The files of a data set. Those to train on hold all rows where the others are absent."""

    training: Source
    validation: Source | None = None
    test: Source | None = None

    def __iter__(self) -> Iterator[tuple[Part, Source]]:
        parts: tuple[tuple[Part, Source | None], ...] = (
            ("training", self.training), ("validation", self.validation), ("test", self.test),
        )  # fmt: skip
        return ((part, source) for part, source in parts if source)

    @property
    def files(self) -> list[tuple[SourceFile, Part]]:
        """All files, in a fixed order."""
        return [(file, part) for part, source in self for file in source.files]

    def part(self, file: SourceFile) -> Part:
        """Return what the rows of a file are for; some of those to train on may be held back all the same."""
        return next((part for part, source in self if part != "training" and file in source.files), "training")

    def source(self, file: SourceFile) -> Source:
        """Return the source that a file belongs to."""
        return dict(self)[self.part(file)]

    def held_back(self, file: SourceFile, rows: int) -> Mask | None:
        """Return which rows of a file are for validation, where that follows from the file."""
        part = self.part(file)
        return np.full(rows, part == "validation") if self.validation or part == "test" else None

    def tested(self, file: SourceFile, rows: int) -> Mask | None:
        """Return which rows of a file are for the test, where that follows from the file."""
        return np.full(rows, self.part(file) == "test") if self.test else None
