"""A data set as rows, whatever it is stored as."""

from collections.abc import Iterator, Sequence
from typing import Protocol

from trainyard_trainer.data.arrays import ArrayTable
from trainyard_trainer.data.bad_rows import BadRows
from trainyard_trainer.data.directory import DirectoryTable
from trainyard_trainer.data.held_back import Split
from trainyard_trainer.data.parts import Sources
from trainyard_trainer.data.readers import Shard
from trainyard_trainer.data.reading import Reading
from trainyard_trainer.data.schema import Schema
from trainyard_trainer.data.source import Source
from trainyard_trainer.data.table import BATCH_ROWS, RawBatch, Table
from trainyard_trainer.errors import BadInput


class DataSet(Protocol):
    """Rows in a fixed order, in shards that can be read in any order."""

    sources: Sources
    schema: Schema
    bad_rows: BadRows
    """The rows that are left out, as far as they have been read."""
    split: Split | None
    """What parts the rows by a column, where something does."""

    def shards(self) -> list[Shard]:
        """Return the pieces of the data set, in a fixed order."""

    def read(self, shard: Shard, *, batch_rows: int = BATCH_ROWS) -> Iterator[RawBatch]:
        """Yield the rows of a piece, in order, at most `batch_rows` at a time."""


def open_data_set(
    source: Source, *, label: str, features: Sequence[str] | None, reading: Reading | None = None
) -> DataSet:
    """Return the data set that is made of the source's files.

    Raises:
        BadInput: a file cannot be read as what it should be, or the columns do not fit the spec.
    """
    if source.format in ("npz", "directory"):
        if reading and reading.split and reading.chooser:
            raise BadInput(
                f"{reading.chooser[0]} is for tables, not for format {source.format}: hold rows back with another "
                "field of data.validation"
            )
        if reading and reading.slices:
            raise BadInput(f"data.slices is for tables, not for format {source.format}: remove it")
        kinds = set(reading.columns.values()) if reading else set()
        if kinds - {"category", "number"} or (kinds and source.format == "directory"):
            raise BadInput(f"data.columns has dates or texts, which are for tables, not for format {source.format}")
        if source.format == "npz":
            return ArrayTable(source, label=label, features=features, reading=reading)
        return DirectoryTable(source, label=label, features=features, reading=reading)
    return Table(source, label=label, features=features, reading=reading)
