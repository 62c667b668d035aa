"""NPZ files: numpy's arrays by name, read piece by piece. Pickled objects are refused, because they can run code."""

import lzma
import struct
import tokenize
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial

import numpy as np
import pyarrow as pa

from trainyard_trainer.data.bad_rows import BadRows
from trainyard_trainer.data.decode import as_texts, told_apart, trimmed, unusable, unusable_weights
from trainyard_trainer.data.held_back import Split
from trainyard_trainer.data.npy import ArrayReader, Header, read_header
from trainyard_trainer.data.parts import Sources
from trainyard_trainer.data.readers import Shard
from trainyard_trainer.data.reading import Reading
from trainyard_trainer.data.schema import Column, Found, Schema, choose, merge
from trainyard_trainer.data.source import Source, SourceFile
from trainyard_trainer.data.table import BATCH_ROWS, RawBatch
from trainyard_trainer.errors import BadInput, one_line
from trainyard_trainer.tensors import Array, Arrays, Integers

_READ_BYTES, _BATCH_BYTES = 1 << 20, 64 << 20
_CORRUPT = (
    zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error, ValueError, EOFError, KeyError, TypeError,
    SyntaxError, NotImplementedError, OverflowError, MemoryError, RecursionError, RuntimeError, tokenize.TokenError,
    pa.ArrowInvalid,
)  # fmt: skip
"""What zipfile and numpy raise of damaged files; RuntimeError: it is encrypted."""


