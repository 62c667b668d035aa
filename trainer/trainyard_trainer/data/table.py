"""Tables: rows with the columns that training uses, whatever the format of the files."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from trainyard_api.data import CsvFormat
from trainyard_trainer.data import vectors
from trainyard_trainer.data.bad_rows import BadRow, BadRows
from trainyard_trainer.data.categories import empty_column
from trainyard_trainer.data.csv_files import CsvReader
from trainyard_trainer.data.decode import ColumnDecoder, as_texts, in_utf8, trimmed
from trainyard_trainer.data.example_files import ExampleReader
from trainyard_trainer.data.held_back import GroupSplit, Split, TimeSplit, beginning_of_latest, times_of
from trainyard_trainer.data.identifiers import why_identifier
from trainyard_trainer.data.numerals import PLAIN, Notation, alike, is_number, looks_like_number, notations, to_numbers
from trainyard_trainer.data.parquet_files import ParquetReader
from trainyard_trainer.data.parts import Part, Sources
from trainyard_trainer.data.readers import CORRUPT, Reader, Shard, StoredBatch, blaming
from trainyard_trainer.data.reading import Reading, SplitBy
from trainyard_trainer.data.schema import (
    Column,
    Found,
    LeftOut,
    Schema,
    choose,
    fits,
    kind_of,
    merge,
    mixed_types,
)
from trainyard_trainer.data.source import Source, SourceFile
from trainyard_trainer.errors import BadInput, one_line
from trainyard_trainer.tensors import Doubles, Floats, Integers, Mask

BATCH_ROWS = 16_384
INSPECTED_FILES = 200


@dataclass(frozen=True, slots=True)
class RawBatch:
    """Some rows as they came: numbers with NaN where missing, texts and label as Arrow arrays.

    `first_row` counts from the beginning of the shard, without rows that were left out, and `rows` are the numbers of
    the rows in their file. `media` holds, by name, columns of bytes (Arrow) or arrays (numpy, one entry a row).
    `files` names the file of each row where each has one of its own. `held_back` tells the validation rows where the
    data say so. `slices` holds, by name, texts (Arrow) by which the metrics are told, `words` those of which the words
    count, and `dates` those whose numbers are among `numbers`. `weights` say how much each row counts, and `tested`
    which rows are for the test, where the files say so.
    """

    file: str
    first_row: int
    numbers: Floats
    texts: tuple[pa.Array, ...]
    label: pa.Array
    media: Mapping[str, Any] = field(default_factory=dict)
    files: tuple[str, ...] = ()
    rows: Integers | None = None
    held_back: Mask | None = None
    slices: Mapping[str, pa.Array] = field(default_factory=dict)
    words: Mapping[str, pa.Array] = field(default_factory=dict)
    dates: Mapping[str, pa.Array] = field(default_factory=dict)
    weights: Floats | None = None
    tested: Mask | None = None

    def __len__(self) -> int:
        return len(self.label)

    def where(self, row: int) -> str:
        """Return where a row comes from, for a message."""
        if self.files:
            return self.files[row]
        return f"row {self._number(row) + 1} of {self.file}"

    def _number(self, row: int) -> int:
        """Return the number of a row in its file, from 0."""
        return self.first_row + row if self.rows is None else int(self.rows[row])

    def bad(self, why: Mapping[int, str]) -> list[BadRow]:
        """Return some rows as bad ones, by what is wrong with them."""
        return [
            BadRow(self.files[row], None, each) if self.files else BadRow(self.file, self._number(row), each)
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
            words={name: kept(texts) for name, texts in self.words.items()},
            dates={name: kept(texts) for name, texts in self.dates.items()},
            weights=None if self.weights is None else self.weights[keep],
            tested=None if self.tested is None else self.tested[keep],
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
        self.sources = Sources(source, self._reading.validation, self._reading.test)
        self.bad_rows = BadRows(self._reading.max_bad_rows)
        self._files = self.sources.files
        self._readers = {part: self._reader(each) for part, each in self.sources}
        free = self._reading.free_text_columns | ({label} if self._reading.label_as == "class" else frozenset())
        kinds = merge((self._inspect(*each) for each in self._inspected()), free)
        kinds |= partition_kinds(each for each, _ in self._files)
        self._kinds, self._fitting = kinds, pa.schema([])
        reader = next(iter(self._readers.values()))
        found = Found(
            kinds,
            source.location if len(source.files) > 1 else source.files[0].name,
            unnamed=reader.unnamed,
            index=reader.index,
            headless=reader.headless,
            advice=reader.advice,
        )
        self.schema = choose(found, self._reading, label=label, wanted=features)
        for each in self._readers.values():
            each.settle(kinds, self.schema.identities)
        if features is None and self._reading.drops_identifiers:
            self.schema = self._without_identifiers(self.schema)
        self.schema = replace(
            self.schema,
            label=replace(self._with_notation(self.schema.label), dtype="bool" if kinds[label] == "boolean" else ""),
            missing=tuple(sorted(reader.missing)),
            weight=self._with_notation(self.schema.weight) if self.schema.weight else None,
            features=tuple(self._with_length(self._with_notation(column)) for column in self.schema.features),
        )
        self.split = self._splitter()

    def shards(self) -> list[Shard]:
        """Return the pieces of the table, in a fixed order."""
        return [shard for file, part in self._files for shard in self._shards(file, part)]

    def read(self, shard: Shard, *, batch_rows: int = BATCH_ROWS) -> Iterator[RawBatch]:
        """Yield the rows of a piece, in order, at most `batch_rows` at a time.

        Raises:
            BadInput: more rows are bad than may be left out.
        """
        first_row = 0
        for batch in self._batches(shard, self.schema.columns, batch_rows):
            raw = self._raw(batch, shard.file, first_row)
            if len(raw):
                yield raw
                first_row += len(raw)

    def _splitter(self) -> Split | None:
        by = self._reading.split
        if by is None:
            return None
        return GroupSplit(by) if by.kind == "group" else TimeSplit(by, self._beginning_of_latest(by))

    def _beginning_of_latest(self, by: SplitBy) -> float:
        """Return the time from which on rows are held back, for which that column is read once by itself."""

        def times() -> Iterator[Doubles]:
            for file in self.sources.training.files:
                for shard in self._shards(file, "training"):
                    for batch in self._batches(shard, [by.column], BATCH_ROWS):
                        yield times_of(self._decoder(batch, file), by.column)

        return beginning_of_latest(times(), by.fraction)

    def _decoder(self, batch: StoredBatch, file: SourceFile) -> ColumnDecoder:
        separator, missing = self._reading.label_separator, self._readers[self.sources.part(file)].missing
        return ColumnDecoder(batch, file, self.schema, separator=separator, missing=missing)

    def _reader(self, source: Source) -> Reader:
        return reader_for(source, self.bad_rows, tolerant=self._reading.max_bad_rows > 0, csv=self._reading.csv)

    def _inspected(self) -> Iterator[tuple[SourceFile, Part]]:
        for part, source in self.sources:
            yield from ((file, part) for file in source.files[:INSPECTED_FILES])

    def _inspect(self, file: SourceFile, part: Part) -> tuple[str, dict[str, str]]:
        return file.name, kinds_in(file, self._readers[part])

    def _shards(self, file: SourceFile, part: Part) -> list[Shard]:
        with blaming(file.name):
            return list(self._readers[part].shards(file))

    def _batches(self, shard: Shard, columns: Sequence[str], batch_rows: int) -> Iterator[StoredBatch]:
        stored = [name for name in columns if name not in dict(shard.file.partition)]
        with blaming(shard.file.name):
            for batch in self._readers[self.sources.part(shard.file)].read(shard, stored, batch_rows=batch_rows):
                if len(batch.rows):
                    yield batch

    def _without_identifiers(self, schema: Schema) -> Schema:
        """Return the features without those that are empty or tell rows apart, as far as the first rows tell."""
        partition = dict(self._files[0][0].partition)
        names = [
            column.name
            for column in schema.features
            if column.kind in ("text", "number")
            and column.name not in (*self._reading.columns, *self._reading.keeps, *partition, *schema.slices)
        ]
        batches = self._stored(names)
        if not (sample := next(batches, None)):
            return schema
        numeric = {column.name for column in schema.features if column.kind == "number"}
        values = {name: self._sampled(name, sample, numeric=name in numeric) for name in names}
        empty = [name for name in names if _is_empty(values[name])]
        if empty and next(batches, None) is not None:  # values may come later
            empty = []
        left_out = {
            name: LeftOut(name, why)
            for name in names
            if (why := "it has no value" if name in empty else why_identifier(name, values[name], sample.rows))
        }
        kept = [column for column in schema.features if column.name not in left_out]
        if not kept:  # a table of a number only may have them in order
            left_out = {name: column for name, column in left_out.items() if name in schema.texts}
            kept = [column for column in schema.features if column.name not in left_out]
        if not kept:
            reasons = "; ".join(f"{column.name!r}: {column.why}" for column in left_out.values())
            raise BadInput(f"there is no column to learn from beside the label {schema.label.name!r} ({reasons})")
        return replace(schema, features=tuple(kept), left_out=(*schema.left_out, *left_out.values()))

    def _sampled(self, name: str, sample: StoredBatch, *, numeric: bool) -> pa.Array:
        """Return the values of a column as numbers or texts, null where missing; Arrow's null if they are neither."""
        values = sample.columns.column(name)
        if pa.types.is_integer(values.type) or pa.types.is_floating(values.type):
            return values
        texts = trimmed(as_texts(values))
        texts = pc.if_else(pc.is_in(texts, pa.array(sorted(self._readers["training"].missing))), None, texts)
        if numeric and not pa.types.is_boolean(values.type):
            try:
                return to_numbers(texts, self._readers["training"].notation(name))
            except CORRUPT:  # whoever reads the rows says which is no number
                return pa.nulls(len(texts))
        return texts

    def _stored(self, names: Sequence[str]) -> Iterator[StoredBatch]:
        """Yield the rows of the data as they are stored, a batch at a time; none without columns."""
        if not names:
            return
        for file, part in self._files:
            for shard in self._shards(file, part):
                yield from self._batches(shard, names, BATCH_ROWS)

    def _with_notation(self, column: Column) -> Column:
        """Return a column of numbers with how they are written."""
        if column.kind != "number":
            return column
        reader = self._readers["training"]
        if example := reader.ambiguous(column.name):
            raise BadInput(
                f"column {column.name!r} holds numbers such as {example!r}, which can be read in two ways: say which "
                "with data.csv.decimal or data.csv.thousands"
            )
        for part, other in self._readers.items():
            if other.notation(column.name) not in (reader.notation(column.name), PLAIN):
                raise BadInput(
                    f"column {column.name!r} has numbers written with {other.notation(column.name)} in "
                    f"data.{part}.uri, and with {reader.notation(column.name)} before; make them alike"
                )
        declared = self._kinds[column.name] == "text" and column.name in self._reading.columns
        return replace(column, notation=self._guessed(column.name) if declared else reader.notation(column.name))

    def _guessed(self, name: str) -> Notation:
        """Return how numbers are written in a column of texts that is said to hold some."""
        sample = next(self._stored([name]), None)
        column = trimmed(in_utf8(as_texts(sample.columns.column(name)))[0]) if sample else pa.array([], pa.string())
        texts = [
            text for text in pc.unique(column).to_pylist() if text and text not in self._readers["training"].missing
        ]
        numeric = [text for text in texts if looks_like_number(text)]
        found = notations(numeric) if numeric else [PLAIN]
        if not found or (not numeric and texts):
            raise BadInput(
                f"data.columns says that {name!r} is a number, but it holds {texts[0]!r}: write all in one notation, "
                "or leave it out with data.exclude"
            )
        if not alike(numeric, found):
            settings = self._reading.csv
            found = [each for each in found if settings and each.decimal == settings.decimal] or found
        return found[0]

    def _with_length(self, column: Column) -> Column:
        if column.kind != "vector":
            return column
        for file, part in self._files:
            for shard in self._shards(file, part):
                for batch in self._batches(shard, [column.name], 256):
                    length = vectors.length_of(batch.columns.column(column.name))
                    if length:
                        return replace(column, shape=(length,))
        raise BadInput(empty_column(column.name))

    def _raw(self, batch: StoredBatch, file: SourceFile, first_row: int) -> RawBatch:
        self._check_kinds(batch, file)
        stored = self._decoder(batch, file)
        held_back = self.sources.held_back(file, len(batch.rows))
        numbers = [stored.numbers(each) for each in self.schema.dense]
        raw = RawBatch(
            file=file.name,
            first_row=first_row,
            numbers=np.concatenate(numbers, axis=1) if numbers else np.zeros((len(batch.rows), 0), np.float32),
            texts=tuple(stored.texts(name) for name in self.schema.texts),
            label=stored.label(),
            media={name: stored.bytes(name) for name in self.schema.media},
            rows=batch.rows,
            held_back=self._chosen(stored) if held_back is None else held_back,
            slices={name: stored.texts(name) for name in self.schema.slices},
            words={name: stored.texts(name) for name in self.schema.words},
            dates={column.name: stored.dates(column.name) for column in self.schema.features if column.kind == "date"},
            weights=stored.weights(),
            tested=self.sources.tested(file, len(batch.rows)),
        )
        self.bad_rows.add(raw.bad(stored.bad))
        if unlabelled := raw.bad({row: why for row, why in stored.unlabelled.items() if row not in stored.bad}):
            self.bad_rows.add_unlabelled(unlabelled[0], len(unlabelled))
        bad = {*stored.bad, *stored.unlabelled, *self.bad_rows.among(file.name, batch.rows)}
        return raw.without(bad) if bad else raw

    def _chosen(self, stored: ColumnDecoder) -> Mask | None:
        """Return which rows are for validation, where a column decides it."""
        return self.split.held_back(stored) if self.split else stored.held_back()

    def _check_kinds(self, batch: StoredBatch, file: SourceFile) -> None:
        """Refuse a file that was not inspected at the beginning and holds something else."""
        stored = batch.columns.schema
        if self._readers["training"].settles_types or stored.equals(self._fitting):  # as nearly all batches are
            return
        names = set(stored.names)
        for column in (*self.schema.features, self.schema.label, *filter(None, [self.schema.weight])):
            if column.name in names:
                values = batch.columns.column(column.name)
                settled, found = self._kinds[column.name], kind_of(values.type)
                if not fits(column, settled, found):
                    row = int(np.argmax(values.is_valid().to_numpy(zero_copy_only=False)))
                    where, value = f"row {batch.rows[row] + 1} of {file.name}", _value(values, row)
                    raise mixed_types(column, settled, found, where=where, value=value)
        self._fitting = stored


