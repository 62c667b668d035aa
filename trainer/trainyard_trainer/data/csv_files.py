"""Reads CSV files: fast as long as every row is good, and once more with care where one is not."""

import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
import pyarrow.dataset as pa_dataset

from trainyard_api.data import CsvFormat
from trainyard_trainer.data.bad_rows import BadRow, BadRows
from trainyard_trainer.data.csv_dialect import (
    BAD_BYTE,
    HEADER_BYTES,
    MISSING,
    Dialect,
    RepairedText,
    dialect_of,
    shown,
)
from trainyard_trainer.data.csv_types import CsvTypes
from trainyard_trainer.data.numerals import PLAIN, Notation
from trainyard_trainer.data.readers import CORRUPT, Reader, Shard, StoredBatch, blaming, check_columns
from trainyard_trainer.data.source import Source, SourceFile
from trainyard_trainer.errors import BadInput, one_line

_READ_BYTES = 1 << 20
_INSPECTED_BYTES = 8 << 20
"""How much of a file decides the types of its columns."""
_EXPECTED = {pa.float64(): "a number", pa.bool_(): "true or false"}
_LONGEST_LINE = 256 << 20

BadRowHandler: TypeAlias = Callable[[pa_csv.InvalidRow], str]
"""Hears of a row with too few or too many fields, and says what to do: "skip"."""


