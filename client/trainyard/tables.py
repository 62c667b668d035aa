"""Reads the rows of a table on this machine: a CSV file, a Parquet file, a DataFrame, or a list of dictionaries."""

import bz2
import csv
import gzip
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, TypeAlias

from trainyard.errors import Usage
from trainyard_api.suggestions import did_you_mean

Cell: TypeAlias = str | float | bool | None
"""A value as the trainer sees it; None where it is missing."""
Row: TypeAlias = Mapping[str, Cell]

# As Arrow reads CSV files, which the trainer does.
MISSING = {
    "", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN", "N/A", "NA", "NULL",
    "NaN", "n/a", "nan", "null",
}  # fmt: skip
_BOOLEANS = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
CSV_SUFFIXES = (".csv", ".tsv")
PARQUET_SUFFIXES = (".parquet", ".pq")
_OPENERS: Mapping[str, Any] = {".gz": gzip.open, ".bz2": bz2.open}


@dataclass(frozen=True, slots=True)
class Table:
    """A table that can be read more than once. Columns are named by its first line."""

    name: str
    columns: tuple[str, ...]
    content: "Content"

    def rows(self) -> Iterator[Row]:
        """Yield the rows in order."""
        yield from self.content.rows()


class Content:
    """Where the rows of a table come from, and how the table is written into one file."""

    file_name: str

    def rows(self) -> Iterator[Row]:
        """Yield the rows in order."""
        raise NotImplementedError

    def size(self) -> int:
        """Return the number of bytes of the file."""
        raise NotImplementedError

    @contextmanager
    def open(self) -> Iterator[IO[bytes]]:
        """Open the file that is to be brought to the cluster."""
        raise NotImplementedError
        yield


def open_table(source: Any, *, name: str = "data") -> Table:
    """Return the table in a path, a DataFrame, or a list of dictionaries.

    Raises:
        Usage: it is none of these, does not exist, is empty, or needs a package that is not installed.
    """
    if hasattr(source, "to_csv"):
        return _from_text(name, source.to_csv(index=False))
    if isinstance(source, str | Path):
        return _from_file(Path(source).expanduser())
    if isinstance(source, Sequence) and source and all(isinstance(row, Mapping) for row in source):
        return _from_text(name, _as_csv(source))
    kind = type(source).__name__
    raise Usage(
        f"expected the path of a table, a DataFrame or a list of dictionaries, got {kind}: {str(source)[:80]!r}"
    )


def is_table_file(path: Path) -> bool:
    """Whether a file has the name of a table that can be looked at."""
    return _plain_suffix(path) in CSV_SUFFIXES + PARQUET_SUFFIXES


def to_cell(text: str | None) -> Cell:
    """Return a text of a CSV file as the value it stands for.

    >>> to_cell("1.5"), to_cell("NA"), to_cell("true"), to_cell("Torgersen")
    (1.5, None, True, 'Torgersen')
    """
    if text is None or text in MISSING:
        return None
    if text in _BOOLEANS:
        return _BOOLEANS[text]
    try:
        # Python also reads 1_000 and non-ASCII digits, which Arrow does not.
        return float(text) if text.isascii() and "_" not in text else text
    except ValueError:
        return text


def delimiter_of(header: str) -> str:
    """Return what separates the fields of a CSV file, by its first line."""
    return max(",\t;|", key=header.count)


def _plain_suffix(path: Path) -> str:
    return Path(path.stem).suffix.lower() if path.suffix in _OPENERS else path.suffix.lower()


def _from_file(path: Path) -> Table:
    if not path.exists():
        beside = sorted(file.name for file in path.parent.glob("*")) if path.parent.is_dir() else []
        raise Usage(f"the file {path} does not exist{did_you_mean(path.name, beside)}")
    if path.is_dir():
        raise Usage(f"{path} is a folder: bring it to a claim or a store, and give its URI, such as s3://bucket/folder")
    if _plain_suffix(path) in PARQUET_SUFFIXES:
        return Table(path.name, *_opened(_ParquetFile(path)))
    if _plain_suffix(path) not in CSV_SUFFIXES:
        raise Usage(f"{path}: expected a table as .csv, .tsv or .parquet, or the .yaml of a TrainingJob")
    return Table(path.name, *_opened(_CsvFile(path)))


def _opened(content: "_CsvFile | _ParquetFile | _CsvText") -> tuple[tuple[str, ...], Content]:
    return content.columns(), content


