"""Data from web servers and from HDFS' REST interface."""

import io
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.fs as pa_fs
import pyarrow.parquet as pq
import pytest

from support.stores import Hdfs, Web, every_third, hdfs_server, web_server
from trainyard_trainer.data.source import find
from trainyard_trainer.data.table import Table
from trainyard_trainer.errors import BadInput
from trainyard_trainer.stores import http_files
from trainyard_trainer.stores.access import Access
from trainyard_trainer.stores.faults import StoreUnavailable, fault
from trainyard_trainer.stores.http_files import HttpFiles

CSV = b"a,b,label\n" + b"1,2,x\n3,4,y\n" * 500
ROWS = 30_000


def a_parquet() -> bytes:
    rng = np.random.default_rng(1)
    stream = io.BytesIO()
    columns = {f"c{i}": rng.normal(size=ROWS) for i in range(10)} | {"label": rng.integers(0, 2, ROWS)}
    pq.write_table(pa.table(columns), stream, row_group_size=ROWS // 10, compression="none")
    return stream.getvalue()


@pytest.fixture
def web() -> Iterator[Web]:
    with web_server(Web({"/data/rows.csv": CSV, "/data/a b.csv": CSV, "/rows.parquet": a_parquet()})) as server:
        yield server


def count(location: str, access: Access | None = None, features: list[str] | None = None) -> int:
    table = Table(find(location, "auto", access), label="label", features=features)
    return sum(len(raw) for shard in table.shards() for raw in table.read(shard))


@pytest.mark.parametrize("ranges", [True, False])
@pytest.mark.parametrize("path", ["/data/rows.csv", "/data/rows.csv?version=3", "/data/a%20b.csv", "/data/a b.csv"])
def test_a_file_is_read_whether_the_server_gives_parts_or_not(web: Web, path: str, ranges: bool) -> None:
    web.ranges = ranges

    assert count(web.origin + path) == 1000
    assert all(asked.endswith("?version=3") == ("?" in path) for asked, _ in web.requests)


def test_of_a_parquet_file_only_the_wanted_columns_are_asked_for(web: Web) -> None:
    assert count(f"{web.origin}/rows.parquet", features=["c1"]) == ROWS
    assert web.sent < len(web.files["/rows.parquet"]) / 3


def test_a_file_that_comes_as_a_whole_is_fetched_once(web: Web) -> None:
    web.ranges = False

    assert count(f"{web.origin}/rows.parquet") == ROWS
    # The first asks whether there are parts, and hangs up.
    assert len(web.requests) == 2


def test_a_file_larger_than_the_disk_should_take_is_refused(web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    web.ranges = False
    monkeypatch.setattr(http_files, "MOST_DOWNLOADED", 1 << 20)

    with pytest.raises(BadInput, match="gives no parts of it"):
        count(f"{web.origin}/rows.parquet")


@pytest.mark.parametrize("ranges", [True, False])
def test_a_server_that_fails_every_third_request_and_cuts_answers_short_gives_all_rows(web: Web, ranges: bool) -> None:
    web.ranges, web.fails, web.cuts = ranges, every_third, lambda number, _: number % 4 == 2

    assert count(f"{web.origin}/rows.parquet") == ROWS


def test_readers_of_one_copy_do_not_disturb_each_other(web: Web) -> None:
    web.ranges = False
    files = pa_fs.PyFileSystem(HttpFiles(web.origin, "", Access({})))
    streams = [files.open_input_stream("/data/rows.csv") for _ in range(2)]
    found: list[bytes] = []

    threads = [threading.Thread(target=lambda each=each: found.append(each.read())) for each in streams]  # type: ignore[misc]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert found == [CSV, CSV]


@pytest.mark.parametrize(
    ("env", "header"),
    [
        ({"HTTP_BEARER_TOKEN": "t0ken"}, "Bearer t0ken"),
        ({"HTTP_USERNAME": "ann", "HTTP_PASSWORD": "hunter2"}, "Basic YW5uOmh1bnRlcjI="),
    ],
)
def test_credentials_open_a_guarded_server(web: Web, env: dict[str, str], header: str) -> None:
    web.authorization = header

    assert count(f"{web.origin}/data/rows.csv", Access(env)) == 1000
    with pytest.raises(BadInput, match=r"the credentials are refused.*the environment") as raised:
        count(f"{web.origin}/data/rows.csv", Access({"HTTP_BEARER_TOKEN": "wr0ng"}))
    assert "wr0ng" not in str(raised.value)


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("/data/nothing.csv", "/data/nothing.csv does not exist"),
        ("/data/", "is a folder, which HTTP cannot list: name one file"),
    ],
)
def test_what_is_not_there_is_told(web: Web, path: str, message: str) -> None:
    with pytest.raises(BadInput, match=message):
        find(web.origin + path, "auto")


