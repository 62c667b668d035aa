"""NPZ files: numpy's arrays by name, read piece by piece. Pickled objects are refused, because they can run code."""

import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import IO, Any

import numpy as np
import pyarrow as pa

from trainyard_trainer.data.bad_rows import BadRows
from trainyard_trainer.data.readers import Unit
from trainyard_trainer.data.schema import Column, Schema, choose, merge
from trainyard_trainer.data.source import Source, SourceFile
from trainyard_trainer.data.table import BATCH_ROWS, RawRows
from trainyard_trainer.errors import BadInput, one_line

_READ_BYTES = 1 << 20
_CORRUPT = (zipfile.BadZipFile, ValueError, EOFError, KeyError, NotImplementedError, pa.ArrowInvalid)


@dataclass(frozen=True, slots=True)
class _Header:
    """What an array's file says of it before its numbers."""

    shape: tuple[int, ...]
    dtype: Any
    by_column: bool

    @property
    def row_shape(self) -> tuple[int, ...]:
        """Shape of a row; that of a column vector is the one of its numbers."""
        return () if self.shape[1:] == (1,) else self.shape[1:]

    @property
    def kind(self) -> str:
        """What a column of it holds."""
        if len(self.row_shape) > 1:
            return "array" if self.dtype.kind in "uif" else f"arrays of {self.dtype}"
        return {"b": "boolean", "u": "number", "i": "number", "f": "number", "U": "text", "S": "text"}.get(
            self.dtype.kind, "Python objects" if self.dtype.hasobject else str(self.dtype)
        )


class ArrayTable:
    """One row for each entry of the arrays' first dimension.

    A one-dimensional array is a column, a two-dimensional one the columns `name_0`, `name_1` and so on, and one with
    more dimensions a column of arrays: bytes as they are, other numbers as float32.

    Raises:
        BadInput: a file is damaged, or the arrays do not fit each other or the spec.
    """

    def __init__(self, source: Source, *, label: str, features: Sequence[str] | None) -> None:
        self.source, self.bad_rows = source, BadRows(0)
        self.validation: Source | None = None
        headers = {file.name: self._headers(file) for file in source.files}
        first_file, first = next(iter(headers.items()))
        self._places = {column: place for name, header in first.items() for column, place in _columns(name, header)}
        where = source.location if len(source.files) > 1 else first_file
        kinds = merge((file, _kinds(each)) for file, each in headers.items())
        wanted = None if features is None else [each for name in features for each in _expanded(name, first)]
        self.schema = _with_shapes(choose(kinds, label=label, wanted=wanted, where=where), first)
        self._arrays = {self._places[name][0] for name in self.schema.columns}
        for file, each in headers.items():
            self._check(file, each, first)

    def units(self) -> list[Unit]:
        """Return the files."""
        return [Unit(file, file, 2 * _READ_BYTES) for file in self.source.files]

    def read(self, unit: Unit, *, batch_rows: int = BATCH_ROWS) -> Iterator[RawRows]:
        """Yield the rows of a file, in order, at most `batch_rows` at a time."""
        with _blaming(unit.file.name), self._open(unit.file) as archive, ExitStack() as stack:
            streams = {name: stack.enter_context(archive.open(f"{name}.npy")) for name in sorted(self._arrays)}
            readers = {name: _Reader(stream) for name, stream in streams.items()}
            first_row, rows = 0, readers[next(iter(readers))].header.shape[0]
            while first_row < rows:
                count = min(batch_rows, rows - first_row)
                arrays = {name: reader.take(count) for name, reader in readers.items()}
                yield self._raw(arrays, unit.file, first_row)
                first_row += count

    def _raw(self, arrays: Mapping[str, Any], file: SourceFile, first_row: int) -> RawRows:
        def column(name: str) -> Any:
            array, index = self._places[name]
            return arrays[array] if index is None else arrays[array][:, index]

        numbers = [column(name).astype(np.float32) for name in self.schema.numbers]
        label, rows = column(self.schema.label.name), len(next(iter(arrays.values())))
        return RawRows(
            file=file.name,
            first_row=first_row,
            numbers=np.stack(numbers, axis=1) if numbers else np.zeros((rows, 0), np.float32),
            texts=tuple(_texts(column(name)) for name in self.schema.texts),
            label=_texts(label) if self.schema.label.kind == "text" else pa.array(label.astype(np.float64)),
            media={each.name: column(each.name).astype(each.dtype) for each in self.schema.features if each.shape},
        )

    def _check(self, file: str, headers: Mapping[str, _Header], first: Mapping[str, _Header]) -> None:
        lengths = {name: headers[name].shape[0] for name in sorted(self._arrays)}
        if len(set(lengths.values())) > 1:
            shown = ", ".join(f"{name} {length}" for name, length in lengths.items())
            raise BadInput(
                f"the arrays of {file} have different numbers of rows ({shown}): make them equal, or name those that "
                "belong together in data.label and data.features"
            )
        for name in sorted(self._arrays):
            if headers[name].row_shape != first[name].row_shape:
                raise BadInput(
                    f"a row of {name!r} has shape {headers[name].row_shape} in {file} and {first[name].row_shape} in "
                    f"{self.source.files[0].name}: make them alike"
                )

    def _headers(self, file: SourceFile) -> dict[str, _Header]:
        headers = {}
        with _blaming(file.name), self._open(file) as archive:
            for member in archive.namelist():
                with archive.open(member) as stream:
                    headers[member.removesuffix(".npy")] = _read_header(stream)
        return {name: header for name, header in headers.items() if header.shape}

    @contextmanager
    def _open(self, file: SourceFile) -> Iterator[zipfile.ZipFile]:
        with self.source.filesystem.open_input_file(file.path) as stream, zipfile.ZipFile(stream) as archive:
            yield archive


