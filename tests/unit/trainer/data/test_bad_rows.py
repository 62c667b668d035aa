"""Counting rows that cannot be used."""

import numpy as np
import pytest

from trainyard_trainer.data.bad_rows import BadRow, BadRows
from trainyard_trainer.errors import BadInput


def bad(*rows: int) -> list[BadRow]:
    return [BadRow("t.csv", row, f"column 'a': 'x{row}' is not a number") for row in rows]


def test_the_first_bad_row_is_refused_where_none_is_allowed() -> None:
    with pytest.raises(BadInput) as raised:
        BadRows(0).add(bad(6))

    assert str(raised.value) == (
        "row 7 of t.csv: column 'a': 'x6' is not a number; "
        "correct the row or remove it, or allow some to be left out with data.maxBadRows"
    )


def test_as_many_as_allowed_are_counted_once_each_however_often_they_are_read() -> None:
    rows = BadRows(2)

    for _ in range(3):
        rows.add(bad(4, 9))

    assert len(rows) == 2
    assert rows.first == [str(each) for each in bad(4, 9)]


def test_one_more_than_allowed_is_refused_with_the_first_few() -> None:
    with pytest.raises(BadInput, match=r"more than 4 rows cannot be used.* row 2 of t.csv: .*'x3' is not a number;"):
        BadRows(4).add(bad(1, 2, 3, 4, 5))


def test_a_file_that_is_a_row_is_refused_by_its_name() -> None:
    with pytest.raises(BadInput, match=r"^cat/a.png: is empty; replace or remove it, or allow some to be left out"):
        BadRows(0).add([BadRow("cat/a.png", None, "is empty")])


def test_known_rows_are_found_among_others() -> None:
    rows = BadRows(5)
    rows.add(bad(4, 9))

    assert rows.among("t.csv", np.arange(5, 12)) == [4]
    assert rows.among("other.csv", np.arange(5, 12)) == []
    assert ("t.csv", 4) in rows
    assert ("t.csv", 5) not in rows
