"""The objects below one address of a store: a few operations, whose errors say what to change or that they may pass."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO, cast

import pyarrow.fs as pa_fs

from trainyard_trainer.errors import BadInput, one_line
from trainyard_trainer.stores.access import Access
from trainyard_trainer.stores.faults import NO_BUCKET, explained
from trainyard_trainer.stores.filesystems import open_location
from trainyard_trainer.stores.uri import shown

_CHUNK = 8 << 20


class ObjectStore:
    """What is below a URI. Names are relative to it. Everything raises BadInput or StoreUnavailable."""

    def __init__(self, uri: str, access: Access) -> None:
        self._uri, self._access = uri, access
        with explained(uri, access):
            self._filesystem, self._root = open_location(uri, access)

    def shown(self, name: str) -> str:
        """Return where a name is, for a person."""
        return f"{shown(self._uri)}/{name}"

    def names(self, folder: str = "", *, recursive: bool = False) -> dict[str, int | None]:
        """Return the names in a folder with their sizes, those of folders without; nothing where there is none."""
        base = self._path(folder)
        files = {
            entry.path: entry.size if entry.type == pa_fs.FileType.File else None
            for entry in self._list(folder, recursive=recursive)
        }
        return {path[len(base) :].strip("/"): size for path, size in files.items()}

    def changed(self) -> dict[str, datetime]:
        """Return all names with their last change, by the clock of the store; folders too where it has any."""
        unknown = datetime.min.replace(tzinfo=UTC)
        found = {entry.path: entry.mtime or unknown for entry in self._list("", recursive=True)}
        return {path[len(self._root) :].strip("/"): time for path, time in found.items()}

    def _list(self, folder: str, *, recursive: bool) -> list[pa_fs.FileInfo]:
        # S3 takes a bucket that does not exist for an empty one if it may, and GCS says "not found" like nobody else.
        lenient = self._filesystem.type_name != "s3"
        with suppress(FileNotFoundError), explained(self.shown(folder), self._access):
            return list(
                self._filesystem.get_file_info(
                    pa_fs.FileSelector(self._path(folder), recursive=recursive, allow_not_found=lenient)
                )
            )
        return []

    def read(self, name: str) -> bytes | None:
        """Return the content of an object, or nothing where it is not there."""
        path = self._path(name)
        with suppress(FileNotFoundError), explained(self.shown(name), self._access):
            return bytes(self._filesystem.open_input_stream(path, compression=None).read())
        return None

    def open(self, name: str) -> BinaryIO:
        """Open an object for reading.

        Raises:
            FileNotFoundError: it is not there.
        """
        with explained(self.shown(name), self._access):
            return cast(BinaryIO, self._filesystem.open_input_stream(self._path(name), compression=None))

    def write(self, name: str, content: bytes) -> None:
        """Write a small object: all of it, or nothing."""
        with self._writing(name) as stream:
            stream.write(content)

    def upload(self, path: Path, name: str) -> None:
        """Copy a local file into the store."""
        with path.open("rb") as source, self._writing(name) as stream:
            shutil.copyfileobj(source, stream, _CHUNK)

    def download(self, name: str, path: Path) -> None:
        """Copy an object to a local file."""
        with path.open("wb") as target, explained(self.shown(name), self._access):
            shutil.copyfileobj(self._filesystem.open_input_stream(self._path(name), compression=None), target, _CHUNK)

    def delete(self, name: str) -> None:
        """Remove an object, if it is there."""
        with suppress(FileNotFoundError), explained(self.shown(name), self._access):
            self._filesystem.delete_file(self._path(name))

    def delete_folder(self, name: str) -> None:
        """Remove everything in a folder, if it is there."""
        with suppress(FileNotFoundError), explained(self.shown(name), self._access):
            self._filesystem.delete_dir(self._path(name))

    @contextmanager
    def _writing(self, name: str) -> Iterator[BinaryIO]:
        try:
            with (
                explained(self.shown(name), self._access),
                self._filesystem.open_output_stream(self._path(name), compression=None) as stream,
            ):
                yield stream
        except FileNotFoundError as error:
            raise BadInput(f"cannot use {self.shown(name)}: {NO_BUCKET} ({one_line(error, 200)})") from error

    def _path(self, name: str) -> str:
        return f"{self._root}/{name}" if name else self._root
