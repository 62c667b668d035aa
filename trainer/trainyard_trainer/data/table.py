"""Tables: rows with the columns that training uses, whatever the format of the files."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pyarrow as pa

from trainyard_trainer.data import vectors
from trainyard_trainer.data.bad_rows import BadRow, BadRows
from trainyard_trainer.data.categories import empty_column
from trainyard_trainer.data.csv_files import CsvReader
from trainyard_trainer.data.decode import ColumnDecoder
from trainyard_trainer.data.example_files import ExampleReader
from trainyard_trainer.data.parquet_files import ParquetReader
from trainyard_trainer.data.readers import Reader, Shard, StoredBatch, blaming
from trainyard_trainer.data.schema import Column, choose, fits, is_number, kind_of, merge, mixed_types
from trainyard_trainer.data.source import Source, SourceFile
from trainyard_trainer.errors import BadInput, one_line

BATCH_ROWS = 16_384
_INSPECTED_FILES = 200


@dataclass(frozen=True, slots=True)
class Reading:
    """How to read a data set, beside its label and features.

    `validation` are files whose rows are all held back, `validation_column` says it of each row. `slices` are columns
    to tell the metrics by. With a `label_separator` a row has any number of labels.
    """

    validation: Source | None = None
    validation_column: str | None = None
    slices: Sequence[str] = ()
    label_separator: str | None = None
    max_bad_rows: int = 0


@dataclass(frozen=True, slots=True)
class RawBatch:
    """Some rows as they came: numbers with NaN where missing, texts and label as Arrow arrays.

    `first_row` counts from the beginning of the shard, without rows that were left out, and `rows` are the numbers of
    the rows in their file. `media` holds, by name, columns of bytes (Arrow) or arrays (numpy, one entry a row).
    `files` names the file of each row where each has one of its own. `held_back` tells the validation rows where the
    data say so. `slices` holds, by name, texts (Arrow) by which the metrics are told.
    """

    file: str
    first_row: int
    numbers: Any
    texts: tuple[Any, ...]
    label: Any
    media: Mapping[str, Any] = field(default_factory=dict)
    files: tuple[str, ...] = ()
    rows: Any = None
    held_back: Any = None
    slices: Mapping[str, Any] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.label)

    def where(self, row: int) -> str:
        """Return where a row comes from, for a message."""
        if self.files:
            return self.files[row]
        return f"row {(self.first_row + row if self.rows is None else self.rows[row]) + 1} of {self.file}"

    def bad(self, why: Mapping[int, str]) -> list[BadRow]:
        """Return some rows as bad ones, by what is wrong with them."""
        return [
            BadRow(self.files[row], None, each) if self.files else BadRow(self.file, int(self.rows[row]), each)
            for row, each in sorted(why.items())
        ]

    def without(self, bad: Iterable[int]) -> "RawBatch":
        """Return the other rows."""
        keep = np.ones(len(self), bool)
        keep[list(bad)] = False
        which = pa.array(keep)

        def kept(values: Any) -> Any:
            return values[keep] if isinstance(values, np.ndarray) else values.filter(which)

        return replace(
            self,
            numbers=self.numbers[keep],
            texts=tuple(map(kept, self.texts)),
            label=kept(self.label),
            media={name: kept(each) for name, each in self.media.items()},
            files=tuple(name for name, wanted in zip(self.files, keep, strict=True) if wanted) if self.files else (),
            rows=None if self.rows is None else self.rows[keep],
            held_back=None if self.held_back is None else self.held_back[keep],
            slices={name: kept(each) for name, each in self.slices.items()},
        )


class Table:
    """A data set with the columns that training uses.

    Raises:
        BadInput: a file cannot be read as what it should be, or the columns do not fit the spec.
    """

    def __init__(
        self, source: Source, *, label: str, features: Sequence[str] | None, reading: Reading | None = None
    ) -> None:
        self._reading = reading or Reading()
        self.source, self.validation = source, self._reading.validation
        self.bad_rows = BadRows(self._reading.max_bad_rows)
        self._files = [(each, False) for each in source.files]
        if self.validation:
            self._files += [(each, True) for each in self.validation.files]
        self._readers = {held_back: self._reader(held_back) for _, held_back in self._files}
        kinds = merge(self._inspect(*each) for each in self._inspected())
        kinds |= _partition_kinds(each for each, _ in self._files)
        self._kinds, self._fitting = kinds, pa.schema([])
        for reader in self._readers.values():
            reader.settle(kinds)
        schema = choose(
            kinds,
            label=label,
            wanted=features,
            where=source.location if len(source.files) > 1 else source.files[0].name,
            validation=self._reading.validation_column,
            slices=self._reading.slices,
            several_labels=self._reading.label_separator is not None,
        )
        self.schema = replace(schema, features=tuple(map(self._with_length, schema.features)))

    def shards(self) -> list[Shard]:
        """Return the pieces of the table, in a fixed order."""
        return [shard for file, held_back in self._files for shard in self._shards(file, held_back)]

    def read(self, shard: Shard, *, batch_rows: int = BATCH_ROWS) -> Iterator[RawBatch]:
        """Yield the rows of a piece, in order, at most `batch_rows` at a time.

        Raises:
            BadInput: more rows are bad than may be left out.
        """
        first_row = 0
        held_back = self._held_back(shard.file)
        for batch in self._batches(shard, self.schema.columns, batch_rows):
            raw = self._raw(batch, shard.file, first_row, held_back)
            if len(raw):
                yield raw
                first_row += len(raw)

    def _reader(self, held_back: bool) -> Reader:
        source = self.validation if held_back and self.validation else self.source
        if source.format == "csv":
            return CsvReader(source, self.bad_rows, tolerant=self._reading.max_bad_rows > 0)
        if source.format == "tfrecord":
            return ExampleReader(source.filesystem, self.bad_rows)
        return ParquetReader(source.filesystem)

    def _inspected(self) -> Iterator[tuple[SourceFile, bool]]:
        for wanted in (False, True):
            yield from [each for each in self._files if each[1] == wanted][:_INSPECTED_FILES]

    def _inspect(self, file: SourceFile, held_back: bool) -> tuple[str, dict[str, str]]:
        with blaming(file.name):
            types = self._readers[held_back].inspect(file)
        if len(set(types.names)) < len(types.names):
            twice = next(name for name in types.names if types.names.count(name) > 1)
            raise BadInput(f"{file.name} has two columns named {twice!r}: give every column a name of its own")
        return file.name, {field.name: kind_of(field.type) for field in types}

    def _shards(self, file: SourceFile, held_back: bool) -> list[Shard]:
        with blaming(file.name):
            return list(self._readers[held_back].shards(file))

    def _batches(self, shard: Shard, columns: Sequence[str], batch_rows: int) -> Iterator[StoredBatch]:
        stored = [name for name in columns if name not in dict(shard.file.partition)]
        with blaming(shard.file.name):
            for batch in self._readers[bool(self._held_back(shard.file))].read(shard, stored, batch_rows=batch_rows):
                if len(batch.rows):
                    yield batch

    def _held_back(self, file: SourceFile) -> bool | None:
        """Return whether all rows of a file are for validation, or none are, or that the file does not decide it."""
        return None if self.validation is None else file in self.validation.files

    def _with_length(self, column: Column) -> Column:
        if column.kind != "vector":
            return column
        for file, held_back in self._files:
            for shard in self._shards(file, held_back):
                for batch in self._batches(shard, [column.name], 256):
                    length = vectors.length_of(batch.columns.column(column.name))
                    if length:
                        return replace(column, shape=(length,))
        raise BadInput(empty_column(column.name))

    def _raw(self, batch: StoredBatch, file: SourceFile, first_row: int, held_back: bool | None) -> RawBatch:
        self._check_kinds(batch, file)
        stored = ColumnDecoder(batch, file, self.schema, separator=self._reading.label_separator)
        numbers = [stored.numbers(each) for each in self.schema.dense]
        raw = RawBatch(
            file=file.name,
            first_row=first_row,
            numbers=np.concatenate(numbers, axis=1) if numbers else np.zeros((len(batch.rows), 0), np.float32),
            texts=tuple(stored.texts(name) for name in self.schema.texts),
            label=stored.label(),
            media={name: stored.bytes(name) for name in self.schema.media},
            rows=batch.rows,
            held_back=stored.held_back() if held_back is None else np.full(len(batch.rows), held_back),
            slices={name: stored.texts(name) for name in self.schema.slices},
        )
        self.bad_rows.add(raw.bad(stored.bad))
        bad = {*stored.bad, *self.bad_rows.among(file.name, batch.rows)}
        return raw.without(bad) if bad else raw

    def _check_kinds(self, batch: StoredBatch, file: SourceFile) -> None:
        """Refuse a file that was not inspected at the beginning and holds something else."""
        stored = batch.columns.schema
        if stored.equals(self._fitting):  # as nearly all batches are
            return
        names = set(stored.names)
        for column in (*self.schema.features, self.schema.label):
            if column.name in names:
                values = batch.columns.column(column.name)
                settled, found = self._kinds[column.name], kind_of(values.type)
                if not fits(column, settled, found):
                    row = int(np.argmax(values.is_valid().to_numpy(zero_copy_only=False)))
                    where, value = f"row {batch.rows[row] + 1} of {file.name}", one_line(repr(values[row].as_py()), 50)
                    raise mixed_types(column, settled, found, where=where, value=value)
        self._fitting = stored


def _partition_kinds(files: Iterable[SourceFile]) -> dict[str, str]:
    values: dict[str, list[str]] = {}
    for file in files:
        for name, value in file.partition:
            values.setdefault(name, []).extend([value] if value is not None else [])
    return {name: "number" if all(map(is_number, each)) else "text" for name, each in values.items()}
