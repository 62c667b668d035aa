"""What is done with each kind of column, value and file: the table of the page on data, a test a row."""

import codecs
import gzip
import json
import re
import zipfile
from pathlib import Path
from typing import Any, cast

import numpy as np
import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet as pq
import pytest

from support.prepared import look
from support.tables import write_records
from trainyard_trainer.errors import BadInput

ROWS = 60
RANDOM = np.random.default_rng(3)
NOISE = [f"{value:.3f}" for value in RANDOM.normal(size=ROWS)]
YES_NO = ["yes", "no"] * (ROWS // 2)


def write_csv(
    path: Path, *, delimiter: str = ",", encoding: str = "utf-8", quote: bool = False, **columns: Any
) -> Path:
    """Write columns as CSV; `unnamed` comes first, without a name."""
    columns = {"": columns.pop("unnamed"), **columns} if "unnamed" in columns else columns
    shown = (lambda value: f'"{value}"') if quote else str
    lines = [delimiter.join(columns), *(delimiter.join(map(shown, row)) for row in zip(*columns.values(), strict=True))]
    path.write_bytes(("\n".join(lines) + "\n").encode(encoding))
    return path


@pytest.mark.parametrize(
    "labels",
    [
        pytest.param(["001", "002", "010"], id="leading zeros"),
        pytest.param(["9007199254740992", "9007199254740993", "9007199254740997"], id="beyond 2^53"),
        pytest.param(["1.10", "1.1", "1.2"], id="versions"),
        pytest.param(["1e5", "100000", "7"], id="exponents"),
        pytest.param(["True", "False", "maybe"], id="words of Python"),
    ],
)
def test_the_classes_of_a_csv_file_are_the_texts_in_it(labels: list[str], tmp_path: Path) -> None:
    path = write_csv(tmp_path / "t.csv", a=NOISE, label=labels * (ROWS // 3))

    looked = look(path, task="multiclassClassification")

    assert sorted(looked.classes) == sorted(labels)


IDS = [2**53, 2**53 + 1, 2**63 - 1]


def as_parquet(folder: Path) -> Path:
    pq.write_table(pa.table({"a": list(map(float, NOISE)), "label": IDS * (ROWS // 3)}), folder / "t.parquet")
    return folder / "t.parquet"


def as_records(folder: Path) -> Path:
    rows = zip(map(float, NOISE), IDS * (ROWS // 3), strict=True)
    return write_records(folder / "t.tfrecord", [{"a": a, "label": label} for a, label in rows])


def as_npz(folder: Path) -> Path:
    np.savez(folder / "t.npz", a=np.array(NOISE, float), label=np.array(IDS * (ROWS // 3)))
    return folder / "t.npz"


@pytest.mark.parametrize("write", [as_parquet, as_records, as_npz])
def test_classes_that_are_64_bit_ids_keep_all_their_digits(write: Any, tmp_path: Path) -> None:
    looked = look(write(tmp_path), task="multiclassClassification")

    assert looked.classes == tuple(map(str, IDS))


def test_validation_files_and_slices_keep_every_digit_too(tmp_path: Path) -> None:
    ids = list(map(str, IDS)) * (ROWS // 3)
    path = write_csv(tmp_path / "t.csv", a=NOISE, shop=[f"0{i % 3}" for i in range(ROWS)], label=ids)
    write_csv(tmp_path / "v.csv", a=NOISE, shop=[f"0{i % 3}" for i in range(ROWS)], label=ids)

    looked = look(path, task="multiclassClassification", validation={"uri": "v.csv"}, slices=["shop"])

    assert looked.classes == tuple(map(str, IDS))
    table = looked.prepared.table
    shops = {shop for shard in table.shards() for raw in table.read(shard) for shop in raw.slices["shop"].to_pylist()}
    assert shops == {"00", "01", "02"}
    assert "shop" in table.schema.numbers


def test_blanks_around_texts_do_not_count(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    rows = [f"{NOISE[i]}, {'red' if i % 3 else 'blue'} ,{'yes' if i % 2 else 'no'}{' ' * (i % 4)}" for i in range(ROWS)]
    path.write_text("\n".join(["a , colour, label", *rows]))

    looked = look(path)

    assert looked.classes == ("no", "yes")
    assert looked.features == ("a", "colour")
    assert cast(Any, looked.prepared.profile.features).vocabularies == (("blue", "red"),)


def test_a_word_that_counts_as_missing_is_named_and_counted_in_a_label(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "t.csv", a=NOISE, region=["NA", "EU", "ASIA"] * (ROWS // 3))

    with pytest.raises(BadInput) as raised:
        look(path, label="region", task="multiclassClassification")

    assert str(raised.value).startswith("row 1 of t.csv: the label 'region' is 'NA', which counts as missing")
    assert "data.csv.missing" in str(raised.value)
    assert "20 of 60 rows have no label" in str(raised.value)
    kept = look(path, label="region", task="multiclassClassification", csv={"missing": []})
    assert kept.classes == ("ASIA", "EU", "NA")


def test_rows_without_a_label_are_counted_and_left_out_where_the_spec_says_so(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "t.csv", a=NOISE, label=["", "1.5", "2.5"] * (ROWS // 3))

    with pytest.raises(BadInput, match=r"row 1 of t.csv: the label 'label' is missing; 20 of 60 rows have no label"):
        look(path, task="regression")
    looked = look(path, task="regression", dropUnlabelled=True)

    assert looked.labels() == [1.5, 2.5] * 20
    assert looked.prepared.profile.rows == 40
    (line,) = [line for line in looked.log if line["event"] == "unlabelled-rows"]
    assert line["count"] == 20


NOTATIONS = [
    pytest.param(["28,7", "-0,5", "1,25"], [28.7, -0.5, 1.25], id="decimal comma"),
    pytest.param(["1.234,5", "0,5", "12.345.678,25"], [1234.5, 0.5, 12345678.25], id="points between thousands"),
    pytest.param(["1 234,5", "0,5", "2"], [1234.5, 0.5, 2], id="blanks between thousands"),
    pytest.param(["1'234.5", "0.5", "2"], [1234.5, 0.5, 2], id="apostrophes between thousands"),
    pytest.param(["1,234.5", "0.5", "12,345,678"], [1234.5, 0.5, 12345678], id="commas between thousands"),
    pytest.param(["$5", "$1,200.50", "-$3"], [5, 1200.5, -3], id="dollars"),
    pytest.param(["5,50 €", "1.200,50 €", "-3 €"], [5.5, 1200.5, -3], id="euros"),
    pytest.param(["12%", "3.5%", "-1 %"], [12, 3.5, -1], id="percent"),
    pytest.param(["(3.2)", "4.0", "(1,000.5)"], [-3.2, 4, -1000.5], id="parentheses"),
    pytest.param(["5-", "4", "3.5-"], [-5, 4, -3.5], id="minus behind"),
    pytest.param(["5 kg", "4.5 kg", "3 kg"], [5, 4.5, 3], id="a unit"),
]


@pytest.mark.parametrize(("texts", "numbers"), NOTATIONS)
@pytest.mark.parametrize("delimiter", [";", "\t"])
def test_numbers_in_another_notation_are_read(
    texts: list[str], numbers: list[float], delimiter: str, tmp_path: Path
) -> None:
    columns: dict[str, Any] = {"size": texts * (ROWS // 3), "label": texts * (ROWS // 3)}
    looked = look(write_csv(tmp_path / "t.csv", delimiter=delimiter, **columns), task="regression")

    np.testing.assert_allclose(looked.numbers("size"), numbers * (ROWS // 3), rtol=1e-6)
    np.testing.assert_allclose(looked.labels(), numbers * (ROWS // 3))
    assert looked.columns == {"size": "number"}


@pytest.mark.parametrize("style", ["${:,.2f}", "{:.1f}%", "({:,.2f})", "{:,.2f} €"])
def test_numbers_in_another_notation_tell_no_rows_apart_though_all_are_different(style: str, tmp_path: Path) -> None:
    path = write_csv(
        tmp_path / "t.csv", quote=True, price=[style.format(900 + 7.5 * i) for i in range(ROWS)], a=NOISE, label=YES_NO
    )

    assert look(path).columns["price"] == "number"


def test_numbers_in_two_notations_are_refused_though_all_are_different(tmp_path: Path) -> None:
    texts = [f"{value}.25" if value % 2 else f"{value},25" for value in range(ROWS)]
    path = write_csv(tmp_path / "t.csv", delimiter=";", price=texts, a=NOISE, label=YES_NO)

    with pytest.raises(BadInput, match=r"column 'price' holds numbers written as '0,25': say number in data.columns"):
        look(path)


def test_a_column_of_many_words_beside_numbers_tells_rows_apart(tmp_path: Path) -> None:
    tickets = [f"{113000 + i}" if i % 2 else f"A/5 {21000 + i}" for i in range(ROWS)]

    assert look(write_csv(tmp_path / "t.csv", ticket=tickets, a=NOISE, label=YES_NO)).features == ("a",)


def test_quotes_keep_the_thousands_of_a_file_with_commas_together(tmp_path: Path) -> None:
    looked = look(write_csv(tmp_path / "t.csv", quote=True, price=["1,234", "12,000", "9"] * (ROWS // 3), label=YES_NO))

    assert looked.numbers("price")[:3] == [1234, 12000, 9]


def test_a_number_that_can_be_read_in_two_ways_is_refused_until_the_spec_tells_which(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "t.csv", delimiter=";", price=["1,234", "2,500", "3,750"] * (ROWS // 3), label=YES_NO)

    with pytest.raises(BadInput, match=r"column 'price' holds numbers such as '1,234', which can be read in two ways"):
        look(path)

    assert look(path, csv={"decimal": ","}).numbers("price")[0] == pytest.approx(1.234)
    assert look(path, csv={"thousands": ","}).numbers("price")[0] == 1234


def test_other_columns_tell_how_an_ambiguous_one_is_written(tmp_path: Path) -> None:
    columns: dict[str, Any] = {
        "a": ["0,5", "1,5", "2,25"] * (ROWS // 3),
        "b": ["1,234", "2,500", "3,750"] * (ROWS // 3),
    }
    columns["c"] = ["1.234", "2.500", "12"] * (ROWS // 3)
    looked = look(write_csv(tmp_path / "t.csv", delimiter=";", **columns, label=YES_NO))

    assert looked.numbers("b")[0] == pytest.approx(1.234)
    assert looked.numbers("c")[0] == 1234


def test_numbers_among_words_are_refused_by_name(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "t.csv", delimiter=";", price=["1,5"] * 40 + ["free"] * 20, label=YES_NO)

    with pytest.raises(BadInput, match=r"column 'price' has mixed types: 32 of its 48 texts are numbers, but not 'fr"):
        look(path)


def test_a_row_whose_number_is_in_no_notation_is_a_bad_row(tmp_path: Path) -> None:
    prices = ["$1", "$2.50", "$3,000"] * (ROWS // 3)
    prices[4] = "gratis"
    looked = look(write_csv(tmp_path / "t.csv", delimiter=";", price=prices, label=YES_NO), maxBadRows=1)

    assert looked.prepared.table.bad_rows.first == ["row 5 of t.csv: column 'price': 'gratis' is not a number"]
    assert looked.numbers("price")[2] == 3000


def test_numbers_written_as_texts_in_parquet_are_refused_until_the_spec_says_what_they_are(tmp_path: Path) -> None:
    prices = ["$5", "$6", "$7"] * (ROWS // 3)
    pq.write_table(pa.table({"price": prices, "label": YES_NO}), tmp_path / "t.parquet")

    with pytest.raises(BadInput, match=r"column 'price' holds numbers written as '\$5': say number in data.columns"):
        look(tmp_path / "t.parquet")

    assert look(tmp_path / "t.parquet", columns={"price": "number"}).numbers("price")[:2] == [5, 6]
    assert look(tmp_path / "t.parquet", columns={"price": "category"}).columns["price"] == "category"


def test_a_name_that_begins_like_a_unit_is_no_number(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "t.csv", gene=["g0", "g1", "m2"] * (ROWS // 3), label=YES_NO)

    assert look(path).columns["gene"] == "category"


LEFT_OUT = [
    pytest.param("name", [f"Person {i}" for i in range(ROWS)], "it tells rows apart", id="names"),
    pytest.param("ticket", [f"A/{i // 2 if i < 30 else i}" for i in range(ROWS)], "it tells rows apart", id="tickets"),
    pytest.param("day", [f"2026-03-{1 + i % 28:02}" for i in range(ROWS)], "it holds dates", id="dates as texts"),
    pytest.param("day", [f"2026/3/{1 + i % 28}" for i in range(ROWS)], "it holds dates", id="dates with strokes"),
    pytest.param(
        "day", [f"{1 + i % 12}/{1 + i % 28}/2026" for i in range(ROWS)], "it holds dates or t", id="American dates"
    ),
    pytest.param(
        "day", [f"{1 + i % 28} Mar 2026" for i in range(ROWS)], "it holds dates or times", id="names of months"
    ),
    pytest.param(
        "account", [2**70 + 2**20 * (i % 9) for i in range(ROWS)], "more than 15 digits", id="repeated large ids"
    ),
    pytest.param("customer_id", [7 * i % 61 + 100 for i in range(ROWS)], "as ids do", id="ids"),
    pytest.param("hash", [2**60 + 7919 * i % 61 * 4096 for i in range(ROWS)], "as ids do", id="large numbers"),
    pytest.param("n", list(range(1, ROWS + 1)), "it holds the numbers of the rows", id="row numbers from 1"),
    pytest.param("n", list(range(ROWS)), "it holds the numbers of the rows", id="row numbers from 0"),
    pytest.param("Unnamed: 0", [9 * i % 61 for i in range(ROWS)], "index of a pandas frame", id="unnamed in pandas"),
]


@pytest.mark.parametrize(("name", "values", "why"), LEFT_OUT)
def test_a_column_that_identifies_rows_is_left_out_with_a_line_that_says_so(
    name: str, values: list[Any], why: str, tmp_path: Path
) -> None:
    path = write_csv(tmp_path / "t.csv", **cast(Any, {name: values}), a=NOISE, label=YES_NO)

    looked = look(path)

    assert looked.features == ("a",)
    (line,) = [line for line in looked.log if line["event"] == "columns"]
    assert f"{name}: left out, " in line["message"]
    assert why in line["message"]
    assert look(path, features=[name, "a"]).features == (name, "a")


@pytest.mark.parametrize(
    "empty",
    [
        pytest.param(pa.nulls(ROWS, pa.float64()), id="numbers"),
        pytest.param(pa.array([float("nan")] * ROWS), id="not a number"),
        pytest.param([""] * ROWS, id="texts"),
        pytest.param(pa.nulls(ROWS), id="no type"),
    ],
)
def test_a_column_without_a_value_is_left_out_and_refused_where_it_is_named(empty: Any, tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    pq.write_table(pa.table({"a": list(map(float, NOISE)), "gone": empty, "label": YES_NO}), path)

    looked = look(path)

    assert looked.features == ("a",)
    assert any("gone: left out, it has no value" in line["message"] for line in looked.log)
    with pytest.raises(BadInput, match="column 'gone' has no value in any training row"):
        look(path, features=["a", "gone"])


def test_a_column_whose_first_value_comes_late_is_not_left_out(tmp_path: Path) -> None:
    rows = 20_000
    late = pa.array([None] * (rows - 1000) + [1.5, 2.5] * 500)
    columns = {"a": [float(i % 7) for i in range(rows)], "late": late, "label": ["no", "yes"] * (rows // 2)}
    pq.write_table(pa.table(columns), tmp_path / "t.parquet")

    assert look(tmp_path / "t.parquet").features == ("a", "late")


def test_a_column_without_a_name_never_becomes_an_input(tmp_path: Path) -> None:
    looked = look(write_csv(tmp_path / "t.csv", unnamed=[9 * i % 61 for i in range(ROWS)], a=NOISE, label=YES_NO))

    assert looked.features == ("a",)
    assert looked.columns == {"a": "number", "Unnamed: 0": "leftOut"}


def test_row_names_of_r_that_the_header_does_not_count_are_left_out(tmp_path: Path) -> None:
    rows = [f"r{i},{NOISE[i]},{YES_NO[i]}" for i in range(ROWS)]
    (tmp_path / "t.csv").write_text("\n".join(["a,label", *rows]))

    assert look(tmp_path / "t.csv").features == ("a",)


@pytest.mark.parametrize("index", ["__index_level_0__", "customer"])
def test_the_index_that_pandas_hides_in_a_parquet_file_is_left_out(index: str, tmp_path: Path) -> None:
    columns = {"a": list(map(float, NOISE)), "label": YES_NO, index: [9 * i % 61 for i in range(ROWS)]}
    metadata = {b"pandas": json.dumps({"index_columns": [index]}).encode()}
    pq.write_table(pa.table(columns).replace_schema_metadata(metadata), tmp_path / "t.parquet")

    looked = look(tmp_path / "t.parquet")

    assert looked.features == ("a",)
    assert looked.columns[index] == "leftOut"


def test_excluded_columns_are_no_features(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "t.csv", a=NOISE, b=NOISE, label=YES_NO)

    assert look(path, exclude=["b"]).features == ("a",)
    with pytest.raises(BadInput, match=r"data.exclude is 'c', which is not a column of t.csv"):
        look(path, exclude=["c"])


def test_a_category_of_codes_keeps_their_zeros(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "t.csv", zip=["01234", "00501", "99999"] * (ROWS // 3), a=NOISE, label=YES_NO)

    looked = look(path, columns={"zip": "category"})

    assert cast(Any, looked.prepared.profile.features).vocabularies == (("00501", "01234", "99999"),)


HEADLESS = [
    pytest.param([["21.5", "588", "a", "high"], ["3.5", "12", "b", "low"]], id="half numbers"),
    pytest.param([["0", "0", "a", "high"], ["1", "5", "b", "low"]], id="repeated values"),
    pytest.param([["red", "a", "x", "high"], ["blue", "b", "x", "low"], ["red", "b", "y", "low"]], id="texts only"),
    pytest.param([["28,7", "1", "2", "high"], ["3,5", "2", "1", "low"]], id="decimal commas"),
]


@pytest.mark.parametrize("rows", HEADLESS)
def test_a_file_without_a_header_is_told_and_may_be_given_names(rows: list[list[str]], tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("\n".join(";".join(rows[i % len(rows)]) for i in range(ROWS)))

    with pytest.raises(BadInput, match=r"its first line looks like data: .*data\.csv\.names"):
        look(path, label="state")

    named = look(path, label="state", csv={"names": ["a", "b", "c", "state"]})
    assert named.classes == ("high", "low")
    assert named.prepared.profile.rows == ROWS
    assert look(path, label="column_4", csv={"header": False}).classes == ("high", "low")


SHAPES = [
    pytest.param("Report of May\n\na,b,label\n1,2,x\n", "its first line has no ',', and others have 2", id="a title"),
    pytest.param("# made by x\na;b;label\n1;2;x\n", "its first line has no ';', and others have 2", id="a comment"),
    pytest.param("a^b^label\n1^2^x\n3^4^y\n", "it has one column: if another sign than", id="another delimiter"),
    pytest.param("@relation x\n@attribute a numeric\n@data\n1,x\n", "is an ARFF file of Weka", id="ARFF"),
    pytest.param("+1 1:0.5 2:0.25\n-1 1:0.25 2:0.5\n", "is LIBSVM's sparse format", id="LIBSVM"),
    pytest.param("<table><tr><td>1</td></tr></table>", "is a web page", id="a table of HTML"),
    pytest.param("\n\n \n", "is empty: expected a table with a header", id="blank lines"),
    pytest.param("a,b,label", "has a header but no rows", id="a header without an end of line"),
    pytest.param("a,b,label\n1,2,x\n", "has one row: expected at least two", id="one row"),
    pytest.param(f"{'a' * 2000},label\n1,x\n2,y\n", "a column has a name of 2,000 characters", id="a long name"),
    pytest.param("a,b,label\n" + "1,2,\n" * 9, "none of 9 rows has a label", id="no label at all"),
]


@pytest.mark.parametrize(("text", "message"), SHAPES)
def test_a_file_of_another_shape_is_told_with_what_to_do(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text(text)

    with pytest.raises(BadInput, match=re.escape(message)):
        look(tmp_path / "t.csv")


READ = [
    pytest.param("sep=;\na;b;label\n", "{};2;{}\n", id="Excel's line with the delimiter"),
    pytest.param("a,b,label\n", "{},2,{},\n", id="a delimiter at the end of each row"),
    pytest.param("a,b,label\n", '"{}\n",2,{}\n', id="a line end behind a number, in quotes"),
]


@pytest.mark.parametrize(("header", "row"), READ)
def test_a_file_of_a_common_odd_shape_is_read(header: str, row: str, tmp_path: Path) -> None:
    rows = [row.format(value, label) for value, label in zip(NOISE, YES_NO, strict=True)]
    (tmp_path / "t.csv").write_text(header + "".join(rows))

    looked = look(tmp_path / "t.csv")

    assert looked.features == ("a", "b")
    assert looked.numbers("a") == [float(np.float32(value)) for value in NOISE]


def test_a_cell_of_several_mebibytes_is_read_each_time(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "t.csv", a=NOISE, text=["x" * (3 << 20), *["y"] * (ROWS - 1)], label=YES_NO)

    looked = look(path)

    assert looked.numbers("a") == looked.numbers("a") == [float(np.float32(value)) for value in NOISE]


@pytest.mark.parametrize("encoding", ["base64", "rot13", "idna", "punycode", "undefined", "no-such"])
def test_an_encoding_that_is_none_of_texts_is_refused(encoding: str, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=rf"data.csv.encoding is '{encoding}', which is no encoding"):
        look(write_csv(tmp_path / "t.csv", a=NOISE, label=YES_NO), csv={"encoding": encoding})


def test_utf16_without_a_byte_order_mark_needs_its_order(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "t.csv", encoding="utf-16-be", a=NOISE, label=YES_NO)

    with pytest.raises(BadInput, match=r"t.csv has no byte order mark: say utf-16-le or utf-16-be"):
        look(path, csv={"encoding": "utf-16"})
    assert look(path, csv={"encoding": "utf-16-be"}).classes == ("no", "yes")


@pytest.mark.parametrize(
    ("texts", "classes"),
    [
        pytest.param(["yes\u00a0", "yes", "no"], ("no", "yes"), id="blanks that are not ASCII's"),
        pytest.param(["caf\u00e9", "cafe\u0301", "no"], ("caf\u00e9", "no"), id="accents written in two ways"),
    ],
)
def test_labels_that_nobody_can_tell_apart_are_one_class(
    texts: list[str], classes: tuple[str, ...], tmp_path: Path
) -> None:
    path = write_csv(tmp_path / "t.csv", a=NOISE, label=texts * (ROWS // 3))

    assert look(path).classes == classes


@pytest.mark.parametrize("texts", [["Yes", "yes", "no"], ["1", "0", "1.0"], ["True", "1", "0"], ["a\u200b", "a", "b"]])
def test_two_classes_written_in_three_ways_are_refused(texts: list[str], tmp_path: Path) -> None:
    path = write_csv(tmp_path / "t.csv", a=NOISE, label=texts * (ROWS // 3))

    with pytest.raises(BadInput, match=r"which differ only in how they are written: write them alike in the data"):
        look(path)


def test_a_label_with_another_class_in_every_row_is_refused(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "t.csv", a=NOISE, label=[f"c{i}" for i in range(ROWS)])

    with pytest.raises(BadInput, match=r"another value in nearly every row \(60 different ones\)"):
        look(path, task="multiclassClassification")


@pytest.mark.parametrize(
    ("style", "message"),
    [
        ("{}e300", r"is 1e\+300 in row 1 of t.csv: expected numbers below 1e\+38"),
        ("{}e39", r"is 1e\+39 in row 1 of t.csv: expected numbers below 1e\+38"),
        ("1{:03}e-300", r"goes from .* to .*: expected numbers that differ in their first six digits"),
        ("1000000000.000{:03}", r"goes from .* to .*: expected numbers that differ in their first six digits"),
    ],
)
def test_a_label_that_float32_cannot_hold_is_refused(style: str, message: str, tmp_path: Path) -> None:
    path = write_csv(tmp_path / "t.csv", a=NOISE, label=[style.format(1 + i) for i in range(ROWS)])

    with pytest.raises(BadInput, match=rf"the label 'label' {message}"):
        look(path, task="regression")


def test_too_few_rows_to_hold_any_back_are_trained_on_without_validation(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("a,label\n1,x\n2,y\n")

    looked = look(tmp_path / "t.csv", validation={})

    assert (looked.prepared.profile.training_rows, looked.prepared.profile.validation_rows) == (2, 0)
    assert "val_loss" not in looked.prepared.metrics
    assert [line["message"] for line in looked.log if line["event"] == "no-validation"]
    with pytest.raises(BadInput, match=r"data.validation.fraction 0.1 of 2 rows is less than a row"):
        look(tmp_path / "t.csv", validation={"fraction": 0.1})


@pytest.mark.parametrize(
    ("mark", "encoding"),
    [(codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"), (codecs.BOM_UTF8, "utf-8")],
)
def test_a_byte_order_mark_tells_the_encoding(mark: bytes, encoding: str, tmp_path: Path) -> None:
    text = "größe\tlabel\r\n" + "".join(f"{NOISE[i]}\t{'ja' if i % 2 else 'nö'}\r\n" for i in range(ROWS))
    (tmp_path / "t.csv").write_bytes(mark + text.encode(encoding))

    looked = look(tmp_path / "t.csv")

    assert looked.features == ("größe",)
    assert looked.classes == ("ja", "nö")


def test_another_encoding_is_refused_by_line_and_read_where_the_spec_names_it(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "t.csv", encoding="windows-1252", größe=NOISE, label=YES_NO)

    with pytest.raises(BadInput) as raised:
        look(path)

    assert str(raised.value).startswith(
        r"line 1 of t.csv: the column name 'gr\xf6\xdfe' is not in UTF-8: save the file"
    )
    assert look(path, csv={"encoding": "windows-1252"}).features == ("größe",)


def feather(path: Path) -> None:
    pa.feather.write_feather(pa.table({"a": NOISE, "label": YES_NO}), str(path))


def zipped(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("t.csv", "a,label\n1,2\n")


def npy(path: Path) -> None:
    with path.open("wb") as stream:
        np.save(stream, np.zeros(9))


FOREIGN = [
    pytest.param(zipped, "a ZIP archive", id="zip"),
    pytest.param(feather, "an Arrow or Feather file", id="feather"),
    pytest.param(npy, "one array of numpy", id="npy"),
    pytest.param(lambda path: path.write_bytes(gzip.compress(b"a,label\n1,2\n")), "compressed by gzip", id="gzip"),
    pytest.param(lambda path: path.write_text(json.dumps({"a": 1}) + "\n" + json.dumps({"a": 2})), "JSON", id="jsonl"),
    pytest.param(lambda path: path.write_text(json.dumps([{"a": 1}])), "JSON", id="json"),
    pytest.param(lambda path: path.write_text("<!DOCTYPE html><html>"), "a web page", id="html"),
    pytest.param(lambda path: path.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(90)), "a PNG image", id="png"),
    pytest.param(lambda path: path.write_bytes(b"a,label\n" + bytes(90)), "holds zero bytes", id="zeros"),
]


@pytest.mark.parametrize(("write", "what"), FOREIGN)
@pytest.mark.parametrize("name", ["t.csv", "t.data"])
def test_a_file_of_another_format_is_told_by_its_first_bytes(
    write: Any, what: str, name: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path / name)

    with pytest.raises(BadInput) as raised:
        look(tmp_path / name)

    assert what in str(raised.value)
    assert name in str(raised.value)
    assert str(raised.value).isprintable()
    assert "ignored" not in capfd.readouterr().err


def test_a_file_that_is_named_like_parquet_and_is_none_is_told_as_what_it_is(tmp_path: Path) -> None:
    zipped(tmp_path / "t.parquet")

    with pytest.raises(BadInput, match=r"t.parquet is a ZIP archive .*, not Parquet"):
        look(tmp_path / "t.parquet")


def test_bytes_that_are_no_text_in_a_row_of_too_many_fields_leave_no_traceback(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    lines = [f"{NOISE[i]},{YES_NO[i]}".encode() for i in range(ROWS)]
    lines[7] = b"1,\xff\xfe,2,3"
    (tmp_path / "t.csv").write_bytes(b"\n".join([b"a,label", *lines]))

    with pytest.raises(BadInput, match=r"row 8 of t.csv: it has 4 fields, expected 2"):
        look(tmp_path / "t.csv")

    assert capfd.readouterr().err == ""


def test_a_damaged_compressed_file_is_bad_input(tmp_path: Path) -> None:
    text = "a,label\n" + "".join(f"{value},{label}\n" for value, label in zip(NOISE, YES_NO, strict=True))
    content = bytearray(gzip.compress(text.encode()))
    content[30:40] = b"\xff" * 10
    (tmp_path / "t.csv.gz").write_bytes(content)

    with pytest.raises(BadInput, match=r"t\.csv\.gz"):
        look(tmp_path / "t.csv.gz")


def test_a_file_name_that_is_not_utf8_is_shown_with_its_bytes(tmp_path: Path) -> None:
    folder = tmp_path / "pictures"
    folder.mkdir()
    Path(str(folder) + "/caf\udce9.csv").write_text("a,label\n1,2\n")

    with pytest.raises(BadInput) as raised:
        look(folder)

    assert str(raised.value) == f"{folder} holds a file or folder whose name is not UTF-8: caf\\xe9.csv; rename it"


def test_quotes_are_respected_where_the_delimiter_is_guessed(tmp_path: Path) -> None:
    rows = "".join(f'"x; y; z; {i % 3}",{NOISE[i]},{YES_NO[i]}\n' for i in range(ROWS))
    (tmp_path / "t.csv").write_text('"what; where; when; who",a,label\n' + rows)

    assert look(tmp_path / "t.csv").features == ("what; where; when; who", "a")