class CsvReader(Reader):
    """Comma, semicolon, tab or bar; types come from the rows. `tolerant` takes mostly numbers for numbers."""

    def __init__(self, source: Source, bad_rows: BadRows, *, tolerant: bool, settings: CsvFormat | None = None) -> None:
        self._filesystem, self._bad_rows = source.filesystem, bad_rows
        self.unnamed: frozenset[str] = frozenset()
        self.settles_types = True
        self._settings = settings or CsvFormat()
        self.missing = frozenset(MISSING if self._settings.missing is None else self._settings.missing) | {""}
        self._inspection = CsvTypes(self._settings, self.missing, tolerant=tolerant)
        self._dialects: dict[str, Dialect] = {}
        self._types: dict[str, pa.DataType] = {}
        self._with_bad_rows: set[str] = set()
        self._block_bytes: dict[str, int] = {}
        """Of files with rows that are longer than a block."""

    def inspect(self, file: SourceFile) -> pa.Schema:
        """Return the types of the columns, as far as the beginning of a file tells."""
        dialect = self._dialect(file)
        self.unnamed |= dialect.unnamed
        self.headless, self.advice = self.headless or dialect.headless, self.advice or dialect.advice
        if dialect.is_empty:
            return pa.schema([(each, pa.null()) for each in dialect.names])
        with self._as_texts(file, dialect.names, lambda row: "skip", block_bytes=_INSPECTED_BYTES) as reader:
            batch = next(reader, None)
        types = self._inspection.of(file.name, dialect, batch)
        return pa.schema([(name, types[name]) for name in dialect.names])

    def notation(self, column: str) -> Notation:
        """Return how the numbers of a column are written."""
        return self._inspection.notations.get(column, PLAIN)

    def ambiguous(self, column: str) -> str | None:
        """Return a number of a column that can be read in two ways, where nothing tells which."""
        return self._inspection.ambiguous.get(column)

    def settle(self, kinds: Mapping[str, str], identities: Sequence[str] = ()) -> None:
        """Read all files with the same types, and `identities` as the texts that they are in the file."""
        # Whole numbers may get fractions, and an empty column numbers, after the part that was inspected.
        arrow = {"number": pa.float64(), "empty": pa.float64(), "boolean": pa.bool_()}
        self._types = {
            name: pa.string() if name in identities or self.notation(name) != PLAIN else arrow.get(kind, pa.string())
            for name, kind in kinds.items()
        }

    def shards(self, file: SourceFile) -> Iterator[Shard]:
        """Yield the file as one piece."""
        if self._dialect(file).is_empty:
            return
        yield Shard(file, self._fast(file).make_fragment(file.path, self._filesystem), 2 * _READ_BYTES)

    def read(self, shard: Shard, columns: Sequence[str], *, batch_rows: int) -> Iterator[StoredBatch]:
        """Yield the rows of a file."""
        done = 0
        check_columns(columns, self._dialect(shard.file).names, shard.file.name)
        if shard.file.path not in self._with_bad_rows:
            try:
                for batch in shard.fragment.to_batches(columns=list(columns), batch_size=batch_rows, batch_readahead=1):
                    yield StoredBatch(batch, np.arange(done, done + batch.num_rows))
                    done += batch.num_rows
            except CORRUPT:
                self._with_bad_rows.add(shard.file.path)
            else:
                return
        while True:
            try:
                for stored in self._with_care(shard.file, columns, batch_rows, done):
                    yield stored
                    done = int(stored.rows[-1]) + 1
            except pa.ArrowInvalid as error:
                self._take_longer_rows(shard.file, error)
            else:
                return

    def _take_longer_rows(self, file: SourceFile, error: pa.ArrowInvalid) -> None:
        """Read a file in larger blocks from now on, where a row did not fit into one; raise any other error."""
        if "straddling object" not in str(error):
            raise error
        if (block := self._block_bytes.get(file.path, _READ_BYTES)) >= _LONGEST_LINE:
            raise BadInput(
                f"{file.name} has a row of more than {_LONGEST_LINE >> 20} MiB: shorten it; a quote that is not closed "
                "makes one row of all that follow"
            ) from error
        self._block_bytes[file.path] = block * 8

    def _dialect(self, file: SourceFile) -> Dialect:
        if file.path not in self._dialects:
            with blaming(file.name), self._filesystem.open_input_stream(file.path) as stream:
                start = bytes(stream.read(HEADER_BYTES))
            whole = len(start) < HEADER_BYTES
            first = next(iter(self._dialects.values()), None)
            # A file of one row, or of one column, tells less of its delimiter than the first one did.
            settings = (
                self._settings if first is None else self._settings.model_copy(update={"delimiter": first.delimiter})
            )
            self._dialects[file.path] = dialect_of(start, file.name, settings, whole=whole)
        return self._dialects[file.path]

    def _fast(self, file: SourceFile) -> pa.Schema:
        dialect = self._dialect(file)
        return pa_dataset.CsvFileFormat(
            parse_options=_parsing(dialect),
            read_options=_reading(dialect, encoding=dialect.encoding),
            convert_options=pa_csv.ConvertOptions(column_types=self._types, null_values=list(self.missing)),
        )

    def _with_care(self, file: SourceFile, columns: Sequence[str], batch_rows: int, done: int) -> Iterator[StoredBatch]:
        """Yield the good rows after the first `done`, which are good, and report the others."""
        skipped: dict[int, str] = {}
        first_row = 1 + self._dialect(file).has_header  # Arrow counts rows from 1, with the header
        encoding = self._dialect(file).encoding.upper()
        in_words = f"{encoding} (data.csv.encoding can name another encoding, such as windows-1252)"

        def on_bad_row(row: pa_csv.InvalidRow) -> str:  # an error in here would be lost
            skipped[row.number - first_row] = f"it has {row.actual_columns} fields, expected {row.expected_columns}"
            return "skip"

        at = 0
        block_bytes = self._block_bytes.get(file.path, _READ_BYTES)
        for batch in self._as_texts(file, columns, on_bad_row, block_bytes=block_bytes):
            rows = np.arange(at, at + batch.num_rows + len(skipped))
            rows = rows[~np.isin(rows, list(skipped))][: batch.num_rows]
            at = rows[-1] + 1 if len(rows) else at
            new = rows >= done
            rows = rows[new]
            converted, why = self._converted(batch.filter(pa.array(new)), columns, in_words)
            self._report(file, skipped | {int(rows[index]): text for index, text in why.items()})
            good = ~np.isin(np.arange(len(rows)), list(why))
            converted, rows = converted.filter(pa.array(good)), rows[good]
            for first in range(0, len(rows), batch_rows):
                yield StoredBatch(converted.slice(first, batch_rows), rows[first : first + batch_rows])
        self._report(file, skipped)

    def _as_texts(
        self, file: SourceFile, columns: Sequence[str], on_bad_row: BadRowHandler, *, block_bytes: int = _READ_BYTES
    ) -> pa_csv.CSVStreamingReader:
        """Open a file as texts in UTF-8, whatever bytes are in it."""
        dialect = self._dialect(file)
        stream = RepairedText(self._filesystem.open_input_stream(file.path), dialect.encoding)
        while True:
            try:
                return pa_csv.open_csv(
                    # Buffered, because Arrow takes what one read gives for a block, however little it is.
                    pa.PythonFile(io.BufferedReader(stream), mode="r"),
                    parse_options=_parsing(dialect, on_bad_row),
                    # Only one thread knows the numbers of the rows.
                    read_options=_reading(dialect, block_bytes=block_bytes, use_threads=False),
                    convert_options=pa_csv.ConvertOptions(
                        column_types=dict.fromkeys(columns, pa.string()), include_columns=columns
                    ),
                )
            except pa.ArrowInvalid as error:
                # A row that is longer than a block cannot be cut.
                if "straddling object" not in str(error) or block_bytes >= _LONGEST_LINE:
                    raise
                block_bytes *= 8
                stream = RepairedText(self._filesystem.open_input_stream(file.path), dialect.encoding)

    def _converted(
        self, batch: pa.RecordBatch, columns: Sequence[str], in_words: str
    ) -> tuple[pa.RecordBatch, dict[int, str]]:
        """Return a batch of texts with its real types, null where that cannot be, and why not by row.

        `in_words` says what a text is to be.
        """
        why: dict[int, str] = {}
        arrays = []
        for name in columns:
            type_, column = self._types.get(name, pa.string()), batch.column(name)
            if type_ != pa.string():
                trimmed = pc.utf8_trim_whitespace(column)
                column = pc.if_else(pc.is_in(trimmed, pa.array(sorted(self.missing))), None, trimmed)
            for row in _misfits(column, type_):
                value = one_line(shown(column[row].as_py()), 50)
                expected = _EXPECTED.get(type_) or in_words
                why.setdefault(row, f"column {name!r}: {value_of(value)} is not {expected}")
            column = pc.if_else(pa.array(np.isin(np.arange(len(column)), list(why))), None, column) if why else column
            arrays.append(pc.cast(column, type_))
        return pa.record_batch(arrays, names=list(columns)), why

    def _report(self, file: SourceFile, why: Mapping[int, str]) -> None:
        if why:  # noted at once: whoever reads may stop after a batch
            self._with_bad_rows.add(file.path)
        self._bad_rows.add(BadRow(file.name, row, text) for row, text in sorted(why.items()))


