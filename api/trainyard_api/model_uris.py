"""The address of one model version, such as pvc://models/churn/3 or s3://bucket/models/churn/3."""

import re
from dataclasses import dataclass
from typing import Self

_URI = re.compile(
    r"(pvc://(?P<claim>[a-z0-9]([-a-z0-9.]*[a-z0-9])?)|(?P<store>(s3|gs|abfss?|hdfs)://[^/?#]+))"
    r"/(?P<model>[^/?#][^?#]*)/(?P<folder>[0-9]{1,18})/?"
)


@dataclass(frozen=True, slots=True)
class VersionUri:
    """Where a model version is.

    Attributes:
        store: Name of the store's PersistentVolumeClaim; or scheme and bucket of one that is reached over the network.
        model: Path of the model in the store.
        folder: Name of the version's folder: its number, perhaps with leading zeros.
    """

    store: str
    model: str
    folder: str

    @classmethod
    def parse(cls, uri: str) -> Self:
        """Take a URI apart.

        Raises:
            ValueError: it is not the address of a version; the message says what was expected.
        """
        match = _URI.fullmatch(uri)
        if match is None or ".." in match["model"].split("/"):
            raise ValueError(
                "expected pvc://<claim>/<model>/<version>, or s3://<bucket>/<model>/<version> and the like, "
                f"with a whole number, got {uri!r}"
            )
        return cls(match["claim"] or match["store"], match["model"], match["folder"])

    def __str__(self) -> str:
        root = self.store if self.claim is None else f"pvc://{self.claim}"
        return f"{root}/{self.model}/{self.folder}"

    @property
    def claim(self) -> str | None:
        """The PersistentVolumeClaim that it is on, if it is on one."""
        return None if "://" in self.store else self.store

    @property
    def version(self) -> int:
        """The number TensorFlow Serving knows it by."""
        return int(self.folder)
