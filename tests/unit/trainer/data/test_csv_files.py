"""CSV files with rows that cannot be used."""

from pathlib import Path

import numpy as np
import pytest

from support.tables import everything, open_table
from trainyard_trainer.data.reading import Reading
from trainyard_trainer.data.table import Table
from trainyard_trainer.errors import BadInput

ROWS = 40_000
"""Some megabytes: more than Arrow reads at a time."""


def write(path: Path, bad: dict[int, bytes]) -> Path:
    """Write rows of a number, a boolean, a text and a label; those in `bad` are replaced."""
    lines = [b"%d.5,%s,text number %d,%d" % (i, b"true" if i % 2 else b"false", i, i % 2) for i in range(ROWS)]
    for row, line in bad.items():
        lines[row] = line
    path.write_bytes(b"a,b,t,label\n" + b"\n".join(lines) + b"\n")
    return path


def tolerant(path: Path, bad: int) -> Table:
    return open_table(path, reading=Reading(max_bad_rows=bad))


BAD = {
    b"1,true,x": "it has 3 fields, expected 4",
    b"1,true,x,1,1": "it has 5 fields, expected 4",
    b"many,true,x,1": "column 'a': 'many' is not a number",
    b"1,true,\xff,1": "column 't': '\\xff' is not UTF-8 (data.csv.encoding can name another encoding, such as "
    "windows-1252)",
    b"1,true,x,": "the label 'label' is missing",
    b"1,true,x,one": "column 'label': 'one' is not a number",
}


@pytest.mark.parametrize(("line", "why"), BAD.items())
def test_a_bad_row_is_left_out_where_that_is_allowed(line: bytes, why: str, tmp_path: Path) -> None:
    table = tolerant(write(tmp_path / "t.csv", {ROWS - 7: line}), 1)

    numbers, texts, labels = everything(table)

    assert table.bad_rows.first == [f"row {ROWS - 6} of t.csv: {why}"]
    good = np.delete(np.arange(ROWS), ROWS - 7)
    np.testing.assert_array_equal(numbers[:, 0], (good + 0.5).astype(np.float32))
    np.testing.assert_array_equal(numbers[:, 1], good % 2)
    assert texts == [[f"text number {i}" for i in good]]
    assert labels == (good % 2).tolist()
    assert len(table.bad_rows) == 1


@pytest.mark.parametrize("line", [b"1,true,x", b"1,true,\xff,1"])
def test_a_bad_row_is_refused_where_it_is_not(line: bytes, tmp_path: Path) -> None:
    path = write(tmp_path / "t.csv", {ROWS - 7: line})

    with pytest.raises(BadInput) as raised:
        everything(open_table(path))

    assert str(raised.value) == (
        f"row {ROWS - 6} of t.csv: {BAD[line]}; "
        "correct the row or remove it, or allow some to be left out with data.maxBadRows"
    )


def test_many_bad_rows_are_left_out_alike_each_time_and_counted_once(tmp_path: Path) -> None:
    every = list(BAD)
    bad = {row: every[i % len(every)] for i, row in enumerate(range(3, ROWS, 997))}
    table = tolerant(write(tmp_path / "t.csv", bad), len(bad))

    first, again = everything(table), everything(table)

    good = np.delete(np.arange(ROWS), list(bad))
    np.testing.assert_array_equal(first[0][:, 0], (good + 0.5).astype(np.float32))
    np.testing.assert_array_equal(first[0], again[0])
    assert first[1:] == again[1:]
    assert len(table.bad_rows) == len(bad)
    assert table.bad_rows.first[0] == f"row 4 of t.csv: {BAD[every[0]]}"


def test_one_bad_row_too_many_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "t.csv", dict.fromkeys([5, 9, 30_000], b"many,true,x,1"))

    with pytest.raises(BadInput, match=r"more than 2 rows cannot be used.*row 6 of t.csv: .*; row 10 of t.csv: "):
        everything(tolerant(path, 2))


def test_a_column_of_mostly_numbers_is_one_of_numbers_where_bad_rows_are_allowed(tmp_path: Path) -> None:
    path = write(tmp_path / "t.csv", {1: b"?,true,x,1"})

    assert open_table(path).schema.texts == ("a", "t")
    assert tolerant(path, 1).schema.texts == ("t",)


def test_reading_says_which_rows_there_are_and_where_they_were(tmp_path: Path) -> None:
    table = tolerant(write(tmp_path / "t.csv", {2: b"many,true,x,1", 4: b"1"}), 2)
    (shard,) = table.shards()

    batches = list(table.read(shard, batch_rows=1000))

    assert [each.first_row for each in batches] == np.cumsum([0, *map(len, batches)])[:-1].tolist()
    np.testing.assert_array_equal(np.concatenate([each.rows for each in batches]), np.delete(range(ROWS), [2, 4]))
    assert batches[0].where(2) == "row 4 of t.csv"


@pytest.mark.parametrize(
    "words", [("true", "false"), ("1", "0"), ("1.0", "0.0"), ("Validation", "train"), ("val", "TRAINING")]
)
def test_a_column_may_say_in_several_ways_which_rows_are_held_back(words: tuple[str, str], tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("a,split,label\n" + "".join(f"{i},{words[i % 3 > 0]},{i % 2}\n" for i in range(9)))
    table = open_table(path, reading=Reading(validation_column="split"))

    (batch,) = [each for shard in table.shards() for each in table.read(shard)]

    assert batch.held_back is not None
    assert batch.held_back.tolist() == [True, False, False] * 3
    assert table.schema.numbers == ("a",)