def _parsing(dialect: Dialect, on_bad_row: BadRowHandler | None = None) -> pa_csv.ParseOptions:
    return pa_csv.ParseOptions(
        delimiter=dialect.delimiter,
        quote_char=dialect.quote or False,
        newlines_in_values=True,
        invalid_row_handler=on_bad_row,
    )


def _reading(
    dialect: Dialect, *, encoding: str = "utf8", block_bytes: int = _READ_BYTES, use_threads: bool = True
) -> Any:
    return pa_csv.ReadOptions(
        encoding="utf8" if encoding == "utf-8" else encoding,
        block_size=block_bytes,
        use_threads=use_threads,
        column_names=list(dialect.names),
        skip_rows=dialect.skipped_lines,
        skip_rows_after_names=int(dialect.has_header),
    )


def value_of(text: str) -> str:
    """Return a value in quotes, with the backslashes of its bytes as they are."""
    return f"'{text}'" if "\\" in text else repr(text)


def _misfits(column: pa.Array, type_: pa.DataType, first: int = 0) -> list[int]:
    """Return which values cannot be cast: halves that can be are done with."""
    if type_ == pa.string():
        marked = pc.fill_null(pc.match_substring_regex(column, BAD_BYTE), False)
        return [int(row) for row in np.flatnonzero(marked.to_numpy(zero_copy_only=False))]
    try:
        pc.cast(column, type_)
    except CORRUPT:
        if len(column) == 1:
            return [first]
        half = len(column) // 2
        return _misfits(column[:half], type_, first) + _misfits(column[half:], type_, first + half)
    return []
