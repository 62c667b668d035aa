"""Reads TFRecord files of tf.train.Examples: every feature is a column."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.fs as pa_fs

from trainyard_trainer.data.bad_rows import BadRow, BadRows
from trainyard_trainer.data.examples import Malformed, Values, parse
from trainyard_trainer.data.readers import Reader, Shard, StoredBatch
from trainyard_trainer.data.source import SourceFile
from trainyard_trainer.data.tfrecord import READ_BYTES, Records, open_records, read_records
from trainyard_trainer.errors import BadInput
from trainyard_trainer.tensors import Integers

_LISTS = ("vector", "texts")


class ExampleReader(Reader):
    """A feature with one value in every record is a column of numbers or texts, one with several a list of them."""

    def __init__(self, filesystem: pa_fs.FileSystem, bad_rows: BadRows) -> None:
        self._filesystem, self._bad_rows = filesystem, bad_rows
        self._kinds: Mapping[str, str] = {}

    def inspect(self, file: SourceFile) -> pa.Schema:
        """Return the columns, as far as the beginning of a file tells."""
        records = next(self._records(file), None)
        if records is None:
            return pa.schema([])
        good, features, why = _parsed(records, None)
        if why and not len(good):
            raise BadInput(f"row {records.first + 1} of {file.name}: {why[min(why)]}")
        return pa.schema([(name, _type(values)) for name, values in sorted(features.items())])

    def settle(self, kinds: Mapping[str, str], identities: Sequence[str] = ()) -> None:
        """Take in whether each column is a list."""
        self._kinds = kinds

    def shards(self, file: SourceFile) -> Iterator[Shard]:
        """Yield the file as one piece."""
        yield Shard(file, None, 4 * READ_BYTES)

    def read(self, shard: Shard, columns: Sequence[str], *, batch_rows: int) -> Iterator[StoredBatch]:
        """Yield the records of a file."""
        for records in self._records(shard.file):
            good, features, why = _parsed(records, columns)
            arrays = [self._array(name, features.get(name), len(good), why, good) for name in columns]
            batch, rows = pa.record_batch(arrays, names=list(columns)), records.first + good
            if why:
                self._bad_rows.add(
                    BadRow(shard.file.name, records.first + row, text) for row, text in sorted(why.items())
                )
                keep = ~np.isin(good, list(why))
                batch, rows = batch.filter(pa.array(keep)), rows[keep]
            for first in range(0, batch.num_rows, batch_rows):
                yield StoredBatch(batch.slice(first, batch_rows), rows[first : first + batch_rows])

    def _records(self, file: SourceFile) -> Iterator[Records]:
        with open_records(self._filesystem, file.path) as stream:
            yield from read_records(stream, file.name)

    def _array(self, name: str, values: Values | None, count: int, why: dict[int, str], good: Integers) -> pa.Array:
        """Return one feature as a column with an entry for each of `good`; adds to `why` where it does not fit."""
        kind = self._kinds.get(name, "number")
        if values is None:
            return pa.nulls(count)
        texts = kind in ("text", "texts", "bytes")
        if texts != (values.kind == "bytes"):
            why.update(dict.fromkeys(good[values.rows].tolist(), f"feature {name!r} holds {values.kind} values"))
            return pa.nulls(count)
        flat = _texts(name, values, why, good) if texts and kind != "bytes" else pa.array(values.flat)
        counts = np.zeros(count, np.int64)
        counts[values.rows] = values.counts
        begin = np.cumsum(counts) - counts
        if kind in _LISTS:
            offsets = pa.array(np.append(begin, len(flat)).astype(np.int32), mask=np.append(counts == 0, False))
            return pa.ListArray.from_arrays(offsets, flat)
        why.update(
            {
                int(good[i]): f"feature {name!r} holds {counts[i]} values, expected one"
                for i in np.flatnonzero(counts > 1)
            }
        )
        return flat if (counts == 1).all() else flat.take(pa.array(begin, mask=counts == 0))


def _parsed(records: Records, wanted: Sequence[str] | None) -> tuple[Integers, dict[str, Values], dict[int, str]]:
    """Return which records are Examples, their features, and why the others are not."""
    good, why = np.arange(len(records)), dict[int, str]()
    while True:
        try:
            return good, parse(replace(records, begin=records.begin[good], end=records.end[good]), wanted), why
        except Malformed as error:
            why |= dict.fromkeys(good[error.which].tolist(), str(error))
            good = np.delete(good, error.which)


def _texts(name: str, values: Values, why: dict[int, str], good: Integers) -> pa.Array:
    try:
        return pa.array(values.flat, pa.binary()).cast(pa.string())
    except pa.ArrowInvalid:
        rows = np.repeat(good[values.rows], values.counts).tolist()
        texts = [each.decode("utf-8", "replace") for each in values.flat]
        for row, text, content in zip(rows, texts, values.flat, strict=True):
            if text.encode() != content:
                why[row] = f"feature {name!r}: {text[:50]!r} is not UTF-8"
        return pa.array(texts)


def _type(values: Values) -> pa.DataType:
    if values.kind == "bytes":
        type_ = pa.string() if _are_texts(values.flat) else pa.binary()
        return pa.list_(type_) if (values.counts > 1).any() else type_  # most rows may have one label of several
    type_ = pa.float32() if values.kind == "float" else pa.int64()
    return pa.list_(type_) if (values.counts > 1).sum() * 2 > len(values.counts) else type_


def _are_texts(contents: list[bytes]) -> bool:
    """Return whether most are texts: one that is damaged is a bad row."""
    return sum(each.decode("utf-8", "ignore").encode() == each for each in contents) * 2 > len(contents)
