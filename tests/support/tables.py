"""Small data sets in the formats that others write, and reading them in tests."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import tensorflow as tf

from trainyard_trainer.data.reading import Reading
from trainyard_trainer.data.source import find
from trainyard_trainer.data.table import Table

MLLIB_VECTOR = pa.struct(
    [
        pa.field("type", pa.int8(), nullable=False),
        ("size", pa.int32()),
        ("indices", pa.list_(pa.field("element", pa.int32(), nullable=False))),
        ("values", pa.list_(pa.field("element", pa.float64(), nullable=False))),
    ]
)
"""A column of VectorUDT as Spark writes it to Parquet."""


def sparse(size: int, entries: Mapping[int, float]) -> dict[str, Any]:
    """Return a sparse MLlib vector."""
    return {"type": 0, "size": size, "indices": list(entries), "values": list(entries.values())}


def full(*values: float) -> dict[str, Any]:
    """Return a dense MLlib vector."""
    return {"type": 1, "size": None, "indices": None, "values": list(values)}


def example(record: Mapping[str, Any]) -> bytes:
    """Serialize a record as TensorFlow does: floats, integers and texts or bytes, one or a list of each."""
    features = {}
    for name, value in record.items():
        values = value if isinstance(value, list) else [value]
        kind = {float: "float_list", int: "int64_list"}.get(type(values[0]), "bytes_list")
        values = [each.encode() if isinstance(each, str) else each for each in values]
        features[name] = tf.train.Feature(**{kind: {"value": values}})
    return bytes(tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString())


def write_records(path: Path, records: Iterable[Mapping[str, Any] | bytes], compression: str = "") -> Path:
    """Write a TFRecord file with TensorFlow's own writer."""
    with tf.io.TFRecordWriter(str(path), compression) as writer:
        for each in records:
            writer.write(each if isinstance(each, bytes) else example(each))
    return path


def open_table(
    path: Path, *, label: str = "label", features: list[str] | None = None, reading: Reading | None = None
) -> Table:
    """Open the table at a path."""
    return Table(find(str(path), "auto"), label=label, features=features, reading=reading)


def everything(table: Table) -> tuple[Any, list[list[Any]], list[Any]]:
    """Return all numbers, all texts by column, and all labels."""
    raw = [each for shard in table.shards() for each in table.read(shard)]
    texts = [[value for each in raw for value in each.texts[i].to_pylist()] for i in range(len(table.schema.texts))]
    labels = [value for each in raw for value in each.label.to_pylist()]
    table.bad_rows.finish_unlabelled(len(labels), drop=False)
    return np.concatenate([each.numbers for each in raw]), texts, labels
