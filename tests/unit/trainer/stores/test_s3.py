"""Data in S3, from a server that speaks its protocol."""

import io
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from support.stores import S3, every_third
from trainyard_trainer.data.source import find
from trainyard_trainer.data.table import Table
from trainyard_trainer.errors import BadInput
from trainyard_trainer.stores.access import Access
from trainyard_trainer.stores.faults import StoreUnavailable

ONCE = {"AWS_MAX_ATTEMPTS": "1"}


@pytest.fixture(scope="module")
def bucket(s3: S3) -> str:
    name = s3.bucket("lake")
    s3.put(name, "churn/_SUCCESS", b"")
    s3.put(name, "churn/day=1/part-0.csv", b"a,b,label\n1,2,x\n3,4,y\n")
    s3.put(name, "churn/day=2/part-0.csv", b"a,b,label\n5,6,x\n")
    s3.put(name, "churn/_temporary/0/part-9.csv", b"half")
    s3.put(name, "rows.parquet", a_parquet(rows=40_000, groups=8))
    return name


def a_parquet(*, rows: int, groups: int) -> bytes:
    rng = np.random.default_rng(1)
    columns = {f"c{i}": rng.normal(size=rows) for i in range(10)} | {"label": rng.integers(0, 2, rows)}
    stream = io.BytesIO()
    pq.write_table(pa.table(columns), stream, row_group_size=rows // groups, compression="none")
    return stream.getvalue()


def read(location: str, s3: S3) -> list[Any]:
    table = Table(find(location, "auto", Access(s3.env)), label="label", features=None)
    return [raw for shard in table.shards() for raw in table.read(shard)]


def test_a_prefix_as_spark_writes_it_is_one_data_set(s3: S3, bucket: str) -> None:
    source = find(f"s3://{bucket}/churn", "auto", Access(s3.env))

    assert [each.name for each in source.files] == ["day=1/part-0.csv", "day=2/part-0.csv"]
    assert [each.partition for each in source.files] == [(("day", "1"),), (("day", "2"),)]
    assert [len(raw) for raw in read(f"s3://{bucket}/churn/", s3)] == [2, 1]


def test_the_fingerprint_changes_when_a_file_is_written_again(s3: S3, bucket: str) -> None:
    found = find(f"s3://{bucket}/churn/", "auto", Access(s3.env))
    again = find(f"s3://{bucket}/churn/", "auto", Access(s3.env))
    later = tuple(replace(each, written=(each.written or 0) + 10**9) for each in found.files)

    assert all(each.written for each in found.files)
    assert found.fingerprint == again.fingerprint != replace(found, files=later).fingerprint


def test_a_store_that_fails_every_third_request_gives_all_rows(s3: S3, bucket: str) -> None:
    with s3.failing(every_third):
        rows = read(f"s3://{bucket}/rows.parquet", s3)

    assert sum(map(len, rows)) == 40_000
    assert len(s3.requests) >= 15


def test_a_row_group_is_read_without_the_others(s3: S3, bucket: str) -> None:
    table = Table(find(f"s3://{bucket}/rows.parquet", "auto", Access(s3.env)), label="label", features=["c1", "c2"])
    shard = table.shards()[3]
    ranges: list[str] = []

    def seen(_: int, request: Mapping[str, Any]) -> bool:
        ranges.append(request.get("HTTP_RANGE", ""))
        return False

    with s3.failing(seen):
        assert sum(len(raw) for raw in table.read(shard)) == 5_000
    read = [each.removeprefix("bytes=").split("-") for each in ranges if each]
    assert 0 < sum(int(last) - int(first) + 1 for first, last in read) < len(s3.get(bucket, "rows.parquet")) / 10


@pytest.mark.parametrize(
    ("location", "env", "message"),
    [
        ("s3://lake/chrun", {}, "the data s3://lake/chrun does not exist; did you mean 'churn'?"),
        ("s3://lake/a/b/c", {}, "does not exist: check the path, or that it has been uploaded"),
        ("s3://leak/churn", {}, "cannot use s3://leak/churn: there is no such bucket or container: check its name"),
        ("s3://leak", {}, "there is no such bucket"),
        ("s3://lake/churn", {"AWS_SECRET_ACCESS_KEY": ""}, "AWS_SECRET_ACCESS_KEY is missing for s3://lake/churn"),
        ("s3://lake/churn", {"AWS_MAX_ATTEMPTS": "many"}, "expected AWS_MAX_ATTEMPTS to be a number"),
    ],
)
def test_a_mistake_is_told_with_what_to_change(
    location: str, env: dict[str, str], message: str, s3: S3, bucket: str
) -> None:
    with pytest.raises(BadInput) as raised:
        find(location, "auto", Access(s3.env | env))

    assert message in str(raised.value)


def test_an_endpoint_that_speaks_no_tls_is_a_mistake(s3: S3, bucket: str) -> None:
    env = s3.env | ONCE | {"AWS_ENDPOINT_URL": s3.endpoint.replace("http:", "https:")}

    with pytest.raises(BadInput, match="TLS fails: use http:// in the endpoint if the store speaks no TLS"):
        find(f"s3://{bucket}/churn", "auto", Access(env))


def test_an_outage_may_pass(s3: S3, bucket: str) -> None:
    with s3.failing(lambda number, request: True), pytest.raises(StoreUnavailable, match="HTTP status 503") as raised:
        find(f"s3://{bucket}/churn", "auto", Access(s3.env | ONCE))

    assert raised.value.exit_code == 1


def test_an_endpoint_where_nobody_listens_may_pass_and_says_what_to_check(free_port: int) -> None:
    env = {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "AWS_ENDPOINT_URL": f"http://127.0.0.1:{free_port}"}

    with pytest.raises(StoreUnavailable, match="check the host and port of the URI or endpoint"):
        find("s3://lake/churn", "auto", Access(env | ONCE))


def test_a_store_that_fails_while_rows_are_read_is_not_taken_for_a_damaged_file(s3: S3, bucket: str) -> None:
    access = Access(s3.env | ONCE)
    table = Table(find(f"s3://{bucket}/rows.parquet", "auto", access), label="label", features=None)
    shards = table.shards()

    with (
        s3.failing(lambda number, request: True),
        pytest.raises(StoreUnavailable, match=r"rows\.parquet does not answer"),
    ):
        list(table.read(shards[0]))
