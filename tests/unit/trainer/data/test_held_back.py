"""Rows that are held back by a column: whole groups, or the latest."""

import datetime
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from support.prepared import Looked, look
from trainyard_trainer.data.held_back import beginning_of_latest
from trainyard_trainer.errors import BadInput

ROWS = 200
RANDOM = np.random.default_rng(5)
NOISE = [round(float(value), 3) for value in RANDOM.normal(size=ROWS)]
LABELS = ["yes", "no"] * (ROWS // 2)


def write_csv(path: Path, columns: dict[str, Sequence[Any]]) -> Path:
    rows = zip(NOISE, *columns.values(), LABELS, strict=True)
    lines = [",".join(["a", *columns, "label"]), *(",".join(map(str, row)) for row in rows)]
    path.write_text("\n".join(lines) + "\n")
    return path


def write_parquet(path: Path, columns: dict[str, Sequence[Any]]) -> Path:
    table = pa.table({"a": NOISE, **{name: pa.array(values) for name, values in columns.items()}, "label": LABELS})
    pq.write_table(table, path, row_group_size=64)
    return path


WRITERS = [pytest.param(write_csv, id="csv"), pytest.param(write_parquet, id="parquet")]
Write = Callable[[Path, dict[str, Sequence[Any]]], Path]


def held_back(looked: Looked) -> np.ndarray:
    """Return, for each row in order, whether it is for validation."""
    profile = looked.prepared.profile
    return np.concatenate([profile.mask(number) for number in range(len(profile.masks))])


@pytest.mark.parametrize("write", WRITERS)
def test_all_rows_of_a_group_are_trained_on_or_held_back(write: Write, tmp_path: Path) -> None:
    groups = RANDOM.integers(2**60, 2**60 + 20, ROWS).tolist()  # numbers that a float does not tell apart
    path = write(tmp_path / f"t.{write.__name__[6:]}", {"customer": groups})

    looked = look(path, validation={"groupBy": "customer", "fraction": 0.2})

    which = held_back(looked)
    validated = {group for group, held in zip(groups, which, strict=True) if held}
    assert len(validated) == 4
    assert validated.isdisjoint(group for group, held in zip(groups, which, strict=True) if not held)
    assert looked.features == ("a",)
    assert looked.prepared.profile.validation_rows == which.sum()


def test_groups_are_chosen_by_the_seed_and_alike_each_time(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "t.csv", {"customer": [f"c{row % 40}" for row in range(ROWS)]})

    one, again = (held_back(look(path, validation={"groupBy": "customer"})) for _ in range(2))

    np.testing.assert_array_equal(one, again)
    assert one.sum() == 4 * ROWS // 40


def test_rows_without_a_group_are_one_group(tmp_path: Path) -> None:
    groups = ["", "a", "", "b", "c"] * (ROWS // 5)
    path = write_csv(tmp_path / "t.csv", {"customer": groups})

    which = held_back(look(path, validation={"groupBy": "customer", "fraction": 0.5}))

    assert which.sum() in (ROWS // 5 * 2, ROWS // 5 * 3)
    assert len({bool(held) for group, held in zip(groups, which, strict=True) if not group}) == 1


DAYS = [datetime.date(2024, 1, 1) + datetime.timedelta(days=int(day)) for day in RANDOM.permutation(ROWS)]


@pytest.mark.parametrize(
    ("write", "times"),
    [
        pytest.param(write_csv, DAYS, id="dates as text"),
        pytest.param(write_csv, [day.strftime("%d.%m.%Y") for day in DAYS], id="day first"),
        pytest.param(write_csv, [day.toordinal() for day in DAYS], id="numbers"),
        pytest.param(write_parquet, DAYS, id="Arrow's dates"),
        pytest.param(write_parquet, [datetime.datetime(day.year, day.month, day.day, 7) for day in DAYS], id="times"),
        pytest.param(write_parquet, [float(day.toordinal()) for day in DAYS], id="floats"),
    ],
)
def test_the_latest_rows_are_held_back(write: Write, times: Sequence[Any], tmp_path: Path) -> None:
    path = write(tmp_path / f"t.{write.__name__[6:]}", {"when": times})

    looked = look(path, validation={"timeColumn": "when", "fraction": 0.25})

    latest = sorted(DAYS)[-ROWS // 4 :]
    assert held_back(looked).tolist() == [day in latest for day in DAYS]
    assert looked.features == ("a",)


def test_moments_of_one_minute_are_told_apart(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "t.csv", {"when": [f"2026-01-31T12:00:{row % 60:02}" for row in range(ROWS)]})

    which = held_back(look(path, validation={"timeColumn": "when"}))

    assert which.tolist() == [row % 60 >= 54 for row in range(ROWS)] or which.sum() in range(15, 25)
    assert {row % 60 for row in np.flatnonzero(which)}.isdisjoint(row % 60 for row in np.flatnonzero(~which))


@pytest.mark.parametrize(
    ("columns", "validation", "message"),
    [
        (
            {"g": ["a", "b"] * 100},
            {"groupBy": "g"},
            r"groupBy 'g' makes 2 group\(s\), of which data.validation.fraction is less than one: use a larger",
        ),
        ({"t": [2020] * ROWS}, {"timeColumn": "t"}, r"timeColumn 't' has the same time in too many rows"),
        ({"t": ["soon", "2026-01-31"] * 100}, {"timeColumn": "t"}, r"row 1 of t.csv: column 't': 'soon' is no time"),
        ({"t": ["", "2026-01-31"] * 100}, {"timeColumn": "t"}, r"row 1 of t.csv: column 't' has no time"),
        ({"t": range(ROWS)}, {"timeColumn": "T"}, r"data.validation.timeColumn is 'T', which is not a column .*'t'"),
        ({"g": range(ROWS)}, {"groupBy": "label"}, r"the column that parts the rows can be neither the label nor"),
        (
            {"g": range(ROWS)},
            {"groupBy": "g", "timeColumn": "g"},
            r"at most one of uri, column, groupBy",
        ),
        ({"g": range(ROWS)}, {"groupBy": "g", "fraction": 0}, r"set a fraction above 0, or remove them"),
    ],
)
def test_what_cannot_part_the_rows_is_bad_input(
    columns: dict[str, Sequence[Any]], validation: dict[str, Any], message: str, tmp_path: Path
) -> None:
    path = write_csv(tmp_path / "t.csv", columns)

    with pytest.raises(BadInput, match=message):
        look(path, validation=validation)


def test_arrays_have_no_columns_to_part_the_rows_by(tmp_path: Path) -> None:
    np.savez(tmp_path / "t.npz", a=np.array(NOISE), g=np.arange(ROWS), label=np.array(LABELS))

    with pytest.raises(BadInput, match=r"data.validation.groupBy is for tables, not for format npz"):
        look(tmp_path / "t.npz", validation={"groupBy": "g"})


@pytest.mark.parametrize("parts", [1, 7, 1000])
def test_of_very_many_rows_a_sample_tells_where_the_latest_begin(parts: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trainyard_trainer.data.held_back._MOST_TIMES", 1000)
    times = np.random.default_rng(1).permutation(100_000).astype(float)

    assert beginning_of_latest(np.array_split(times, parts), 0.1) == pytest.approx(90_000, abs=2_000)
