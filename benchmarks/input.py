"""Input alone, in rows a second: the trainer's streaming next to the libraries reading the same file.

`python benchmarks/input.py [csv] [parquet] [tfrecord]`. The trainer's arm yields what training takes: blocks of
shuffled float32 arrays, checked and labelled. The other one only reads: Arrow record batches from CSV and Parquet, and
batches of parsed tf.train.Examples from TFRecord, which Arrow cannot read. Both take turns, as `pairs` describes.
"""

import argparse
import statistics
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.dataset as pa_dataset
import pyarrow.parquet as pq
from pairs import WARM_UP, Turn, in_turns, ratio

COLUMNS, BATCH_SIZE, BLOCK_BYTES, EXAMPLES = 100, 32, 64 << 20, 1024
FORMATS = ("csv", "parquet", "tfrecord")


@dataclass(frozen=True)
class Settings:
    """What both arms do."""

    data: Path
    rounds: int


def _as_they_are(rows: Any) -> Any:
    """Stand in for the encoder, whose time is measured elsewhere."""
    return rows


def trainer(connection: Connection, settings: Settings) -> None:
    """Stream the rows as an epoch does whose data does not fit into memory."""
    from trainyard_trainer.data.pipeline import StreamedRows
    from trainyard_trainer.data.profile import profile
    from trainyard_trainer.data.source import find
    from trainyard_trainer.data.table import Table

    table = Table(find(str(settings.data), "auto"), label="label", features=None)
    facts = profile(table, task="binaryClassification", fraction=0.0, seed=1, cache_bytes=1, watch=lambda rows: None)
    rows = StreamedRows(table, facts, seed=1, batch_size=BATCH_SIZE, block_bytes=BLOCK_BYTES, prepare=_as_they_are)
    turn = Turn(connection)
    for number in range(settings.rounds):
        turn.take()
        turn.give(sum(len(block.order) for block in rows.epoch(number, 0)))


def library(connection: Connection, settings: Settings) -> None:
    """Read the file with the library that is made for it."""
    read = read_examples if settings.data.suffix == ".tfrecord" else read_batches
    turn = Turn(connection)
    for _ in range(settings.rounds):
        turn.take()
        turn.give(sum(read(settings.data)))


def read_batches(path: Path) -> Iterator[int]:
    """Yield the number of rows in each of Arrow's batches."""
    data = pa_dataset.dataset(str(path), format=path.suffix.removeprefix("."))
    yield from (batch.num_rows for batch in data.to_batches())


def read_examples(path: Path) -> Iterator[int]:
    """Yield the number of rows in each batch that TensorFlow parses."""
    import tensorflow as tf

    spec = {f"f{i}": tf.io.FixedLenFeature([], tf.float32) for i in range(COLUMNS)}
    spec["label"] = tf.io.FixedLenFeature([], tf.int64)
    rows = tf.data.TFRecordDataset(str(path)).batch(EXAMPLES)
    for batch in rows.map(lambda each: tf.io.parse_example(each, spec), num_parallel_calls=tf.data.AUTOTUNE):
        yield batch["label"].shape[0]


def write(path: Path, count: int) -> None:
    """Write rows of random numbers and a label in the format of the path's name."""
    rng = np.random.default_rng(1)
    numbers = rng.normal(size=(count, COLUMNS)).astype(np.float32)
    columns: dict[str, Any] = {f"f{i}": numbers[:, i] for i in range(COLUMNS)} | {"label": rng.integers(0, 2, count)}
    if path.suffix == ".csv":
        pa_csv.write_csv(pa.table(columns), path)
    elif path.suffix == ".parquet":
        pq.write_table(pa.table(columns), path, row_group_size=count // 8)
    else:
        write_examples(path, numbers, columns["label"])


def write_examples(path: Path, numbers: Any, labels: Any) -> None:
    """Write a TFRecord file as TensorFlow does."""
    import tensorflow as tf

    with tf.io.TFRecordWriter(str(path)) as writer:
        for row, label in zip(numbers.tolist(), labels.tolist(), strict=True):
            features = {f"f{i}": tf.train.Feature(float_list={"value": [value]}) for i, value in enumerate(row)}
            features["label"] = tf.train.Feature(int64_list={"value": [label]})
            writer.write(tf.train.Example(features={"feature": features}).SerializeToString())


def main() -> int:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description="Measure the trainer's input next to plain reading.")
    parser.add_argument("formats", nargs="*", metavar="FORMAT", help=f"by default all: {', '.join(FORMATS)}")
    parser.add_argument("--rows", type=int, default=50_000)
    parser.add_argument("--rounds", type=int, default=15, help=f"epochs; the first {WARM_UP} do not count")
    arguments = parser.parse_args()
    for name in arguments.formats or FORMATS:
        with tempfile.TemporaryDirectory() as folder:
            data = Path(folder, f"rows.{name}")
            write(data, arguments.rows)
            arms = {"tf.data" if name == "tfrecord" else "pyarrow": library, "trainer": trainer}
            found = in_turns(arms, Settings(data, arguments.rounds), arguments.rounds)
            print(f"{name}, {arguments.rows:,} rows of {COLUMNS} numbers, {data.stat().st_size / 1e6:.0f} MB")
        for arm, each in found.items():
            print(f"  {arm:8} {arguments.rows / statistics.median(each.warm):10,.0f} rows/s (median epoch)")
            if set(each.losses) != {arguments.rows}:
                print(f"  NOT GOOD: expected {arguments.rows} rows in every epoch")
                return 1
        other = next(iter(arms))
        print(f"  trainer / {other}: {ratio(found[other].warm, found['trainer'].warm)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