class ArrayTable:
    """One row for each entry of the arrays' first dimension.

    A one-dimensional array is a column, a two-dimensional one the columns `name_0`, `name_1` and so on, and one with
    more dimensions a column of arrays: bytes as they are, other numbers as float32.

    Raises:
        BadInput: a file is damaged, or the arrays do not fit each other or the spec.
    """

    def __init__(
        self, source: Source, *, label: str, features: Sequence[str] | None, reading: Reading | None = None
    ) -> None:
        reading = reading or Reading()
        self.sources = Sources(source, reading.validation, reading.test)
        self.bad_rows = BadRows(reading.max_bad_rows)
        self.split: Split | None = None
        self._files = [file for file, _ in self.sources.files]
        headers = {file.name: self._headers(file) for file in self._files}
        first_file, first = next(iter(headers.items()))
        self._places = {column: place for name, header in first.items() for column, place in _columns(name, header)}
        where = source.location if len(source.files) > 1 else first_file
        kinds = merge((file, _kinds(each)) for file, each in headers.items())
        wanted = None if features is None else [each for name in features for each in _expanded(name, first)]
        chosen = choose(Found(kinds, where), reading, label=label, wanted=wanted)
        if chosen.validation and kinds[chosen.validation] not in ("number", "boolean", "text"):
            raise BadInput(
                f"data.validation.column names {chosen.validation!r}, which holds {kinds[chosen.validation]}: expected "
                "an array of true and false, numbers or texts, one a row"
            )
        self.schema = _with_shapes(chosen, first)
        self._arrays = {self._places[name][0] for name in self.schema.columns}
        for file, each in headers.items():
            self._check(file, each, first)

    def shards(self) -> list[Shard]:
        """Return the files."""
        return [Shard(file, file, 2 * _READ_BYTES) for file in self._files]

    def read(self, shard: Shard, *, batch_rows: int = BATCH_ROWS) -> Iterator[RawBatch]:
        """Yield the rows of a file, in order, at most `batch_rows` at a time.

        Raises:
            BadInput: the file is damaged, or more rows are bad than may be left out.
        """
        with _blaming(shard.file.name), self._open(shard.file) as archive, ExitStack() as stack:
            streams = {name: stack.enter_context(archive.open(f"{name}.npy")) for name in sorted(self._arrays)}
            sizes = {name: archive.getinfo(f"{name}.npy").file_size for name in streams}
            readers = {name: ArrayReader(stream, sizes[name]) for name, stream in streams.items()}
            widest = max(reader.header.row_bytes for reader in readers.values())
            batch_rows = min(batch_rows, max(1, _BATCH_BYTES // widest))
            begin, first_row, rows = 0, 0, readers[next(iter(readers))].header.shape[0]
            while begin < rows:
                count = min(batch_rows, rows - begin)
                arrays = {name: reader.take(count) for name, reader in readers.items()}
                raw = self._usable(self._raw(arrays, shard.file, first_row, np.arange(begin, begin + count)), arrays)
                if len(raw):
                    yield raw
                begin, first_row = begin + count, first_row + len(raw)

    def _column(self, arrays: Arrays, name: str) -> Array:
        array, index = self._places[name]
        return arrays[array] if index is None else arrays[array][:, index]

    def _raw(self, arrays: Arrays, file: SourceFile, first_row: int, rows: Integers) -> RawBatch:
        column = partial(self._column, arrays)
        numbers = [column(name).astype(np.float32) for name in self.schema.numbers]
        label = column(self.schema.label.name)
        return RawBatch(
            file=file.name,
            first_row=first_row,
            numbers=np.stack(numbers, axis=1) if numbers else np.zeros((len(rows), 0), np.float32),
            texts=tuple(_texts(column(name)) for name in self.schema.texts),
            label=_texts(label) if self.schema.label.kind == "text" else pa.array(label.astype(np.float64)),
            media={each.name: column(each.name).astype(each.dtype) for each in self.schema.features if each.shape},
            rows=rows,
            held_back=self.sources.held_back(file, len(rows)),
            weights=column(self.schema.weight.name).astype(np.float32) if self.schema.weight else None,
            tested=self.sources.tested(file, len(rows)),
        )

    def _usable(self, raw: RawBatch, arrays: Arrays) -> RawBatch:
        """Return the rows that can be used, each of them told whether it is for validation."""
        label, bad = self.schema.label.name, dict[int, str]()
        if self.schema.validation and raw.held_back is None:
            texts = _texts(self._column(arrays, self.schema.validation))
            held_back, bad = told_apart(self.schema.validation, texts)
            raw = replace(raw, held_back=held_back)
        if self.schema.weight and raw.weights is not None:
            bad = unusable_weights(self.schema.weight.name, raw.weights) | bad
        for name, values in raw.media.items():
            for row in np.flatnonzero(~np.isfinite(values).reshape(len(raw), -1).all(axis=1)):
                bad[int(row)] = f"the array {name!r} holds a number that is not finite"
        self.bad_rows.add(raw.bad(bad))
        why = f"the label {label!r} is missing, or no finite number"
        unlabelled = {int(row): why for row in np.flatnonzero(unusable(raw.label)) if int(row) not in bad}
        if places := raw.bad(unlabelled):
            self.bad_rows.add_unlabelled(places[0], len(places))
        gone = bad | unlabelled
        return raw.without(gone) if gone else raw

    def _check(self, file: str, headers: Mapping[str, Header], first: Mapping[str, Header]) -> None:
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
                    f"{self.sources.training.files[0].name}: make them alike"
                )
            if len(first[name].row_shape) > 1 and headers[name].is_bytes != first[name].is_bytes:
                raise BadInput(
                    f"array {name!r} holds {headers[name].dtype} in {file} and {first[name].dtype} in "
                    f"{self.sources.training.files[0].name}: bytes count from 0 to 255, other numbers do not; make "
                    "them alike"
                )

    def _headers(self, file: SourceFile) -> dict[str, Header]:
        headers = {}
        with _blaming(file.name), self._open(file) as archive:
            for member in archive.namelist():
                with archive.open(member) as stream:
                    headers[member.removesuffix(".npy")] = read_header(stream, archive.getinfo(member).file_size)
        return {name: header for name, header in headers.items() if header.shape}

    @contextmanager
    def _open(self, file: SourceFile) -> Iterator[zipfile.ZipFile]:
        source = self.sources.source(file)
        with source.filesystem.open_input_file(file.path) as stream, zipfile.ZipFile(stream) as archive:
            yield archive


def _columns(name: str, header: Header) -> Iterator[tuple[str, tuple[str, int | None]]]:
    """Yield the columns of an array: the name of each, and where it is."""
    if len(header.row_shape) == 1:
        yield from ((f"{name}_{i}", (name, i)) for i in range(header.row_shape[0]))
    else:
        yield name, (name, None)


def _expanded(name: str, headers: Mapping[str, Header]) -> list[str]:
    return [column for column, _ in _columns(name, headers[name])] if name in headers else [name]


def _kinds(headers: Mapping[str, Header]) -> dict[str, str]:
    return {column: header.kind for name, header in headers.items() for column, _ in _columns(name, header)}


def _with_shapes(schema: Schema, headers: Mapping[str, Header]) -> Schema:
    def shaped(column: Column) -> Column:
        if column.kind != "array":
            return column
        header = headers[column.name]
        return Column(column.name, "array", header.row_shape, "uint8" if header.is_bytes else "float32")

    return replace(schema, features=tuple(map(shaped, schema.features)))


def _texts(values: Array) -> pa.Array:
    if values.dtype == bool:
        values = np.where(values, "true", "false")
    if values.dtype.kind in "uif":
        return as_texts(pa.array(values))
    return trimmed(pa.array(np.char.decode(values, "utf-8") if values.dtype.kind == "S" else values, pa.string()))


@contextmanager
def _blaming(name: str) -> Iterator[None]:
    try:
        yield
    except _CORRUPT as error:
        raise BadInput(f"cannot read {name}: {one_line(error)}; write it again with numpy.savez") from error
