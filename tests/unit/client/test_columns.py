"""What is found in a table before a model is trained on it."""

import gzip
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from trainyard.columns import Look, look_at
from trainyard.errors import Usage
from trainyard.tables import Table, open_table, to_cell

ROWS = 60


def a_table(**columns: Sequence[Any]) -> Table:
    rows = [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
    return open_table(rows)


def with_feature(**columns: Sequence[Any]) -> Table:
    """A table with a good column and a label, and what a test is about."""
    good = {"size": [(n * 7) % 13 for n in range(ROWS)], "kind": ["ab"[n % 2] for n in range(ROWS)]}
    return a_table(**columns, **good)


def left_out(look: Look) -> dict[str, str]:
    return {column.name: str(column.left_out) for column in look.left_out}


@pytest.mark.parametrize(
    ("name", "values", "reason"),
    [
        pytest.param("rowid", range(1, ROWS + 1), "it numbers the rows", id="a number for each row"),
        pytest.param("Unnamed: 0", range(ROWS), "an index: it numbers the rows", id="pandas' index"),
        pytest.param("", range(ROWS), "an index: it numbers the rows", id="a column without a name"),
        pytest.param(
            "customer_id", [f"c{n * 31}" for n in range(ROWS)], "an id: another value in each row", id="an id"
        ),
        pytest.param(
            "customerId", [n * 31 for n in range(ROWS)], "an id: another value in each row", id="a numeric id"
        ),
        pytest.param("who", [f"person {n}" for n in range(ROWS)], "another text in each row, as ids", id="names"),
        pytest.param("country", ["ch"] * ROWS, "every row has ch", id="a constant"),
        pytest.param("nothing", [""] * ROWS, "it is empty", id="an empty column"),
        pytest.param("seen", [f"2026-11-{n % 28 + 1:02d}" for n in range(ROWS)], "it holds dates", id="dates"),
        pytest.param("born", [f"{n % 28 + 1}.3.1999" for n in range(ROWS)], "it holds dates", id="dates as in Europe"),
        pytest.param("paid", [f"{n % 12 + 1}/13/2026" for n in range(ROWS)], "like 2026-01-31", id="month first"),
        pytest.param(
            "age",
            [*range(20, 20 + ROWS - 1), "unknown"],
            "numbers, but also 'unknown' in row 60: clean it",
            id="a word among numbers",
        ),
    ],
)
def test_a_column_that_teaches_nothing_is_left_out_with_the_reason(
    name: str, values: Sequence[Any], reason: str
) -> None:
    look = look_at(with_feature(**{name: list(values)}), "kind")

    assert reason in left_out(look)[name]
    assert look.features == ["size"]


@pytest.mark.parametrize(
    ("name", "values", "kind"),
    [
        pytest.param("year", [2007 + n % 3 for n in range(ROWS)], "number", id="a few numbers"),
        pytest.param("price", [n * 1.37 for n in range(ROWS)], "number", id="different numbers"),
        pytest.param("island", [["Dream", "Torgersen", "Biscoe"][n % 3] for n in range(ROWS)], "category", id="texts"),
        pytest.param("member", ["true" if n % 3 else "false" for n in range(ROWS)], "boolean", id="true and false"),
        pytest.param("sex", ["NA" if n % 9 == 0 else "fm"[n % 2] for n in range(ROWS)], "category", id="with gaps"),
        pytest.param("paid", [n % 2 for n in range(ROWS)], "number", id="0 and 1"),
    ],
)
def test_a_column_that_teaches_something_is_kept(name: str, values: Sequence[Any], kind: str) -> None:
    look = look_at(with_feature(**{name: values}), "kind")

    (column,) = [each for each in look.columns if each.name == name]
    assert (column.left_out, column.kind) == (None, kind)


def test_gaps_are_counted() -> None:
    look = look_at(with_feature(sex=["NA" if n % 6 == 0 else "fm"[n % 2] for n in range(ROWS)]), "kind")

    assert {column.name: column.missing for column in look.columns} == {"sex": 10, "size": 0}


@pytest.mark.parametrize(
    ("values", "task"),
    [
        pytest.param(["ab"[n % 2] for n in range(ROWS)], "binaryClassification", id="two texts"),
        pytest.param([n % 2 for n in range(ROWS)], "binaryClassification", id="0 and 1"),
        pytest.param(["abc"[n % 3] for n in range(ROWS)], "multiclassClassification", id="three texts"),
        pytest.param([n % 4 for n in range(ROWS)], "multiclassClassification", id="four small numbers"),
        pytest.param([n * 1.5 for n in range(ROWS)], "regression", id="fractions"),
        pytest.param([1900 + n for n in range(ROWS)], "regression", id="many whole numbers"),
    ],
)
def test_the_label_says_what_is_predicted(values: Sequence[Any], task: str) -> None:
    look = look_at(a_table(size=[(n * 7) % 13 for n in range(ROWS)], label=values), "label")

    assert look.label.task == task


def test_the_guess_is_the_share_of_the_most_frequent_class() -> None:
    look = look_at(a_table(size=list(range(0, 80, 2)), label=["yes"] * 10 + ["no"] * 30), "label")

    assert look.label.classes == (("no", 30), ("yes", 10))
    assert look.label.guess == 0.75


def test_a_written_text_is_learnt_from_where_it_is_alone() -> None:
    texts = [f"the film number {n} was rather long and {'good' if n % 2 else 'bad'}" for n in range(ROWS)]

    alone = look_at(a_table(review=texts, kind=["ab"[n % 2] for n in range(ROWS)]), "kind")
    beside = look_at(with_feature(review=texts), "kind")

    assert alone.is_text
    assert not beside.is_text
    assert beside.features == ["size"]
    assert "written text beside other columns" in left_out(beside)["review"]


def test_keep_and_drop_win() -> None:
    table = with_feature(rowid=list(range(1, ROWS + 1)), good=[n % 5 for n in range(ROWS)])

    look = look_at(table, "kind", keep=["rowid"], drop=["good"])

    assert look.features == ["rowid", "size"]
    assert left_out(look) == {"good": "you dropped it"}


@pytest.mark.parametrize(
    ("label", "options", "said"),
    [
        pytest.param("knid", {}, "has no column 'knid'; did you mean 'kind'?", id="no such label"),
        pytest.param(
            "kind", {"keep": ["sise"]}, "has no column 'sise'; did you mean 'size'?", id="no such column to keep"
        ),
        pytest.param("kind", {"drop": ["kind"]}, "the label 'kind' cannot be dropped", id="the label dropped"),
        pytest.param("kind", {"drop": ["size"]}, "has no column to learn from", id="nothing left"),
        pytest.param(
            "kind", {"task": "regression"}, "task regression expects numbers, but 'kind' holds 'a'", id="texts"
        ),
        pytest.param("size", {"task": "binaryClassification"}, "expects two classes, but 'size' has 13", id="too many"),
    ],
)
def test_what_cannot_be_learnt_is_refused(label: str, options: dict[str, Any], said: str) -> None:
    with pytest.raises(Usage) as refused:
        look_at(with_feature(), label, **options)

    assert said in str(refused.value)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        pytest.param(["x"] * 4, "is x in every row", id="one class"),
        pytest.param([""] * 4, "is missing in every row", id="no label"),
        pytest.param(["a", "b", "c", "d"], "that is no class", id="another one in each row"),
    ],
)
def test_a_label_that_tells_nothing_apart_is_refused(values: list[str], said: str) -> None:
    with pytest.raises(Usage, match=said):
        look_at(a_table(size=[1, 5, 2, 9], label=values), "label")


