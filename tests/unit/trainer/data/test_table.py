"""Reading tables: what the columns hold, and what is wrong with them."""

import datetime
import gzip
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from trainyard_trainer.data.reading import Reading
from trainyard_trainer.data.source import find
from trainyard_trainer.data.table import Table
from trainyard_trainer.errors import BadInput


def open_table(path: Path, label: str = "label", features: list[str] | None = None) -> Table:
    return Table(find(str(path), "auto"), label=label, features=features)


def put(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def rows(table: Table) -> tuple[np.ndarray, list[list[Any]], list[Any]]:
    """Return all numbers, all texts by column, and all labels."""
    raw = [each for shard in table.shards() for each in table.read(shard)]
    texts = [[value for each in raw for value in each.texts[i].to_pylist()] for i in range(len(table.schema.texts))]
    labels = [value for each in raw for value in each.label.to_pylist()]
    return np.concatenate([each.numbers for each in raw]), texts, labels


def test_numbers_booleans_texts_and_missing_values_of_a_csv(tmp_path: Path) -> None:
    path = put(tmp_path / "t.csv", "a,b,c,d,label\n1,2.5,true,x,yes\n,NaN,false,,no\n3,4,true,y,yes\n")

    table = open_table(path)
    numbers, texts, labels = rows(table)

    assert (table.schema.numbers, table.schema.texts) == (("a", "b", "c"), ("d",))
    np.testing.assert_array_equal(numbers, np.array([[1, 2.5, 1], [np.nan, np.nan, 0], [3, 4, 1]], np.float32))
    assert texts == [["x", None, "y"]]
    assert labels == ["yes", "no", "yes"]


def test_every_arrow_type_that_holds_numbers_or_texts_of_a_parquet_file(tmp_path: Path) -> None:
    columns = {
        "int8": pa.array([1, None], pa.int8()),
        "uint64": pa.array([2**63, 0], pa.uint64()),
        "half": pa.array(np.array([1.5, 2.5], np.float16)),
        "decimal": pa.array([Decimal("1.25"), None], pa.decimal128(9, 2)),
        "bool": pa.array([True, None]),
        "dictionary": pa.array(["x", None]).dictionary_encode(),
        "large": pa.array(["x", "y"], pa.large_string()),
        "label": pa.array([True, False]),
    }
    pq.write_table(pa.table(columns), tmp_path / "t.parquet")

    numbers, texts, labels = rows(open_table(tmp_path / "t.parquet"))

    expected = [[1, 2.0**63, 1.5, 1.25, 1], [np.nan, 0, 2.5, np.nan, np.nan]]
    np.testing.assert_array_equal(numbers, np.array(expected, np.float32))
    assert texts == [["x", None], ["x", "y"]]
    assert labels == ["true", "false"]


def test_many_files_read_as_one_in_a_fixed_order_with_their_partitions_as_columns(tmp_path: Path) -> None:
    for day, site in ((1, "north"), (2, "south")):
        put(tmp_path / f"day={day}" / f"site={site}" / "part-0.csv", f"a,label\n{day}0,x\n{day}1,y\n")

    table = open_table(tmp_path)
    numbers, texts, _ = rows(table)

    assert (table.schema.numbers, table.schema.texts) == (("a", "day"), ("site",))
    np.testing.assert_array_equal(numbers, [[10, 1], [11, 1], [20, 2], [21, 2]])
    assert texts == [["north", "north", "south", "south"]]


def test_a_parquet_file_is_read_by_row_groups(tmp_path: Path) -> None:
    pq.write_table(pa.table({"a": range(10), "label": range(10)}), tmp_path / "t.parquet", row_group_size=4)

    table = open_table(tmp_path / "t.parquet")

    assert len(table.shards()) == 3
    assert rows(table)[2] == list(range(10))


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_delimiter_of_a_csv_is_found(delimiter: str, tmp_path: Path) -> None:
    path = put(tmp_path / "t.csv", "a,b,label\n1,2,3\n".replace(",", delimiter))

    assert open_table(path).schema.numbers == ("a", "b")


def test_a_compressed_csv_with_a_byte_order_mark_and_line_breaks_in_quotes(tmp_path: Path) -> None:
    path = tmp_path / "t.csv.gz"
    path.write_bytes(gzip.compress('\ufeffa,label\n1,"two\nlines"\n2,"a,b"\n'.encode()))

    assert rows(open_table(path))[2] == ["two\nlines", "a,b"]


def test_whole_numbers_that_get_fractions_later_stay_numbers(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("a,label\n" + "1,2\n" * 3_000_000 + "1.5,2\n")

    table = open_table(path)

    assert sum(raw.numbers[:, 0].sum() for shard in table.shards() for raw in table.read(shard)) == 3_000_001.5


def test_an_empty_part_is_no_problem_and_types_come_from_the_other_parts(tmp_path: Path) -> None:
    put(tmp_path / "part-0.csv", "a,label\n")
    put(tmp_path / "part-1.csv", "a,label\n,x\n")
    put(tmp_path / "part-2.csv", "a,label\ny,x\n")

    assert rows(open_table(tmp_path))[1] == [[None, "y"]]


def test_features_may_be_chosen_and_the_rest_is_not_looked_at(tmp_path: Path) -> None:
    columns = {"when": [datetime.date(2026, 1, 1)], "b": [2], "a": [1], "label": [0]}
    pq.write_table(pa.table(columns), tmp_path / "t.parquet")

    table = open_table(tmp_path / "t.parquet", features=["a", "b"])

    np.testing.assert_array_equal(rows(table)[0], [[1, 2]])


GOOD = "a,b,label\n1,x,2\n"


@pytest.mark.parametrize(
    ("files", "label", "features", "message"),
    [
        (
            {"t.csv": GOOD},
            "lable",
            None,
            "data.label is 'lable', which is not a column of t.csv; did you mean 'label'?",
        ),
        (
            {"t.csv": GOOD},
            "zebra",
            None,
            "data.label is 'zebra', which is not a column of t.csv (columns: a, b, label)",
        ),
        ({"t.csv": "1,2,3\n4,5,6\n"}, "label", None, "the first line must hold the names of the columns"),
        ({"t.csv": GOOD}, "label", ["a", "B "], "data.features is 'B ', which is not a column of t.csv"),
        ({"t.csv": GOOD}, "label", ["a", "label"], "data.features lists the label 'label' itself"),
        ({"t.csv": "label\n1\n"}, "label", None, "there is nothing to predict it from"),
        (
            {"t.csv": "a,a,label\n1,2,3\n"},
            "label",
            None,
            "t.csv has two columns named 'a': give every column a name of its own",
        ),
        ({"1.csv": GOOD, "2.csv": "a,label\n1,2\n"}, "label", None, "column 'b' is in 1.csv but not in 2.csv"),
        ({"1.csv": GOOD, "2.csv": "a,b,label\nz,x,2\n"}, "label", None, "column 'a' has mixed types"),
        ({"t.csv": "a,label\n1,2\n3\n"}, "label", None, "row 2 of t.csv: it has 1 fields, expected 2; correct the row"),
        ({"t.parquet": "PAR1 and then nonsense"}, "label", None, "cannot read t.parquet: "),
    ],
)
def test_what_does_not_fit_is_refused_with_what_to_do(
    files: dict[str, str], label: str, features: list[str] | None, message: str, tmp_path: Path
) -> None:
    for name, text in files.items():
        put(tmp_path / name, text)

    with pytest.raises(BadInput) as raised:
        rows(open_table(tmp_path if len(files) > 1 else tmp_path / next(iter(files)), label, features))

    assert message in str(raised.value)


PART = {"a": [1.0, 2.0], "b": [True, False], "c": ["x", None], "label": [0, 1]}


def write_parts(folder: Path, late: dict[str, Any]) -> Path:
    """Write more parts than are inspected when the table is opened: one of the last is different."""
    for i in range(203):
        pq.write_table(pa.table(late if i == 201 else PART), folder / f"part-{i:03}.parquet")
    return folder


@pytest.mark.parametrize(
    ("late", "message"),
    [
        (
            {"a": ["lots", None]},
            "column 'a' has mixed types: row 1 of part-201.parquet holds a text ('lots'), where a n",
        ),
        (
            {"c": [None, 3]},
            "column 'c' has mixed types: row 2 of part-201.parquet holds a number (3), where a text was",
        ),
        (
            {"a": [[1.0], [2.0]]},
            "part-201.parquet holds a list of numbers ([1.0]), where a number was before; make them",
        ),
        (
            {"label": ["yes", "no"]},
            "column 'label' has mixed types: row 1 of part-201.parquet holds a text ('yes'), where a number was before",
        ),
    ],
)
def test_a_part_beyond_those_inspected_that_holds_something_else_is_refused_with_its_row(
    late: dict[str, Any], message: str, tmp_path: Path
) -> None:
    table = open_table(write_parts(tmp_path, PART | late))

    with pytest.raises(BadInput) as raised:
        rows(table)

    assert message in str(raised.value)


def test_a_label_of_true_and_false_does_not_become_numbers_in_a_part_beyond_those_inspected(tmp_path: Path) -> None:
    table = open_table(write_parts(tmp_path, PART | {"b": [0, 1]}), label="b")

    with pytest.raises(
        BadInput, match=r"row 1 of part-201.parquet holds a number \(0\), where true or false was before"
    ):
        rows(table)


def test_parts_beyond_those_inspected_may_have_whole_numbers_truths_and_gaps_among_numbers(tmp_path: Path) -> None:
    late = {"a": [3, 4], "b": [0.5, None], "c": pa.nulls(2), "label": [True, False], "new": [1, 2]}

    numbers = rows(open_table(write_parts(tmp_path, late)))[0]

    np.testing.assert_array_equal(numbers[402:404], [[3, 0.5], [4, np.nan]])


@pytest.mark.parametrize("missing", ["a", "label"])
def test_a_part_beyond_those_inspected_that_lacks_a_column_is_refused(missing: str, tmp_path: Path) -> None:
    table = open_table(write_parts(tmp_path, {name: each for name, each in PART.items() if name != missing}))

    with pytest.raises(
        BadInput, match=rf"^column '{missing}' is in other files but not in part-201.parquet: all files"
    ):
        rows(table)


def test_a_csv_file_beyond_those_inspected_that_lacks_a_column_is_refused(tmp_path: Path) -> None:
    for i in range(203):
        (tmp_path / f"{i:03}.csv").write_text("a,label\n1,2\n" if i == 201 else GOOD)
    table = open_table(tmp_path)

    with pytest.raises(BadInput, match=r"^column 'b' is in other files but not in 201.csv: all files need the same"):
        rows(table)


def test_a_text_far_down_among_numbers_is_refused_with_its_row(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("a,label\n" + "1,2\n" * 3_000_000 + "lots,2\n")

    with pytest.raises(BadInput) as raised:
        rows(open_table(path))

    assert str(raised.value).startswith("row 3000001 of t.csv: column 'a': 'lots' is not a number; correct the row")


def undecodable(kind: str) -> pa.Array:
    """Return 24 texts, the fifth of which is not UTF-8, as Arrow reads them from a damaged Parquet file."""
    contents = [b"1.5", b"2"] * 12
    contents[4] = b"1.\xff"
    valid, offsets, content = pa.array(contents, pa.binary()).buffers()
    texts = pa.StringArray.from_buffers(24, offsets, content, valid)  # nothing checks it
    match kind:
        case "dictionary":
            return texts.dictionary_encode()
        case "large_string":
            return texts.cast(pa.large_string())
        case "list":
            return pa.ListArray.from_arrays(pa.array(range(25), pa.int32()), texts)
        case _:
            return texts


@pytest.mark.parametrize("kind", ["string", "dictionary", "large_string"])
@pytest.mark.parametrize(
    "reading",
    [
        pytest.param({}, id="category"),
        pytest.param({"slices": ["t"]}, id="slice"),
        pytest.param({"columns": {"t": "number"}}, id="number"),
        pytest.param({"columns": {"t": "text"}}, id="text"),
        pytest.param({"columns": {"t": "date"}}, id="date"),
        pytest.param({"validation_column": "t"}, id="validation"),
        pytest.param({"label": "t", "label_as": "class"}, id="label"),
        pytest.param({"label": "t", "label_as": "number"}, id="number as label"),
        pytest.param({"label": "t", "label_as": "sets", "label_separator": "."}, id="several labels"),
    ],
)
def test_a_text_of_a_parquet_file_that_is_not_utf8_makes_a_bad_row(
    reading: dict[str, Any], kind: str, tmp_path: Path
) -> None:
    pq.write_table(
        pa.table({"a": [0.5, 0.25] * 12, "t": undecodable(kind), "label": ["x", "y"] * 12}), tmp_path / "t.parquet"
    )
    label = reading.get("label", "label")
    settings = Reading(**{name: value for name, value in reading.items() if name != "label"})

    def read(most: int) -> int:
        table = Table(
            find(str(tmp_path / "t.parquet"), "auto"),
            label=label,
            features=None,
            reading=replace(settings, max_bad_rows=most),
        )
        return sum(len(raw) for shard in table.shards() for raw in table.read(shard))

    with pytest.raises(BadInput, match=r"row [15] of t.parquet: column 't'"):
        read(0)
    if "date" not in str(reading) and "validation" not in str(reading):  # no other of their texts is one
        assert read(1) == 23


def test_a_list_of_labels_that_is_not_utf8_makes_a_bad_row(tmp_path: Path) -> None:
    pq.write_table(pa.table({"a": [0.5, 0.25] * 12, "label": undecodable("list")}), tmp_path / "t.parquet")
    reading = Reading(label_as="sets", label_separator="|", max_bad_rows=1)
    table = Table(find(str(tmp_path / "t.parquet"), "auto"), label="label", features=None, reading=reading)

    assert sum(len(raw) for shard in table.shards() for raw in table.read(shard)) == 23
    assert table.bad_rows.first == ["row 5 of t.parquet: column 'label': '1.\ufffd' is not UTF-8"]


def test_a_text_that_is_not_utf8_where_numbers_were_before_is_told_of(tmp_path: Path) -> None:
    for number in range(201):
        pq.write_table(pa.table({"a": [0.5] * 24, "label": ["x", "y"] * 12}), tmp_path / f"{number:03}.parquet")
    texts = undecodable("string")[4:]
    pq.write_table(pa.table({"a": texts, "label": ["x", "y"] * 10}), tmp_path / "999.parquet")
    table = open_table(tmp_path)

    with pytest.raises(BadInput, match=r"column 'a' .*(not UTF-8|1\.)"):
        rows(table)