def test_a_server_that_is_down_may_come_back(free_port: int, web: Web) -> None:
    def outcome(origin: str) -> object:
        with pytest.raises(OSError) as raised:  # noqa: PT011 (what it means is told below)
            HttpFiles(origin, "", Access({}), attempts=1).get_file_info(["/x"])
        return type(fault(raised.value, origin))

    web.fails = lambda number, request: True

    assert outcome(f"http://127.0.0.1:{free_port}") is StoreUnavailable
    assert outcome(web.origin) is StoreUnavailable


def test_a_file_that_changes_while_it_is_read_is_noticed(web: Web) -> None:
    table = Table(find(f"{web.origin}/rows.parquet", "auto"), label="label", features=None)
    shards = table.shards()
    web.files["/rows.parquet"] = web.files["/rows.parquet"][::-1]

    with pytest.raises(StoreUnavailable, match="the file changed while it was being read"):
        list(table.read(shards[0]))


@pytest.fixture
def hdfs(tmp_path: Path) -> Iterator[Hdfs]:
    folder = tmp_path / "user" / "ann" / "churn table"
    for name in ("day=1/part-0.csv", "day=2/part-0.csv", "_SUCCESS"):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"" if name == "_SUCCESS" else CSV)
    (folder.parent / "rows.parquet").write_bytes(a_parquet())
    with hdfs_server(Hdfs(tmp_path)) as server:
        yield server


def over_rest(hdfs: Hdfs, path: str, user: str = "ann") -> str:
    return f"webhdfs://{user}@{hdfs.origin.removeprefix('http://')}{path}"


def test_a_folder_in_hdfs_is_one_data_set(hdfs: Hdfs) -> None:
    source = find(over_rest(hdfs, "/user/ann/churn table"), "auto")

    assert [each.name for each in source.files] == ["day=1/part-0.csv", "day=2/part-0.csv"]
    assert count(over_rest(hdfs, "/user/ann/churn table")) == 2000
    assert all("user.name=ann" in each for each in hdfs.requests)


@pytest.mark.parametrize("fails", [lambda number, request: False, every_third])
def test_parquet_comes_in_parts_from_a_data_node(hdfs: Hdfs, fails: object) -> None:
    hdfs.fails = fails  # type: ignore[assignment]

    assert count(over_rest(hdfs, "/user/ann/rows.parquet")) == ROWS
    assert sum("op=OPEN" in each and "offset=" in each for each in hdfs.requests) > 4


@pytest.mark.parametrize(
    ("path", "user", "message"),
    [
        ("/user/ann/chrun", "ann", "does not exist"),
        ("/user/ann/rows.parque", "ann", "did you mean 'rows.parquet'"),
        ("/user/ann/rows.parquet", "nobody", "the credentials are refused.*Permission denied: user=nobody"),
    ],
)
def test_what_hdfs_refuses_is_told(hdfs: Hdfs, path: str, user: str, message: str) -> None:
    with pytest.raises(BadInput, match=message):
        find(over_rest(hdfs, path, user), "auto")
