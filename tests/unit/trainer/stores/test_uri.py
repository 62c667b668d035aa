"""URIs: their parts, what may be shown of them, and what is refused."""

import pytest

from trainyard_trainer.errors import BadInput
from trainyard_trainer.stores.access import Access
from trainyard_trainer.stores.filesystems import open_location
from trainyard_trainer.stores.uri import parse, shown


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("s3://bucket/a%20b/c d?e", ("s3", "", "bucket", "/a%20b/c d?e", "")),
        ("s3://bucket", ("s3", "", "bucket", "", "")),
        ("https://host:8443/x.csv?v=1", ("https", "", "host:8443", "/x.csv", "v=1")),
        ("abfss://box@acct.dfs.core.windows.net/a", ("abfss", "box", "acct.dfs.core.windows.net", "/a", "")),
        ("hdfs://ann@nameservice1/data", ("hdfs", "ann", "nameservice1", "/data", "")),
        ("file:///a/b", ("file", "", "", "/a/b", "")),
    ],
)
def test_a_uri_is_taken_apart(text: str, parts: tuple[str, ...]) -> None:
    uri = parse(text)

    assert (uri.scheme, uri.user, uri.host, uri.path, uri.query) == parts


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("https://ann:hunter2@host/x.csv", "holds a password"),
        ("s3://bucket/a/../b", "'..' in its path"),
        ("s3:///a", "names no bucket"),
        ("webhdfs:///a", "names no host"),
        ("ftp://host/x", "expected a path, or a URI that starts with file, s3, gs"),
        ("s3a://bucket/x", "cannot open s3a://bucket/x"),
        ("abfss://box/x", "names no storage account"),
    ],
)
def test_a_uri_that_leads_nowhere_is_refused_without_repeating_a_password(text: str, words: str) -> None:
    with pytest.raises(BadInput) as raised:
        open_location(text, Access({}))

    assert words in str(raised.value)
    assert "hunter2" not in str(raised.value)


@pytest.mark.parametrize(
    ("text", "safe"),
    [
        ("rows.csv", "rows.csv"),
        ("s3://bucket/key", "s3://bucket/key"),
        ("https://ann:hunter2@host/x.csv?sig=abc", "https://ann@host/x.csv?…"),
        ("hdfs://ann@host/x", "hdfs://ann@host/x"),
    ],
)
def test_what_is_shown_of_a_location_holds_no_secret(text: str, safe: str) -> None:
    assert shown(text) == safe


@pytest.mark.parametrize("endpoint", ["minio:9000", "http://minio:9000/path", "http://ann:hunter2@minio", "ftp://x"])
def test_an_endpoint_is_scheme_host_and_port(endpoint: str) -> None:
    with pytest.raises(BadInput, match="expected AWS_ENDPOINT_URL to be like https://host:port") as raised:
        open_location("s3://bucket/x", Access({"AWS_ENDPOINT_URL": endpoint}))

    assert "hunter2" not in str(raised.value)


@pytest.mark.parametrize(
    ("location", "env", "kind", "path"),
    [
        ("s3://bucket/a/", {"AWS_ENDPOINT_URL": "http://127.0.0.1:9"}, "s3", "bucket/a"),
        ("gs://bucket/a/b.csv", {"STORAGE_EMULATOR_HOST": "http://127.0.0.1:9"}, "gcs", "bucket/a/b.csv"),
        (
            "abfss://box@acct.dfs.core.windows.net/a",
            {"AZURE_STORAGE_ACCOUNT_KEY": "a2V5", "AZURE_STORAGE_BLOB_ENDPOINT": "http://127.0.0.1:9"},
            "abfs",
            "box/a",
        ),
        (
            "abfs://box/a",
            {"AZURE_STORAGE_ACCOUNT_NAME": "acct", "AZURE_STORAGE_SAS_TOKEN": "sv=1&sig=x"},
            "abfs",
            "box/a",
        ),
        ("https://host/a/b.csv", {}, "py::web", "/a/b.csv"),
        ("webhdfs://ann@host:9870/a", {}, "py::web", "/a"),
        ("file:///a%20b", {}, "local", "/a b"),
    ],
)
def test_each_scheme_has_its_file_system(location: str, env: dict[str, str], kind: str, path: str) -> None:
    filesystem, root = open_location(location, Access(env))

    assert (filesystem.type_name, root) == (kind, path)


def test_hdfs_says_what_the_image_lacks() -> None:
    with pytest.raises(BadInput, match=r"needs a JVM and Hadoop's client library in the image.*use webhdfs://"):
        open_location("hdfs://namenode:8020/data", Access({}))
