"""How to read a data set, beside its label and features."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from trainyard_api.data import ColumnType, CsvFormat
from trainyard_trainer.data.source import Source

LabelAs = Literal["class", "number", "sets"]


@dataclass(frozen=True, slots=True)
class SplitBy:
    """A column that parts the rows: whole groups of its values, or the latest times, are held back, about a share."""

    kind: Literal["group", "time"]
    column: str
    fraction: float
    seed: int
    fold: int | None = None


@dataclass(frozen=True, slots=True)
class Reading:
    """How to read a data set.

    `validation` are files whose rows are all held back, `validation_column` says it of each row, and `split` parts the
    rows by a column. `test` are files whose rows are for the test. `slices` are columns to tell the metrics by. With a
    `label_separator` a row has any number of labels. `label_as` is what a label is to the task: where it is absent,
    what the column holds. `columns` says what columns hold, against their values. With `drops_identifiers` columns that
    identify rows are left out, but for those that it `keeps`, unless the features are named. `weight` is the column
    that says how much each row counts.
    """

    validation: Source | None = None
    validation_column: str | None = None
    split: SplitBy | None = None
    slices: Sequence[str] = ()
    label_separator: str | None = None
    label_as: LabelAs | None = None
    max_bad_rows: int = 0
    exclude: Sequence[str] = ()
    columns: Mapping[str, ColumnType] = field(default_factory=dict)
    csv: CsvFormat | None = None
    drop_unlabelled: bool = False
    drops_identifiers: bool = False
    keeps: Sequence[str] = ()
    weight: str | None = None
    test: Source | None = None

    @property
    def chooser(self) -> tuple[str, str] | None:
        """The column that decides which rows are held back, after the field of the spec that names it."""
        if self.split:
            return f"data.validation.{'groupBy' if self.split.kind == 'group' else 'timeColumn'}", self.split.column
        return ("data.validation.column", self.validation_column) if self.validation_column else None

    @property
    def free_text_columns(self) -> frozenset[str]:
        """The columns whose values only have to be told apart: they may be numbers here and texts there."""
        declared = (name for name, kind in self.columns.items() if kind != "number")
        return frozenset((*declared, *self.slices, *([self.chooser[1]] if self.chooser else [])))
