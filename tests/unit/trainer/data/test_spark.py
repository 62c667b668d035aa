"""Data sets as Spark and Hadoop leave them, written here with Arrow in the same shapes."""

import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from support.tables import MLLIB_VECTOR, everything, full, open_table, sparse
from trainyard_trainer.data.source import find
from trainyard_trainer.errors import BadInput


def write(folder: Path, parts: dict[str, dict[str, Any]], *, finished: bool = True) -> Path:
    """Write parts with their checksums and markers, as a committed job does; Spark compresses with Snappy."""
    for name, columns in parts.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(pa.table(columns), folder / name, compression="snappy")
        (folder / name).with_name(f".{Path(name).name}.crc").write_bytes(b"crc\0\0\0\2\0")
    if finished:
        (folder / "_SUCCESS").touch()
        (folder / "._SUCCESS.crc").write_bytes(b"crc\0\0\0\2\0")
    return folder


def test_parts_with_partitions_decimals_lists_and_mllib_vectors_read_as_one_table(tmp_path: Path) -> None:
    lists = pa.list_(pa.field("element", pa.float32()))
    write(
        tmp_path,
        {
            f"day={day}/part-{day:05d}-c000.snappy.parquet": {
                "price": pa.array([Decimal("1.50"), None], pa.decimal128(10, 2)),
                "pixels": pa.array([[day, 1], [day, 2]], lists),
                "features": pa.array([full(day, 0, 5), sparse(3, {2: 7.0})], MLLIB_VECTOR),
                "kind": pa.array(["x", "y"], pa.large_string()).dictionary_encode(),
                "label": [0, 1],
            }
            for day in (1, 2)
        },
    )

    table = open_table(tmp_path)
    numbers, texts, labels = everything(table)

    assert table.schema.numbers == (
        "price", "pixels[0]", "pixels[1]", "features[0]", "features[1]", "features[2]", "day",
    )  # fmt: skip
    expected = [
        [1.5, 1, 1, 1, 0, 5, 1],
        [np.nan, 1, 2, 0, 0, 7, 1],
        [1.5, 2, 1, 2, 0, 5, 2],
        [np.nan, 2, 2, 0, 0, 7, 2],
    ]
    np.testing.assert_array_equal(numbers, np.array(expected, np.float32))
    assert (texts, labels) == ([["x", "y", "x", "y"]], [0, 1, 0, 1])


def test_a_folder_that_is_being_written_is_refused(tmp_path: Path) -> None:
    write(tmp_path, {"part-0.parquet": {"a": [1], "label": [1]}}, finished=False)
    (tmp_path / "_temporary" / "0").mkdir(parents=True)

    with pytest.raises(BadInput, match="half written: it has a folder _temporary and no file _SUCCESS"):
        find(str(tmp_path), "auto")


def test_a_folder_without_the_mark_of_success_is_refused_only_where_that_is_asked_for(tmp_path: Path) -> None:
    write(tmp_path, {"part-0.parquet": {"a": [1], "label": [1]}}, finished=False)

    assert len(find(str(tmp_path), "auto").files) == 1
    with pytest.raises(BadInput, match="has no file _SUCCESS"):
        find(str(tmp_path), "auto", require_success=True)
    (tmp_path / "_SUCCESS").touch()
    assert len(find(str(tmp_path), "auto", require_success=True).files) == 1


@pytest.mark.parametrize(
    ("column", "message"),
    [
        (pa.array([[1.0], [1.0, 2.0]]), "row 2 of part-0.parquet: column 'a' holds 2 numbers, expected 1"),
        (pa.array([full(1), sparse(9, {})], MLLIB_VECTOR), "column 'a' holds 9 numbers, expected 1"),
        (pa.nulls(2, pa.list_(pa.float32())), "column 'a' has no value in any training row"),
        (pa.array([["x"], []]), "column 'a' holds a list of texts: expected numbers"),
        (
            pa.array([datetime.datetime(2026, 1, 1)] * 2),
            "no column beside the label 'label': there is nothing to predict it from (left out: 'a', it holds dates or",
        ),
        (pa.array([datetime.date(2026, 1, 1)] * 2), "it holds dates or times: to use it, say date in data.columns"),
        (pa.array([{"x": 1}, {"x": 2}]), "column 'a' holds struct<x: int64>"),
    ],
)
def test_what_is_no_feature_is_refused_with_what_to_do(column: Any, message: str, tmp_path: Path) -> None:
    write(tmp_path, {"part-0.parquet": {"a": column, "label": [0, 1]}})

    with pytest.raises(BadInput) as raised:
        everything(open_table(tmp_path / "part-0.parquet"))

    assert message in str(raised.value)


def test_a_damaged_part_is_named_and_not_left_out(tmp_path: Path) -> None:
    write(tmp_path, {f"part-{i}.parquet": {"a": [1.0] * 999, "label": [0] * 999} for i in range(2)})
    damaged = bytearray((tmp_path / "part-1.parquet").read_bytes())
    damaged[8:60] = b"?" * 52
    (tmp_path / "part-1.parquet").write_bytes(damaged)

    with pytest.raises(BadInput, match=r"cannot read part-1.parquet"):
        everything(open_table(tmp_path))


def test_rows_of_later_row_groups_are_counted_from_the_beginning_of_the_file(tmp_path: Path) -> None:
    label = pa.array([1.0] * 7 + [None])
    pq.write_table(pa.table({"a": range(8), "label": label}), tmp_path / "t.parquet", row_group_size=3)

    with pytest.raises(BadInput, match=r"row 8 of t.parquet: the label 'label' is missing"):
        everything(open_table(tmp_path / "t.parquet"))
