"""Files on web servers, as a file system for Arrow."""

import os
import tempfile
import weakref
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import IO
from urllib.parse import quote

import pyarrow.fs as pa_fs
import urllib3

from trainyard_trainer.errors import BadInput
from trainyard_trainer.stores.access import Access
from trainyard_trainer.stores.uri import ATTEMPTS
from trainyard_trainer.stores.web import HttpClient, RangeFile, ReadOnly, refuse

MOST_DOWNLOADED = 16 << 30
"""Bytes of a file that a server gives as a whole only, and that so has to go through the disk."""


@dataclass(frozen=True, slots=True)
class _Found:
    size: int | None
    ranges: bool
    changed: datetime | None
    tag: str


class HttpFiles(ReadOnly):
    """The files of a web server, each by its path; HTTP has no folders."""

    def __init__(self, origin: str, query: str, access: Access, *, attempts: int = ATTEMPTS) -> None:
        self._origin, self._query, self._attempts = origin, query, attempts
        self._client = HttpClient(origin, access, attempts)
        self._found: dict[str, _Found] = {}
        self._downloads: dict[str, IO[bytes]] = {}

    def get_file_info(self, paths: list[str]) -> list[pa_fs.FileInfo]:
        """Return type, size and time of files."""
        return [self._info(path) for path in paths]

    def _info(self, path: str) -> pa_fs.FileInfo:
        if path.endswith("/"):
            raise BadInput(f"{self._origin}{path} is a folder, which HTTP cannot list: name one file")
        try:
            found = self._find(path)
        except FileNotFoundError:
            return pa_fs.FileInfo(path, pa_fs.FileType.NotFound)
        size = found.size if found.size is not None else os.fstat(self._download(path).fileno()).st_size
        return pa_fs.FileInfo(path, pa_fs.FileType.File, size=size, mtime=found.changed)

    def get_file_info_selector(self, selector: pa_fs.FileSelector) -> list[pa_fs.FileInfo]:
        """Return nothing: there is no way to ask."""
        return []

    def open(self, path: str) -> RangeFile:
        """Open a file: by ranges where the server knows them, else from a copy on the disk."""
        found = self._find(path)
        if found.ranges and found.size is not None:
            return RangeFile(found.size, lambda start, count: self._part(path, found, start, count))
        # One copy for all who read it, each at a place of its own.
        copy = self._download(path).fileno()
        return RangeFile(os.fstat(copy).st_size, lambda start, count: os.pread(copy, count, start))

    def _find(self, path: str) -> _Found:
        if path not in self._found:
            # Some servers know no HEAD, and some that say Accept-Ranges do not mean it: ask for a byte and see.
            answer = self._client.get(_quoted(path), self._query, whole=False, headers={"Range": "bytes=0-0"})
            answer.release_conn() if answer.status == 206 else answer.close()
            if answer.status not in (200, 206, 416):
                refuse(answer.status, self._origin + path)
            total = answer.headers.get("Content-Range", "").rpartition("/")[2]
            size = total if answer.status != 200 else answer.headers.get("Content-Length", "")
            self._found[path] = _Found(
                int(size) if size.isdecimal() else 0 if answer.status == 416 else None,
                answer.status == 206,
                _moment(answer.headers.get("Last-Modified")),
                answer.headers.get("ETag", ""),
            )
        return self._found[path]

    def _part(self, path: str, found: _Found, start: int, count: int) -> bytes:
        headers = {"Range": f"bytes={start}-{start + count - 1}"}
        if found.tag.startswith('"'):
            headers["If-Match"] = found.tag
        answer = self._client.get(_quoted(path), self._query, headers=headers)
        if answer.status == 412:
            raise OSError(f"{self._origin}{path}: HTTP status 412: the file changed while it was being read")
        if answer.status != 206:
            refuse(answer.status, self._origin + path)
        return bytes(answer.data)

    def _download(self, path: str) -> IO[bytes]:
        if path not in self._downloads:
            self._downloads[path] = self._copy(path)
        return self._downloads[path]

    def _copy(self, path: str) -> IO[bytes]:
        for left in reversed(range(self._attempts)):
            copy = tempfile.TemporaryFile()  # noqa: SIM115 (lives as long as the file system)
            weakref.finalize(self, copy.close)
            answer = self._client.get(_quoted(path), self._query, whole=False)
            if answer.status != 200:
                refuse(answer.status, self._origin + path)
            try:
                self._pour(answer, copy, path)
            except urllib3.exceptions.HTTPError as error:
                copy.close()
                if not left:
                    raise OSError(f"{self._origin}{path}: Could not connect or read: {error}") from error
            else:
                return copy
        raise AssertionError("unreachable")

    def _pour(self, answer: urllib3.BaseHTTPResponse, copy: IO[bytes], path: str) -> None:
        for chunk in answer.stream(1 << 20):
            copy.write(chunk)
            if copy.tell() > MOST_DOWNLOADED:
                raise BadInput(
                    f"{self._origin}{path} is larger than {MOST_DOWNLOADED >> 30} GiB, and its server gives no parts "
                    "of it (no Range): put the data into an object store, or on a server that does"
                )
        copy.flush()


def _moment(text: str | None) -> datetime | None:
    try:
        return parsedate_to_datetime(text) if text else None
    except ValueError:
        return None


def _quoted(path: str) -> str:
    """Return a path as it goes over the wire; what the user has encoded already stays so."""
    return quote(path, safe="/%:@!$&'()*+,;=~")
