"""Where data may lie: a folder of this machine, or a store in this process that the trainer reaches by a URI."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from support.stores import Hdfs, Web, hdfs_server, s3_server, web_server


@dataclass(frozen=True)
class Place:
    """The URI of data, and the environment that opens it."""

    uri: str
    env: Mapping[str, str] = field(default_factory=dict)


Put = Callable[[Path], AbstractContextManager[Place]]
"""Puts a file, or a folder with all in it, in a place while the context lasts."""


@contextmanager
def at_a_path(data: Path) -> Iterator[Place]:
    """Leave it where it is."""
    yield Place(str(data))


@contextmanager
def in_s3(data: Path) -> Iterator[Place]:
    """Put it into a bucket."""
    with s3_server() as s3:
        bucket = s3.bucket("places")
        for file in _files(data):
            s3.put(bucket, str(file.relative_to(data.parent)), file.read_bytes())
        yield Place(f"s3://{bucket}/{data.name}", s3.env)
        for key in s3.keys(bucket):
            s3.client.delete_object(Bucket=bucket, Key=key)


@contextmanager
def on_a_web_server(data: Path, *, ranges: bool = True) -> Iterator[Place]:
    """Put a file on a server that gives parts of it."""
    with web_server(Web({f"/{data.name}": data.read_bytes()}, ranges=ranges)) as web:
        yield Place(f"{web.origin}/{data.name}")


@contextmanager
def on_a_plain_web_server(data: Path) -> Iterator[Place]:
    """Put a file on a server that gives it as a whole only."""
    with on_a_web_server(data, ranges=False) as place:
        yield place


@contextmanager
def in_hdfs(data: Path) -> Iterator[Place]:
    """Put it into HDFS, which is asked over WebHDFS."""
    with hdfs_server(Hdfs(data.parent)) as hdfs:
        yield Place(f"webhdfs://ann@{hdfs.origin.removeprefix('http://')}/{data.name}")


def _files(data: Path) -> list[Path]:
    return [data] if data.is_file() else sorted(each for each in data.rglob("*") if each.is_file())