def reader_for(source: Source, bad_rows: BadRows, *, tolerant: bool, csv: CsvFormat | None) -> Reader:
    """Return what reads the files of a source, whose format is one of tables."""
    if source.format == "csv":
        return CsvReader(source, bad_rows, tolerant=tolerant, settings=csv)
    if source.format == "tfrecord":
        return ExampleReader(source.filesystem, bad_rows)
    return ParquetReader(source.filesystem)


def kinds_in(file: SourceFile, reader: Reader) -> dict[str, str]:
    """Return what each column of a file holds.

    Raises:
        BadInput: the file cannot be read, or has two columns of one name.
    """
    with blaming(file.name):
        types = reader.inspect(file)
    if len(set(types.names)) < len(types.names):
        twice = next(name for name in types.names if types.names.count(name) > 1)
        raise BadInput(f"{file.name} has two columns named {twice!r}: give every column a name of its own")
    return {field.name: kind_of(field.type) for field in types}


def _value(values: pa.Array, row: int) -> str:
    try:
        return one_line(repr(values[row].as_py()), 50)
    except UnicodeDecodeError:
        return "a text that is not UTF-8"


def partition_kinds(files: Iterable[SourceFile]) -> dict[str, str]:
    """Return what the columns hold that folders stand for."""
    values: dict[str, list[str]] = {}
    for file in files:
        for name, value in file.partition:
            values.setdefault(name, []).extend([value] if value is not None else [])
    return {name: "number" if all(map(is_number, each)) else "text" for name, each in values.items()}


def _is_empty(values: pa.Array) -> bool:
    return not pa.types.is_null(values.type) and bool(pc.all(pc.is_null(values, nan_is_null=True)).as_py())
