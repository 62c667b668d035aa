"""Small generated data sets in every format: what there is to learn, and new rows that show whether it was learnt."""

import csv
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from support import pictures, sounds
from support.reviews import reviews
from support.tables import MLLIB_VECTOR, full, sparse, write_records

Column = list[Any]


@dataclass(frozen=True)
class Rows:
    """Columns as a client of the model sends them, and the answers that are wanted."""

    columns: dict[str, Column]
    labels: Column


Lesson = Callable[[int, int], Rows]
"""Makes so many rows from a seed."""

_RULES: dict[str, Callable[[str, float], Any]] = {
    "binaryClassification": lambda shape, size: "yes" if shape == "disc" or size > 0.5 else "no",
    "multiclassClassification": lambda shape, size: shape if size < 0.5 else "big",
    "multilabelClassification": lambda shape, size: ["big"] * (size > 0) + ["round"] * (shape != "cube"),
    "regression": lambda shape, size: 100 + 10 * size + (7 if shape == "bar" else 0),
}


def shapes(task: str) -> Lesson:
    """Return rows of a text and a number that decide together."""

    def make(count: int, seed: int) -> Rows:
        rng = np.random.default_rng(seed)
        kinds, sizes = rng.choice(["disc", "bar", "cube"], count).tolist(), rng.uniform(-1, 1, count).tolist()
        return Rows({"shape": kinds, "size": sizes}, [_RULES[task](*each) for each in zip(kinds, sizes, strict=True)])

    return make


def numbers(count: int, seed: int) -> Rows:
    """Return three columns of numbers, and labels that follow from the second and third."""
    made = vectors(count, seed)
    return Rows({f"v_{i}": [each[i] for each in made.columns["v"]] for i in range(3)}, made.labels)


def vectors(count: int, seed: int) -> Rows:
    """Return vectors of three numbers, and labels that follow from the second and third."""
    values = np.random.default_rng(seed).normal(size=(count, 3)).astype(np.float32)
    return Rows({"v": values.tolist()}, [str(int(each)) for each in values[:, 1] + values[:, 2] > 0])


def images(count: int, seed: int) -> Rows:
    """Return PNG files of discs and crosses."""
    pixels, kinds = pictures.pictures(count, seed)
    return Rows({"image_bytes": pictures.encoded(pixels)}, kinds)


def pixels(count: int, seed: int) -> Rows:
    """Return arrays of uint8 with discs and crosses."""
    arrays, kinds = pictures.pictures(count, seed)
    return Rows({"image": arrays.tolist()}, kinds)


def texts(count: int, seed: int) -> Rows:
    """Return reviews that praise or do not."""
    written, classes = reviews(count, seed)
    return Rows({"text": written}, classes)


def clips(count: int, seed: int) -> Rows:
    """Return WAV files with tones that rise, fall or stay."""
    files, classes = sounds.glides(count, seed)
    return Rows({"audio_bytes": files}, classes)


# Each of these writes rows below a folder and returns the path to train on.


def as_csv(folder: Path, rows: Rows) -> Path:
    """Write one CSV file; several labels of a row are set apart by vertical bars."""
    labels = ["|".join(each) if isinstance(each, list) else each for each in rows.labels]
    path = folder / "rows.csv"
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow([*rows.columns, "label"])
        writer.writerows(zip(*rows.columns.values(), labels, strict=True))
    return path


def as_parquet(folder: Path, rows: Rows) -> Path:
    """Write one Parquet file of two row groups; files keep the name without `_bytes`."""
    path = folder / "rows.parquet"
    pq.write_table(pa.table(_sources(rows)), path, row_group_size=len(rows.labels) // 2)
    return path


def as_spark(folder: Path, rows: Rows) -> Path:
    """Write a folder as Spark does, its vectors dense and sparse in turns."""
    packed = {
        name: pa.array([_mllib(i, each) for i, each in enumerate(column)], MLLIB_VECTOR)
        for name, column in rows.columns.items()
    }
    table = pa.table(packed | {"label": rows.labels})
    half = len(rows.labels) // 2
    for number, part in enumerate((table[:half], table[half:])):
        pq.write_table(part, folder / f"part-{number}.parquet")
    (folder / "_SUCCESS").touch()
    return folder


def _mllib(number: int, vector: list[float]) -> dict[str, Any]:
    return full(*vector) if number % 2 else sparse(len(vector), dict(enumerate(vector)))


def as_records(folder: Path, rows: Rows, compression: str = "") -> Path:
    """Write one TFRecord file."""
    columns = _sources(rows)
    records = [dict(zip(columns, each, strict=True)) for each in zip(*columns.values(), strict=True)]
    return write_records(folder / "rows.tfrecord", records, compression)


def as_hadoop(folder: Path, rows: Rows) -> Path:
    """Write a folder of zipped TFRecord files, as Hadoop names them."""
    as_records(folder, rows, "GZIP").rename(folder / "part-r-00000.gz")
    (folder / "_SUCCESS").touch()
    return folder


def as_npz(folder: Path, rows: Rows) -> Path:
    """Write one NPZ file; pixels are kept as bytes."""
    arrays: dict[str, Any] = {name: np.array(column) for name, column in rows.columns.items()}
    arrays = {name: each.astype(np.uint8 if each.ndim > 2 else np.float32) for name, each in arrays.items()}
    np.savez(folder / "rows.npz", **arrays, label=np.array(rows.labels))
    return folder / "rows.npz"


def as_directory(folder: Path, rows: Rows) -> Path:
    """Write a file for each row, in a folder for each class."""
    ((name, contents),) = rows.columns.items()
    suffix = {"image_bytes": "png", "text": "txt", "audio_bytes": "wav"}[name]
    for number, (content, class_) in enumerate(zip(contents, rows.labels, strict=True)):
        path = folder / class_ / f"{number:04}.{suffix}"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return folder


def _sources(rows: Rows) -> dict[str, Column]:
    return {name.removesuffix("_bytes"): column for name, column in rows.columns.items()} | {"label": rows.labels}
