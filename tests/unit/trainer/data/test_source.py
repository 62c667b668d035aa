"""Finding the files of a data set."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from trainyard_trainer.data.source import find
from trainyard_trainer.errors import BadInput


def put(path: Path, text: str = "a,b\n1,2\n") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_a_file_is_a_data_set(tmp_path: Path) -> None:
    source = find(str(put(tmp_path / "rows.csv")), "auto")

    assert (source.format, [each.name for each in source.files]) == ("csv", ["rows.csv"])


def test_a_file_uri_is_a_path(tmp_path: Path) -> None:
    assert find(f"file://{put(tmp_path / 'rows.csv')}", "auto").files[0].size == 8


def test_a_folder_as_spark_writes_it_is_one_data_set(tmp_path: Path) -> None:
    for name in (
        "day=1/part-0.csv",
        "day=1/.part-0.csv.crc",
        "day=2/part-0.csv",
        "_SUCCESS",
        "_temporary/0/part-9.csv",
        "day=2/empty.csv",
    ):
        put(tmp_path / name, "" if "empty" in name or "SUCCESS" in name else "a,b\n1,2\n")

    source = find(str(tmp_path), "auto")

    assert [each.name for each in source.files] == ["day=1/part-0.csv", "day=2/part-0.csv"]
    assert [each.partition for each in source.files] == [(("day", "1"),), (("day", "2"),)]


def test_a_missing_partition_value_is_missing(tmp_path: Path) -> None:
    put(tmp_path / "kind=__HIVE_DEFAULT_PARTITION__/x%20y=a%2Fb/part.csv")

    (file,) = find(str(tmp_path), "auto").files

    assert file.partition == (("kind", None), ("x y", "a/b"))


def test_a_config_map_as_kubernetes_mounts_it_is_read_once(tmp_path: Path) -> None:
    put(tmp_path / "..2026_01_01" / "rows.csv")
    (tmp_path / "..data").symlink_to("..2026_01_01")
    (tmp_path / "rows.csv").symlink_to("..data/rows.csv")

    assert [each.name for each in find(str(tmp_path), "auto").files] == ["rows.csv"]


def test_a_data_set_in_a_hidden_folder_is_read(tmp_path: Path) -> None:
    assert find(str(put(tmp_path / ".cache" / "_x" / "rows.csv").parent), "auto").files


def test_files_that_are_no_data_are_left_out(tmp_path: Path) -> None:
    put(tmp_path / "rows.csv.gz")
    put(tmp_path / "README.md")

    assert [each.name for each in find(str(tmp_path), "auto").files] == ["rows.csv.gz"]


def test_a_format_is_recognised_by_content_where_the_name_does_not_tell(tmp_path: Path) -> None:
    pq.write_table(pa.table({"a": [1]}), tmp_path / "parquet")
    put(tmp_path / "csv")

    assert find(str(tmp_path / "parquet"), "auto").format == "parquet"
    assert find(str(tmp_path / "csv"), "auto").format == "csv"


def test_the_declared_format_chooses_among_several(tmp_path: Path) -> None:
    put(tmp_path / "a.csv")
    put(tmp_path / "b.parquet")

    assert [each.name for each in find(str(tmp_path), "csv").files] == ["a.csv"]
    with pytest.raises(BadInput, match=r"several formats \(csv, parquet\): set data.format"):
        find(str(tmp_path), "auto")


def test_the_fingerprint_follows_names_and_sizes_not_the_place(tmp_path: Path) -> None:
    for folder in ("one", "two"):
        put(tmp_path / folder / "rows.csv")
    put(tmp_path / "three" / "rows.csv", "a,b\n1,22\n")

    one, two, three = (find(str(tmp_path / each), "auto").fingerprint for each in ("one", "two", "three"))

    assert one == two != three


@pytest.mark.parametrize(
    ("location", "message"),
    [
        ("row.csv", "does not exist; did you mean 'rows.csv'?"),
        ("elsewhere/x", "does not exist: check the path, or that the volume holds it"),
        ("folder", "holds no files"),
        ("empty.csv", "is empty: expected a table with a header"),
        ("nosuch://host/x", "cannot open nosuch://host/x: expected a path, or a URI that starts with file, s3, gs"),
    ],
)
def test_what_cannot_be_read_is_refused_with_what_to_do(location: str, message: str, tmp_path: Path) -> None:
    put(tmp_path / "rows.csv")
    put(tmp_path / "empty.csv", "")
    put(tmp_path / "folder" / "_SUCCESS")

    with pytest.raises(BadInput) as raised:
        find(location if "://" in location else str(tmp_path / location), "auto")

    assert message in str(raised.value)
