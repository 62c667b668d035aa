"""Model versions in a store that is reached over the network, as the fetcher reads them."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import PurePosixPath
from typing import BinaryIO

from trainyard_api.names import MANIFEST_FILE
from trainyard_fetcher.copying import FetchError
from trainyard_trainer.errors import TrainerError
from trainyard_trainer.stores.access import Access
from trainyard_trainer.stores.objects import ObjectStore


class StoredVersion:
    """A model version in a store that is reached over the network."""

    def __init__(self, uri: str, access: Access) -> None:
        self._uri, self._objects = uri.rstrip("/"), ObjectStore(uri.rstrip("/"), access)

    def __str__(self) -> str:
        return self._uri

    def manifest(self) -> bytes | None:
        with told():
            return self._objects.read(MANIFEST_FILE)

    def open(self, path: PurePosixPath) -> BinaryIO:
        """Open a file of the version."""
        with told():
            return self._objects.open(str(path))

    def missing(self) -> str:
        """Say whether nothing is there, or something incomplete."""
        with told():
            if self._objects.names(recursive=True):
                return f"{self} has no {MANIFEST_FILE}: the version is incomplete, so wait for its training"
            return f"{self} does not exist: check the address"


@contextmanager
def told() -> Iterator[None]:
    """Turn the trainer's errors into those of the fetcher."""
    try:
        yield
    except TrainerError as error:
        raise FetchError(error.reason, str(error)) from error