def _from_text(name: str, text: str) -> Table:
    return Table(f"{name}.csv", *_opened(_CsvText(f"{name}.csv", text)))


def _as_csv(rows: Sequence[Mapping[str, Any]]) -> str:
    columns = list(dict.fromkeys(column for row in rows for column in row))
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, columns, restval="")
    writer.writeheader()
    writer.writerows({name: "" if value is None else value for name, value in row.items()} for row in rows)
    return text.getvalue()


def _read_csv(stream: IO[str], name: str) -> Iterator[Row]:
    header = stream.readline()
    reader = csv.reader(stream, delimiter=delimiter_of(header))
    columns = _columns(header, name)
    for fields in reader:
        if fields:
            yield dict(zip(columns, map(to_cell, fields), strict=False))


def _columns(header: str, name: str) -> tuple[str, ...]:
    fields = next(csv.reader([header], delimiter=delimiter_of(header)), [])
    if not fields:
        raise Usage(f"{name} is empty: expected the names of the columns in its first line, and rows below it")
    twice = sorted({field for field in fields if fields.count(field) > 1})
    if twice:
        raise Usage(f"{name}: two columns have the name {twice[0]!r}: give each its own")
    return tuple(fields)


class _CsvFile(Content):
    def __init__(self, path: Path) -> None:
        self._path = path
        self.file_name = path.name

    def columns(self) -> tuple[str, ...]:
        with self._reading() as stream:
            return _columns(stream.readline(), self._path.name)

    def rows(self) -> Iterator[Row]:
        with self._reading() as stream:
            yield from _read_csv(stream, self._path.name)

    def size(self) -> int:
        return self._path.stat().st_size

    @contextmanager
    def open(self) -> Iterator[IO[bytes]]:
        with self._path.open("rb") as stream:
            yield stream

    @contextmanager
    def _reading(self) -> Iterator[IO[str]]:
        opener = _OPENERS.get(self._path.suffix, open)
        try:
            with opener(self._path, "rt", encoding="utf-8-sig", newline="") as stream:
                yield stream
        except UnicodeDecodeError as error:
            raise Usage(f"{self._path.name} is not UTF-8: save it as CSV UTF-8 (byte {error.start})") from error
        except (OSError, EOFError, csv.Error) as error:
            raise Usage(f"{self._path.name} cannot be read: {error}") from error


class _CsvText(Content):
    def __init__(self, file_name: str, text: str) -> None:
        self.file_name = file_name
        self._text = text

    def columns(self) -> tuple[str, ...]:
        return _columns(self._text.partition("\n")[0], self.file_name)

    def rows(self) -> Iterator[Row]:
        yield from _read_csv(io.StringIO(self._text, newline=""), self.file_name)

    def size(self) -> int:
        return len(self._text.encode())

    @contextmanager
    def open(self) -> Iterator[IO[bytes]]:
        yield io.BytesIO(self._text.encode())


class _ParquetFile(Content):
    def __init__(self, path: Path) -> None:
        self._path = path
        self.file_name = path.name

    def columns(self) -> tuple[str, ...]:
        return tuple(map(str, self._parquet().schema_arrow.names))

    def rows(self) -> Iterator[Row]:
        for batch in self._parquet().iter_batches():
            for row in batch.to_pylist():
                yield {name: _plain(value) for name, value in row.items()}

    def size(self) -> int:
        return self._path.stat().st_size

    @contextmanager
    def open(self) -> Iterator[IO[bytes]]:
        with self._path.open("rb") as stream:
            yield stream

    def _parquet(self) -> Any:
        try:
            import pyarrow.parquet
        except ImportError as error:
            raise Usage(
                f"looking into {self._path.name} needs pyarrow: pip install pyarrow, or save it as CSV"
            ) from error
        try:
            return pyarrow.parquet.ParquetFile(self._path)
        except (OSError, pyarrow.ArrowException) as error:
            raise Usage(f"{self._path.name} is no Parquet file: {error}") from error


def _plain(value: Any) -> Cell:
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, int | float):
        return None if value != value else float(value)
    return str(value)


def in_order(rows: Iterable[Row], columns: Sequence[str]) -> Iterator[tuple[Cell, ...]]:
    """Yield rows as tuples in the order of the columns; what a row lacks is missing."""
    for row in rows:
        yield tuple(row.get(column) for column in columns)


def open_text(text: str, name: str) -> Table:
    """Return the table in the text of a CSV file.

    Raises:
        Usage: the text is empty, or its first line does not name the columns.
    """
    return _from_text(name, text)
