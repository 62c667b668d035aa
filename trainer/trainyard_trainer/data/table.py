"""Reads CSV and Parquet files through Arrow: batch by batch, in a fixed order, with errors that name the file."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
import pyarrow.dataset as pa_dataset

from trainyard_trainer.data.schema import Schema, choose, is_number, kind_of, merge
from trainyard_trainer.data.source import Source, SourceFile
from trainyard_trainer.errors import BadInput, one_line
from trainyard_trainer.stores.faults import fault

BATCH_ROWS = 16_384
_READ_BYTES = 1 << 20
_INSPECTED_FILES = 200
_INSPECTED_BYTES = 8 << 20
"""How much of a CSV file decides the types of its columns."""
_CORRUPT = (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError, UnicodeDecodeError)


@dataclass(frozen=True, slots=True)
class Unit:
    """The piece in which a table is read and shuffled: a Parquet row group, or a CSV file.

    `open_bytes` is about what it takes in memory while it is read: a row group is decoded as a whole.
    """

    file: SourceFile
    fragment: Any
    open_bytes: int


@dataclass(frozen=True, slots=True)
class RawRows:
    """Some rows as they came: numbers with NaN where missing, texts and label as Arrow arrays.

    `media` holds, by name, columns of bytes (Arrow) or arrays (numpy, one entry a row). `files` names the file of each
    row where each has one of its own.
    """

    file: str
    first_row: int
    numbers: Any
    texts: tuple[Any, ...]
    label: Any
    media: Mapping[str, Any] = field(default_factory=dict)
    files: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.label)

    def where(self, row: int) -> str:
        """Return where a row comes from, for a message."""
        return self.files[row] if self.files else f"row {self.first_row + row + 1} of {self.file}"


class Table:
    """A data set with the columns that training uses.

    Raises:
        BadInput: a file cannot be read as what it should be, or the columns do not fit the spec.
    """

    def __init__(self, source: Source, *, label: str, features: Sequence[str] | None) -> None:
        self.source = source
        self._csv = _CsvFormats(source) if source.format == "csv" else None
        kinds = merge(self._inspect(each) for each in source.files[:_INSPECTED_FILES])
        kinds |= _partition_kinds(source.files)
        where = source.location if len(source.files) > 1 else source.files[0].name
        self.schema: Schema = choose(kinds, label=label, wanted=features, where=where)
        if self._csv:
            self._csv.fix_types(kinds)

    def units(self) -> list[Unit]:
        """Return the pieces of the table, in a fixed order."""
        units = []
        for file in self.source.files:
            with _blaming(file.name):
                fragment = self._fragment(file)
                if self.source.format == "parquet":
                    groups = fragment.split_by_row_group()
                    units += [Unit(file, each, 2 * each.row_groups[0].total_byte_size) for each in groups]
                else:
                    units.append(Unit(file, fragment, 2 * _READ_BYTES))
        return units

    def read(self, unit: Unit, *, batch_rows: int = BATCH_ROWS) -> Iterator[RawRows]:
        """Yield the rows of a piece, in order, at most `batch_rows` at a time."""
        stored = [name for name in self.schema.columns if name not in dict(unit.file.partition)]
        first_row = 0
        with _blaming(unit.file.name):
            # By default Arrow reads 16 batches ahead, of every piece that is open.
            for batch in unit.fragment.to_batches(columns=stored, batch_size=batch_rows, batch_readahead=1):
                if batch.num_rows:
                    yield self._raw(batch, unit.file, first_row)
                    first_row += batch.num_rows

    def _inspect(self, file: SourceFile) -> tuple[str, dict[str, str]]:
        with _blaming(file.name):
            types = self._csv.inspect(file) if self._csv else self._fragment(file).physical_schema
        if len(set(types.names)) < len(types.names):
            twice = next(name for name in types.names if types.names.count(name) > 1)
            raise BadInput(f"{file.name} has two columns named {twice!r}: give every column a name of its own")
        return file.name, {field.name: kind_of(field.type) for field in types}

    def _fragment(self, file: SourceFile) -> Any:
        format_ = self._csv.of(file) if self._csv else pa_dataset.ParquetFileFormat()
        return format_.make_fragment(file.path, self.source.filesystem)

    def _raw(self, batch: Any, file: SourceFile, first_row: int) -> RawRows:
        constants = dict(file.partition)

        def column(name: str) -> Any:
            if name not in constants:
                return batch.column(name)
            return pa.array([constants[name]] * batch.num_rows, pa.string())

        numbers = [_as_numbers(name, column(name), file.name) for name in self.schema.numbers]
        label = column(self.schema.label.name)
        return RawRows(
            file=file.name,
            first_row=first_row,
            numbers=np.stack(numbers, axis=1) if numbers else np.zeros((batch.num_rows, 0), np.float32),
            texts=tuple(_as_texts(column(name)) for name in self.schema.texts),
            label=_as_texts(label) if self.schema.label.kind == "text" else pc.cast(label, pa.float64(), safe=False),
            media={name: pc.cast(column(name), pa.binary()) for name in self.schema.media},
        )


class _CsvFormats:
    """How to read each CSV file: its delimiter, and the same column types in all of them."""

    def __init__(self, source: Source) -> None:
        self._filesystem = source.filesystem
        self._delimiter = self._sniff(source.files[0])
        self._types: dict[str, Any] = {}

    def _sniff(self, file: SourceFile) -> str:
        with _blaming(file.name), self._filesystem.open_input_stream(file.path) as stream:
            header = stream.read(65_536).split(b"\n", 1)[0].decode("utf-8", "replace")
        return max(",\t;|", key=header.count)

    def of(self, file: SourceFile, block_size: int = _READ_BYTES) -> Any:
        return pa_dataset.CsvFileFormat(
            parse_options=pa_csv.ParseOptions(delimiter=self._delimiter, newlines_in_values=True),
            read_options=pa_csv.ReadOptions(block_size=block_size),
            convert_options=pa_csv.ConvertOptions(strings_can_be_null=True, column_types=self._types),
        )

    def inspect(self, file: SourceFile) -> Any:
        return self.of(file, _INSPECTED_BYTES).inspect(file.path, self._filesystem)

    def fix_types(self, kinds: dict[str, str]) -> None:
        # Whole numbers may get fractions, and an empty column numbers, after the part that was inspected.
        arrow = {"number": pa.float64(), "empty": pa.float64(), "boolean": pa.bool_(), "text": pa.string()}
        self._types = {name: arrow[kind] for name, kind in kinds.items() if kind in arrow}


@contextmanager
def _blaming(name: str) -> Iterator[None]:
    """Turn what Arrow says about a bad file into a message that names the file."""
    try:
        yield
    except (*_CORRUPT, OSError) as error:
        if found := fault(error, name):
            raise found from error
        # Arrow reports a damaged file as an OSError without a number; one with a number is the system's, and may pass.
        if isinstance(error, OSError) and error.errno is not None:
            raise
        text = one_line((str(error).partition("': ")[2] or str(error)).removeprefix("Invalid: "), 400)
        raise BadInput(f"cannot read {name}: {text}; correct the file, or leave it out") from error


def _partition_kinds(files: Iterable[SourceFile]) -> dict[str, str]:
    values: dict[str, list[str]] = {}
    for file in files:
        for name, value in file.partition:
            values.setdefault(name, []).extend([value] if value is not None else [])
    return {name: "number" if all(map(is_number, each)) else "text" for name, each in values.items()}


def _as_numbers(name: str, column: Any, file: str) -> Any:
    if pa.types.is_boolean(column.type):
        column = pc.cast(column, pa.uint8())
    try:
        return pc.cast(column, pa.float32(), safe=False).to_numpy(zero_copy_only=False)
    except _CORRUPT as error:
        raise BadInput(
            f"column {name!r} has mixed types: {one_line(error)} in {file}, where numbers were before"
        ) from error


def _as_texts(column: Any) -> Any:
    return pc.cast(column, pa.string())
