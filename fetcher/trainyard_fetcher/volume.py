"""Model versions on a mounted volume."""

from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from trainyard_api.names import MANIFEST_FILE
from trainyard_fetcher import copying
from trainyard_fetcher.copying import MANIFEST_LIMIT, FetchError


class Folder:
    """A model version in a folder."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __str__(self) -> str:
        return str(self._path)

    def manifest(self) -> bytes | None:
        """Return the manifest, or as much of it as tells that it is too large."""
        path = self._path / MANIFEST_FILE
        if not path.is_file():
            return None
        with path.open("rb") as stream:
            return stream.read(MANIFEST_LIMIT + 1)

    def open(self, path: PurePosixPath) -> BinaryIO:
        """Open a file of the version; links are followed, so where they end decides."""
        origin = self._path / path
        if not origin.resolve().is_relative_to(self._path.resolve()):
            raise FetchError("BadManifest", f"{origin} is a link that leads out of the version")
        if not origin.is_file():
            raise FileNotFoundError(origin)
        return origin.open("rb")

    def missing(self) -> str:
        """Say how far the path does exist, which is where the mistake is."""
        if self._path.is_dir():
            return (
                f"{self} has no {MANIFEST_FILE}: the version is incomplete, so wait for its training or export it again"
            )
        there = next((parent for parent in self._path.parents if parent.is_dir()), self._path.parent)
        beside = sorted(entry.name for entry in there.iterdir() if not entry.name.startswith("."))[:10]
        return f"{self} does not exist; {there} has: {', '.join(beside) or 'nothing'}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Fetch from the command line."""
    return copying.command("trainyard_fetcher", lambda source: Folder(Path(source)), arguments)
