"""How to read a data set, beside its label and features."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from trainyard_api.data import ColumnType, CsvFormat
from trainyard_trainer.data.source import Source

LabelAs = Literal["class", "number", "sets"]


@dataclass(frozen=True, slots=True)
class Reading:
    """How to read a data set.

    `validation` are files whose rows are all held back, `validation_column` says it of each row. `slices` are columns
    to tell the metrics by. With a `label_separator` a row has any number of labels. `label_as` is what a label is to
    the task: where it is absent, what the column holds. `columns` says what columns hold, against their values.
    With `drops_identifiers` columns that identify rows are left out, but for those that it `keeps`, unless the features
    are named.
    """

    validation: Source | None = None
    validation_column: str | None = None
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

    @property
    def free_text_columns(self) -> frozenset[str]:
        """The columns whose values only have to be told apart: they may be numbers here and texts there."""
        declared = (name for name, kind in self.columns.items() if kind != "number")
        return frozenset((*declared, *self.slices, *filter(None, [self.validation_column])))
