"""The rows to predict: inputs of the model, and the columns that are written beside its answers."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from trainyard_api.data import Data
from trainyard_trainer.data.bad_rows import BadRow, BadRows
from trainyard_trainer.data.decode import ColumnDecoder, in_utf8, shown
from trainyard_trainer.data.readers import Shard, StoredBatch, blaming
from trainyard_trainer.data.schema import merge
from trainyard_trainer.data.source import Source
from trainyard_trainer.data.table import INSPECTED_FILES, kinds_in, partition_kinds, reader_for
from trainyard_trainer.errors import BadInput, did_you_mean, listed
from trainyard_trainer.export.signatures import SignatureDescription
from trainyard_trainer.prediction.inputs import SignatureInputs
from trainyard_trainer.tensors import Array, Integers

_TABLE_ROWS, _FILE_ROWS = 4096, 64
"""Rows that are answered at a time: of a table, and of images or sounds."""


@dataclass(frozen=True, slots=True)
class InputRows:
    """Good rows of a file: what the model is given, what is written beside its answers, and their numbers."""

    file: str
    inputs: dict[str, Array]
    kept: pa.RecordBatch
    rows: Integers

    def __len__(self) -> int:
        return len(self.rows)

    def take(self, which: Integers) -> "InputRows":
        """Return some of them."""
        inputs = {name: values[which] for name, values in self.inputs.items()}
        return InputRows(self.file, inputs, self.kept.take(pa.array(which)), self.rows[which])

    def bad(self, row: int, why: str) -> BadRow:
        """Return a row as one that cannot be used."""
        return BadRow(self.file, int(self.rows[row]), why)


class InputTable:
    """The rows of a data set, for a signature.

    Args:
        source: The files.
        data: How they are read.
        signature: What the model takes and answers.
        keep: The columns to write beside the answers; all where there are none.

    Raises:
        BadInput: a file cannot be read as what it should be, or the columns do not fit the model.
    """

    def __init__(
        self, source: Source, data: Data, signature: SignatureDescription, *, keep: Sequence[str] | None
    ) -> None:
        if source.format in ("npz", "directory"):
            raise BadInput(
                f"program.predict reads tables, not format {source.format}: write the rows as Parquet, CSV or TFRecord"
            )
        self.bad_rows = BadRows(data.max_bad_rows)
        self._source = source
        self._reader = reader_for(source, self.bad_rows, tolerant=data.max_bad_rows > 0, csv=data.csv)
        inspected = [(file.name, kinds_in(file, self._reader)) for file in source.files[:INSPECTED_FILES]]
        kinds = merge(inspected, {name for _, each in inspected for name in each}) | partition_kinds(source.files)
        self.inputs = SignatureInputs(signature, kinds, self._reader)
        for name in keep or ():
            if name not in kinds:
                raise BadInput(
                    f"program.predict.columns names {name!r}, which is no column of the data"
                    f"{did_you_mean(name, kinds)} (it has {listed(kinds)})"
                )
        self._keep = list(kinds if keep is None else keep)
        self._columns = list(dict.fromkeys([*self.inputs.columns, *self._keep]))
        # What is no number to the model stays as it is in the file, such as an id with zeros in front.
        self._reader.settle(kinds, [name for name in self._columns if name not in self.inputs.numbers])
        self._schema = self.inputs.schema(self._reader.missing)

    @property
    def kept(self) -> list[str]:
        """The columns that are written beside the answers."""
        return self._keep

    def shards(self) -> list[Shard]:
        """Return the pieces of the data, in a fixed order."""
        found: list[Shard] = []
        for file in self._source.files:
            with blaming(file.name):
                found += self._reader.shards(file)
        return found

    def read(self, shard: Shard) -> Iterator[InputRows]:
        """Yield the good rows of a piece, in order.

        Raises:
            BadInput: more rows are bad than may be left out.
        """
        size = _FILE_ROWS if self.inputs.takes_files else _TABLE_ROWS
        stored = [name for name in self._columns if name not in dict(shard.file.partition)]
        with blaming(shard.file.name):
            for batch in self._reader.read(shard, stored, batch_rows=size):
                for first in range(0, len(batch.rows), size):
                    part = StoredBatch(batch.columns.slice(first, size), batch.rows[first : first + size])
                    yield self._decoded(part, shard)

    def _decoded(self, batch: StoredBatch, shard: Shard) -> InputRows:
        decoder = ColumnDecoder(batch, shard.file, self._schema, separator=None, missing=self._reader.missing)
        arrays = self.inputs.arrays(decoder)
        kept = [_readable(name, decoder) for name in self._keep]
        name = shard.file.name
        self.bad_rows.add(BadRow(name, int(batch.rows[row]), why) for row, why in sorted(decoder.bad.items()))
        bad = {*decoder.bad, *self.bad_rows.among(name, batch.rows)}
        rows = InputRows(name, arrays, pa.record_batch(kept, names=self._keep), batch.rows)
        good = np.setdiff1d(np.arange(len(rows)), list(bad))
        return rows.take(good) if bad else rows


def _readable(name: str, decoder: ColumnDecoder) -> pa.Array:
    """Return a column as it is in the file; a text that is not UTF-8 makes a bad row."""
    column = decoder.column(name)
    if pa.types.is_dictionary(column.type):
        column = pc.cast(column, column.type.value_type)
    if not pa.types.is_string(column.type):
        return column
    texts, odd = in_utf8(column)
    for row in odd:
        decoder.refuse(row, f"column {name!r}: {shown(column[row : row + 1])} is not UTF-8")
    return texts
