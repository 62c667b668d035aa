"""What a model version in a store holds: its manifest, its card, its files."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trainyard.cluster import Cluster
from trainyard.courier import Claim, Courier, Progress, courier, no_progress
from trainyard.errors import ClusterError, NotFound, Usage
from trainyard_api.model_uris import VersionUri
from trainyard_api.names import MANIFEST_FILE, MODEL_CARD_FILE

HISTORY_FILE = "history.csv"
LOG_FOLDER = ".training"


@dataclass(frozen=True, slots=True)
class ModelVersion:
    """A model version on a claim."""

    cluster: Cluster
    namespace: str
    uri: str
    courier_image: str | None = None

    @property
    def claim(self) -> str:
        """The claim it is on."""
        claim = self._address().claim
        if claim is None:
            raise Usage(
                f"{self.uri} is in an object store, which you read with its own tools: "
                f"aws s3 cp --recursive {self.uri} FOLDER, or the like"
            )
        return claim

    @property
    def path(self) -> str:
        """Its folder on the claim."""
        address = self._address()
        return f"{address.model}/{address.folder}"

    def card(self) -> str:
        """Return the model card, in Markdown."""
        with self._carrier() as carrier:
            return carrier.read(f"{self.path}/{MODEL_CARD_FILE}").decode()

    def manifest(self) -> dict[str, Any]:
        """Return trainyard.json."""
        with self._carrier() as carrier:
            return self._manifest(carrier)

    def download(self, folder: Path, *, progress: Progress = no_progress) -> list[Path]:
        """Copy all files of the version into a folder, and hold them to the digests in its manifest.

        Raises:
            Usage: the folder holds something already.
            ClusterError: a file is not the one that was trained.
        """
        if folder.exists() and any(folder.iterdir()):
            raise Usage(f"{folder} is not empty: give a new folder with --output")
        with self._carrier() as carrier:
            digests = {each["path"]: each["sha256"] for each in self._manifest(carrier)["files"]}
            files = carrier.files(self.path)
            total, before = sum(size for _, size in files), 0
            for path, size in files:
                found = carrier.get(
                    f"{self.path}/{path}",
                    folder / path,
                    size,
                    progress=lambda done, _, before=before: progress(before + done, total),  # type: ignore[misc]
                )
                before += size
                if digests.get(path, found) != found:
                    raise ClusterError(f"{path} of {self.uri} is not the file that was trained: train again")
        return [folder / path for path, _ in files]

    def logs(self, uid: str, folder: Path) -> list[Path]:
        """Copy the log folder of a training, with its history and what TensorBoard reads."""
        place = f"{Path(self.path).parent}/{LOG_FOLDER}/{uid}/logs"
        with self._carrier() as carrier:
            files = carrier.files(place)
            for path, size in files:
                carrier.get(f"{place}/{path}", folder / path, size)
        return [folder / path for path, _ in files]

    def history(self, uid: str) -> str:
        """Return the text of history.csv."""
        with self._carrier() as carrier:
            return carrier.read(f"{Path(self.path).parent}/{LOG_FOLDER}/{uid}/logs/{HISTORY_FILE}").decode()

    @contextmanager
    def _carrier(self) -> Iterator[Courier]:
        claim = Claim(self.namespace, self.claim, read_only=True)
        with courier(self.cluster, claim, image=self.courier_image) as carrier:
            yield carrier

    def _manifest(self, carrier: Courier) -> dict[str, Any]:
        try:
            found: dict[str, Any] = json.loads(carrier.read(f"{self.path}/{MANIFEST_FILE}"))
        except NotFound as error:
            raise NotFound(f"{self.uri} is no complete model version: {error}") from error
        return found

    def _address(self) -> VersionUri:
        try:
            return VersionUri.parse(self.uri)
        except ValueError as error:
            raise Usage(str(error)) from error
