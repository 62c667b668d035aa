"""HDFS over its REST interface, as a file system for Arrow."""

import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote, urlencode

import pyarrow.fs as pa_fs

from trainyard_trainer.stores.access import Access
from trainyard_trainer.stores.uri import ATTEMPTS
from trainyard_trainer.stores.web import HttpClient, RangeFile, ReadOnly, refuse


class WebHdfs(ReadOnly):
    """HDFS over its REST interface.

    https://hadoop.apache.org/docs/stable/hadoop-project-dist/hadoop-hdfs/WebHDFS.html
    """

    def __init__(self, origin: str, user: str | None, access: Access, *, attempts: int = ATTEMPTS) -> None:
        self._origin = origin
        self._client = HttpClient(origin, access, attempts)
        token = access.get("HADOOP_DELEGATION_TOKEN")
        self._who = {"delegation": token} if token else {"user.name": user} if user else {}

    def get_file_info(self, paths: list[str]) -> list[pa_fs.FileInfo]:
        """Return type, size and time of files."""
        return [self._info(path) for path in paths]

    def _info(self, path: str) -> pa_fs.FileInfo:
        try:
            return _file_info(path, self._ask(path, "GETFILESTATUS")["FileStatus"])
        except FileNotFoundError:
            return pa_fs.FileInfo(path, pa_fs.FileType.NotFound)

    def get_file_info_selector(self, selector: pa_fs.FileSelector) -> list[pa_fs.FileInfo]:
        """Return what is in a folder."""
        try:
            return list(self._walk(selector.base_dir.rstrip("/"), selector.recursive))
        except FileNotFoundError:
            if selector.allow_not_found:
                return []
            raise

    def _walk(self, folder: str, recursive: bool) -> Iterator[pa_fs.FileInfo]:
        for status in self._ask(folder or "/", "LISTSTATUS")["FileStatuses"]["FileStatus"]:
            name = status["pathSuffix"]
            if "/" in name or name in ("", ".", ".."):
                raise OSError(f"{self._origin}{folder}: HTTP status 200 with a file named {name!r}")
            info = _file_info(f"{folder}/{name}", status)
            yield info
            if recursive and info.type == pa_fs.FileType.Directory:
                yield from self._walk(info.path, recursive)

    def open(self, path: str) -> RangeFile:
        """Open a file."""
        size = int(self._ask(path, "GETFILESTATUS")["FileStatus"]["length"])
        return RangeFile(size, lambda start, count: self._call(path, "OPEN", offset=start, length=count))

    def _ask(self, path: str, operation: str) -> Any:
        return json.loads(self._call(path, operation))

    def _call(self, path: str, operation: str, **values: int) -> bytes:
        answer = self._client.get(f"/webhdfs/v1{quote(path)}", urlencode({"op": operation, **self._who, **values}))
        if answer.status != 200:
            refuse(answer.status, self._origin + path, _remote_exception(answer.data))
        return bytes(answer.data)


def _remote_exception(body: bytes) -> str:
    try:
        return f": {json.loads(body)['RemoteException']['message']}"
    except (ValueError, KeyError, TypeError):
        return ""


def _file_info(path: str, status: Mapping[str, Any]) -> pa_fs.FileInfo:
    kind = pa_fs.FileType.Directory if status["type"] == "DIRECTORY" else pa_fs.FileType.File
    size = int(status["length"]) if kind == pa_fs.FileType.File else None
    return pa_fs.FileInfo(path, kind, size=size, mtime=datetime.fromtimestamp(status["modificationTime"] / 1000, UTC))