@pytest.mark.parametrize(
    ("text", "cell"),
    [
        pytest.param("1.5", 1.5, id="a number"),
        pytest.param("1e3", 1000.0, id="an exponent"),
        pytest.param("1_000", "1_000", id="Python's own form"),
        pytest.param("True", True, id="a truth"),
        pytest.param("N/A", None, id="missing"),
        pytest.param("Torgersen", "Torgersen", id="a text"),
    ],
)
def test_cells_are_read_as_the_trainer_reads_them(text: str, cell: object) -> None:
    assert to_cell(text) == cell


@pytest.mark.parametrize(
    ("name", "content"),
    [
        pytest.param("rows.csv", b"a,b\n1,x\n2,y\n", id="commas"),
        pytest.param("rows.csv", b"\xef\xbb\xbfa;b\r\n1;x\r\n2;y\r\n", id="semicolons, as Excel writes them"),
        pytest.param("rows.tsv", b"a\tb\n1\tx\n2\ty\n", id="tabs"),
        pytest.param("rows.csv.gz", gzip.compress(b"a,b\n1,x\n2,y\n"), id="compressed"),
    ],
)
def test_tables_are_read_in_every_form(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)

    table = open_table(tmp_path / name)

    assert table.columns == ("a", "b")
    assert list(table.rows()) == [{"a": 1.0, "b": "x"}, {"a": 2.0, "b": "y"}]


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        pytest.param("rows.csv", b"", "is empty", id="empty"),
        pytest.param("rows.csv", b"a,a\n1,2\n", "two columns have the name 'a'", id="a name twice"),
        pytest.param("rows.csv", b"a,b\n\xff\xfe,1\n", "is not UTF-8", id="another encoding"),
        pytest.param("rows.xlsx", b"PK", "expected a table as .csv, .tsv or .parquet", id="a spreadsheet"),
        pytest.param("rows.csv.gz", b"a,b\n1,2\n", "cannot be read", id="not compressed at all"),
    ],
)
def test_a_file_that_is_no_table_is_refused(tmp_path: Path, name: str, content: bytes, said: str) -> None:
    (tmp_path / name).write_bytes(content)

    with pytest.raises(Usage, match=said):
        list(open_table(tmp_path / name).rows())


def test_a_file_that_is_not_there_is_refused_with_one_that_is(tmp_path: Path) -> None:
    (tmp_path / "penguins.csv").write_text("a\n1\n")

    with pytest.raises(Usage, match="did you mean 'penguins"):
        open_table(tmp_path / "pengiuns.csv")


def test_a_data_frame_is_a_table() -> None:
    class Frame:
        def to_csv(self, *, index: bool) -> str:
            assert not index
            return "a,b\n1,x\n"

    assert list(open_table(Frame(), name="mine").rows()) == [{"a": 1.0, "b": "x"}]
