"""Writing files so that a crash at any moment leaves the old content or the new, never half of it."""

import errno
import hashlib
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, TypedDict

from trainyard_api.names import MANIFEST_FILE

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class FileDescription(TypedDict):
    """A file of a model version: path in its folder, bytes, and SHA-256 in hex."""

    path: str
    size: int
    sha256: str


def write_atomically(path: Path, write: Callable[[BinaryIO], object]) -> None:
    """Have `write` fill a temporary file beside `path`, bring it to the disk, and give it its name."""
    temporary = path.with_name(f".{path.name}.tmp")
    with temporary.open("wb") as stream:
        write(stream)
        stream.flush()
        os.fsync(stream.fileno())
    temporary.replace(path)
    sync(path.parent)


@contextmanager
def naming_full_disk(path: Path) -> Iterator[None]:
    """Have the error of a full disk tell which one is full: writing to an open file raises one without a name.

    Raises:
        OSError: no space is left, or the file may not grow.
    """
    try:
        yield
    except OSError as error:
        if error.errno in _FULL and error.filename is None:
            raise OSError(error.errno, f"{os.strerror(error.errno)} while writing below", str(path)) from error
        raise


def sync(path: Path) -> None:
    """Bring a file, or the names in a folder, to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_tree(folder: Path) -> None:
    """Bring a folder and everything in it to the disk."""
    for parent, _, files in os.walk(folder):
        for name in files:
            sync(Path(parent, name))
        sync(Path(parent))


def sha256(path: Path) -> str:
    """Return the digest of a file's content in hex."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def list_files(folder: Path) -> list[FileDescription]:
    """Return path, size and digest of every file below a folder, sorted by path; without the manifest itself."""
    paths = sorted(path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    return [
        {"path": path.as_posix(), "size": (folder / path).stat().st_size, "sha256": sha256(folder / path)}
        for path in paths
        if path.as_posix() != MANIFEST_FILE
    ]
