"""Reads CSV files: fast as long as every row is good, and once more with care where one is not."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
import pyarrow.dataset as pa_dataset

from trainyard_trainer.data.bad_rows import BadRow, BadRows
from trainyard_trainer.data.readers import CORRUPT, Shard, StoredBatch, blaming, check_columns
from trainyard_trainer.data.schema import is_number
from trainyard_trainer.data.source import Source, SourceFile
from trainyard_trainer.errors import one_line

_READ_BYTES = 1 << 20
_INSPECTED_BYTES = 8 << 20
"""How much of a file decides the types of its columns."""
_EXPECTED = {pa.float64(): "a number", pa.bool_(): "true or false", pa.string(): "UTF-8"}


class CsvReader:
    """Comma, semicolon, tab or bar; types come from the rows. `tolerant` takes mostly numbers for numbers."""

    def __init__(self, source: Source, bad_rows: BadRows, *, tolerant: bool) -> None:
        self._filesystem, self._bad_rows, self._tolerant = source.filesystem, bad_rows, tolerant
        self._delimiter = self._sniff(source.files[0])
        self._types: dict[str, Any] = {}
        self._with_bad_rows: set[str] = set()

    def inspect(self, file: SourceFile) -> Any:
        """Return the types of the columns, as far as the beginning of a file tells."""
        format_ = pa_dataset.CsvFileFormat(
            parse_options=self._parsing(lambda row: "skip"),
            read_options=pa_csv.ReadOptions(block_size=_INSPECTED_BYTES),
            convert_options=pa_csv.ConvertOptions(strings_can_be_null=True),
        )
        types = format_.inspect(file.path, self._filesystem)
        # Texts that are not UTF-8 make a column of bytes: those rows are bad, the others are texts.
        types = pa.schema([each.with_type(pa.string()) if each.type == pa.binary() else each for each in types])
        return self._numbers_among_texts(file, types) if self._tolerant else types

    def settle(self, kinds: Mapping[str, str]) -> None:
        """Read all files with the same types."""
        # Whole numbers may get fractions, and an empty column numbers, after the part that was inspected.
        arrow = {"number": pa.float64(), "empty": pa.float64(), "boolean": pa.bool_(), "text": pa.string()}
        self._types = {name: arrow[kind] for name, kind in kinds.items() if kind in arrow}

    def shards(self, file: SourceFile) -> Iterator[Shard]:
        """Yield the file as one piece."""
        yield Shard(file, self._fast().make_fragment(file.path, self._filesystem), 2 * _READ_BYTES)

    def read(self, shard: Shard, columns: Sequence[str], *, batch_rows: int) -> Iterator[StoredBatch]:
        """Yield the rows of a file."""
        done, before, reason = 0, len(self._bad_rows), None
        if shard.file.path not in self._with_bad_rows:
            try:
                for batch in shard.fragment.to_batches(columns=list(columns), batch_size=batch_rows, batch_readahead=1):
                    yield StoredBatch(batch, np.arange(done, done + batch.num_rows))
                    done += batch.num_rows
            except CORRUPT as error:
                reason = error
            else:
                return
        yield from self._with_care(shard.file, columns, batch_rows, done)
        if reason and len(self._bad_rows) == before:
            raise reason  # it is not the rows
        self._with_bad_rows.add(shard.file.path)

    def _fast(self) -> Any:
        return pa_dataset.CsvFileFormat(
            parse_options=self._parsing(),
            read_options=pa_csv.ReadOptions(block_size=_READ_BYTES),
            convert_options=pa_csv.ConvertOptions(strings_can_be_null=True, column_types=self._types),
        )

    def _parsing(self, on_bad_row: Any = None) -> Any:
        return pa_csv.ParseOptions(delimiter=self._delimiter, newlines_in_values=True, invalid_row_handler=on_bad_row)

    def _sniff(self, file: SourceFile) -> str:
        with blaming(file.name), self._filesystem.open_input_stream(file.path) as stream:
            header = stream.read(65_536).split(b"\n", 1)[0].decode("utf-8", "replace")
        return max(",\t;|", key=header.count)

    def _with_care(self, file: SourceFile, columns: Sequence[str], batch_rows: int, done: int) -> Iterator[StoredBatch]:
        """Yield the good rows after the first `done`, which are good, and report the others."""
        skipped: dict[int, str] = {}

        def on_bad_row(row: Any) -> str:  # an error in here would be lost
            number = row.number - 2  # counted from 1, with the header
            skipped[number] = f"it has {row.actual_columns} fields, expected {row.expected_columns}"
            return "skip"

        at = 0
        for batch in self._as_bytes(file, columns, on_bad_row):
            rows = np.arange(at, at + batch.num_rows + len(skipped))
            rows = rows[~np.isin(rows, list(skipped))][: batch.num_rows]
            at = rows[-1] + 1 if len(rows) else at
            new = rows >= done
            rows = rows[new]
            converted, why = self._converted(batch.filter(pa.array(new)), columns)
            self._report(file, skipped | {int(rows[index]): text for index, text in why.items()})
            good = ~np.isin(np.arange(len(rows)), list(why))
            converted, rows = converted.filter(pa.array(good)), rows[good]
            for first in range(0, len(rows), batch_rows):
                yield StoredBatch(converted.slice(first, batch_rows), rows[first : first + batch_rows])
        self._report(file, skipped)

    def _as_bytes(self, file: SourceFile, columns: Sequence[str], on_bad_row: Any) -> Any:
        try:
            return pa_csv.open_csv(
                self._filesystem.open_input_stream(file.path),
                parse_options=self._parsing(on_bad_row),
                # Only one thread knows the numbers of the rows.
                read_options=pa_csv.ReadOptions(block_size=_READ_BYTES, use_threads=False),
                convert_options=pa_csv.ConvertOptions(
                    strings_can_be_null=True, column_types=dict.fromkeys(columns, pa.binary()), include_columns=columns
                ),
            )
        except pa.ArrowKeyError:
            check_columns(columns, self.inspect(file).names, file.name)
            raise

    def _converted(self, batch: Any, columns: Sequence[str]) -> tuple[Any, dict[int, str]]:
        """Return a batch of bytes with its real types, null where that cannot be, and why not by row."""
        why: dict[int, str] = {}
        arrays = []
        for name in columns:
            type_, column = self._types.get(name, pa.string()), batch.column(name)
            for row in _misfits(column, type_):
                value = one_line(column[row].as_py().decode("utf-8", "replace"), 50)
                why.setdefault(row, f"column {name!r}: {value!r} is not {_EXPECTED[type_]}")
            column = pc.if_else(pa.array(np.isin(np.arange(len(column)), list(why))), None, column) if why else column
            arrays.append(_cast(column, type_))
        return pa.record_batch(arrays, names=list(columns)), why

    def _report(self, file: SourceFile, why: Mapping[int, str]) -> None:
        self._bad_rows.add(BadRow(file.name, row, text) for row, text in sorted(why.items()))

    def _numbers_among_texts(self, file: SourceFile, types: Any) -> Any:
        texts = [each.name for each in types if each.type == pa.string()]
        if not texts:
            return types
        with self._as_bytes(file, texts, lambda row: "skip") as reader:
            batch = next(reader, None)
        for index, each in enumerate(types):
            if each.name in texts and batch is not None:
                values = [value.decode("utf-8", "replace") for value in batch.column(each.name).to_pylist() if value]
                if sum(map(is_number, values)) * 2 > len(values):
                    types = types.set(index, each.with_type(pa.float64()))
        return types


def _misfits(column: Any, type_: Any, first: int = 0) -> list[int]:
    """Return which values cannot be cast: halves that can be are done with."""
    try:
        _cast(column, type_)
    except CORRUPT:
        if len(column) == 1:
            return [first]
        half = len(column) // 2
        return _misfits(column[:half], type_, first) + _misfits(column[half:], type_, first + half)
    return []


def _cast(column: Any, type_: Any) -> Any:
    texts = pc.cast(column, pa.string())
    return texts if type_ == pa.string() else pc.cast(pc.utf8_trim_whitespace(texts), type_)