class _Reader:
    """Takes rows off an array's file, one piece after another."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self.header = _read_header(stream)
        self._whole: Any = None
        if self.header.by_column:  # its rows lie scattered over the file
            count = int(np.prod(self.header.shape))
            self._whole = np.frombuffer(self._bytes(count), self.header.dtype).reshape(self.header.shape, order="F")

    def take(self, count: int) -> Any:
        """Return the next `count` rows."""
        shape = (count, *self.header.row_shape)
        if self._whole is not None:
            piece, self._whole = self._whole[:count], self._whole[count:]
            return piece.reshape(shape)
        return np.frombuffer(self._bytes(int(np.prod(shape))), self.header.dtype).reshape(shape)

    def _bytes(self, entries: int) -> bytes:
        size = entries * self.header.dtype.itemsize
        content = self._stream.read(size)
        if len(content) < size:
            raise EOFError("an array ends too early")
        return content


def _read_header(stream: IO[bytes]) -> _Header:
    version = np.lib.format.read_magic(stream)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, by_column, dtype = read(stream)
    return _Header(shape, dtype, by_column and len(shape) > 1)


def _columns(name: str, header: _Header) -> Iterator[tuple[str, tuple[str, int | None]]]:
    """Yield the columns of an array: the name of each, and where it is."""
    if len(header.row_shape) == 1:
        yield from ((f"{name}_{i}", (name, i)) for i in range(header.row_shape[0]))
    else:
        yield name, (name, None)


def _expanded(name: str, headers: Mapping[str, _Header]) -> list[str]:
    return [column for column, _ in _columns(name, headers[name])] if name in headers else [name]


def _kinds(headers: Mapping[str, _Header]) -> dict[str, str]:
    return {column: header.kind for name, header in headers.items() for column, _ in _columns(name, header)}


def _with_shapes(schema: Schema, headers: Mapping[str, _Header]) -> Schema:
    def shaped(column: Column) -> Column:
        if column.kind != "array":
            return column
        header = headers[column.name]
        return Column(column.name, "array", header.row_shape, "uint8" if header.dtype == np.uint8 else "float32")

    return Schema(schema.label, tuple(map(shaped, schema.features)))


def _texts(values: Any) -> Any:
    if values.dtype == bool:
        values = np.where(values, "true", "false")
    return pa.array(np.char.decode(values, "utf-8") if values.dtype.kind == "S" else values, pa.string())


@contextmanager
def _blaming(name: str) -> Iterator[None]:
    try:
        yield
    except _CORRUPT as error:
        raise BadInput(f"cannot read {name}: {one_line(error)}; write it again with numpy.savez") from error
