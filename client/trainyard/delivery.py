"""Brings a table to where training pods can read it: into a ConfigMap where it fits, else onto a claim.

Both are named by their content: the same file is sent once, however often it is trained on.
"""

import base64
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from trainyard.cluster import CLAIMS, CONFIG_MAPS, STORAGE_CLASSES, Cluster, Manifest
from trainyard.courier import MANAGED_BY, Claim, Progress, courier, no_progress
from trainyard.errors import Conflict, Forbidden, NotFound, Usage
from trainyard.tables import Content
from trainyard_api.names import MANAGED_BY_LABEL

MOST_CONFIG_MAP_BYTES = 900_000
"""etcd takes 1 MiB with everything around it."""
DATA_FOLDER = "data"
STORE_SIZE = "10Gi"
_DEFAULT_CLASS = "storageclass.kubernetes.io/is-default-class"


@dataclass(frozen=True, slots=True)
class Delivery:
    """Where a file is to go, and how it is called there."""

    content: Content
    digest: str
    encoded_bytes: int
    model: str
    claim: str | None

    @property
    def fits_config_map(self) -> bool:
        """Whether the file is small enough for a ConfigMap."""
        return self.encoded_bytes <= MOST_CONFIG_MAP_BYTES

    @property
    def name(self) -> str:
        """The ConfigMap's name."""
        return f"{self.model}-data-{self.digest[:8]}"

    @property
    def key(self) -> str:
        """The file's name, as a ConfigMap takes it."""
        return re.sub(r"[^-._a-zA-Z0-9]+", "-", self.content.file_name)

    @property
    def path(self) -> str:
        """The file's path on the claim."""
        return f"{DATA_FOLDER}/{self.digest[:8]}-{self.key}"

    @property
    def place(self) -> str:
        """Where the file goes, for a person."""
        return f"ConfigMap {self.name}" if self.fits_config_map else f"claim {self.claim}, {self.path}"

    @property
    def source(self) -> Manifest:
        """The `spec.data.source` that reads the file there."""
        if self.fits_config_map:
            return {"configMap": {"name": self.name, "key": self.key}}
        return {"persistentVolumeClaim": {"claimName": self.claim, "path": self.path}}


def delivery_of(content: Content, model: str, *, claim: str | None) -> Delivery:
    """Return where a file goes: a claim is needed only if it is larger than a ConfigMap takes.

    Raises:
        Usage: it is too large, and there is no claim.
    """
    digest, size, is_text = hashlib.sha256(), 0, True
    with content.open() as stream:
        while piece := stream.read(1 << 20):
            digest.update(piece)
            size += len(piece)
            is_text = is_text and b"\0" not in piece and not piece.startswith(b"\x1f\x8b")
    encoded = size if is_text else size * 4 // 3 + 4
    found = Delivery(content, digest.hexdigest(), encoded, model, claim)
    if not found.fits_config_map and claim is None:
        raise Usage(
            f"{content.file_name} has {size / 1e6:.1f} MB, more than a ConfigMap takes, and the store is no claim: "
            "name a claim with --data-claim, or copy the file to your object store (aws s3 cp FILE s3://bucket/…) and "
            "train on that URI"
        )
    return found


def deliver(
    cluster: Cluster,
    namespace: str,
    delivery: Delivery,
    *,
    image: str | None = None,
    progress: Progress = no_progress,
) -> bool:
    """Bring the file to its place; returns whether it had to be sent."""
    if delivery.fits_config_map:
        return _to_config_map(cluster, namespace, delivery)
    assert delivery.claim is not None
    with courier(cluster, Claim(namespace, delivery.claim), image=image) as carrier:
        if carrier.has(delivery.path, delivery.digest):
            return False
        with delivery.content.open() as stream:
            carrier.put(stream, delivery.content.size(), delivery.path, progress=progress)
    return True


def _to_config_map(cluster: Cluster, namespace: str, delivery: Delivery) -> bool:
    with delivery.content.open() as stream:
        content = stream.read()
    try:
        held = {"data": {delivery.key: content.decode()}}
    except UnicodeDecodeError:
        held = {"binaryData": {delivery.key: base64.b64encode(content).decode()}}
    manifest: Manifest = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": delivery.name, "labels": {MANAGED_BY_LABEL: MANAGED_BY}},
        "immutable": True,
        **held,
    }
    try:
        cluster.create(CONFIG_MAPS, namespace, manifest)
    except Conflict:
        return False
    return True


def own(cluster: Cluster, namespace: str, delivery: Delivery, job: Mapping[str, Any]) -> None:
    """Let the ConfigMap go with the last TrainingJob that reads it."""
    if not delivery.fits_config_map:
        return
    metadata = job["metadata"]
    owner = {"apiVersion": job["apiVersion"], "kind": job["kind"], "name": metadata["name"], "uid": metadata["uid"]}
    change = {"metadata": {"ownerReferences": [owner]}}
    cluster.patch(CONFIG_MAPS, namespace, delivery.name, change, strategic=True)


def ensure_store(cluster: Cluster, namespace: str, claim: str, *, named: bool) -> bool:
    """Make the claim for models where there is none and nobody named one; returns whether it was made.

    Raises:
        Usage: the claim that was named does not exist, or the cluster has no default StorageClass to make one of.
    """
    try:
        cluster.get(CLAIMS, namespace, claim)
        return False
    except NotFound:
        if named:
            raise Usage(
                f"there is no claim {claim} in namespace {namespace}: create it, or name another one with --store"
            ) from None
    if not has_default_class(cluster):
        raise Usage(
            f"there is no claim {claim} in namespace {namespace}, and no default StorageClass to make one of: name a "
            "claim or a URI such as s3://bucket/models with --store"
        )
    manifest: Manifest = {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": claim, "labels": {MANAGED_BY_LABEL: MANAGED_BY}},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": STORE_SIZE}}},
    }
    try:
        cluster.create(CLAIMS, namespace, manifest)
    except Conflict:
        return False
    return True


def has_default_class(cluster: Cluster) -> bool:
    """Whether a claim that names no StorageClass gets a volume; true where you may not look."""
    try:
        classes = cluster.select(STORAGE_CLASSES, None)
    except Forbidden:
        return True
    return any((each["metadata"].get("annotations") or {}).get(_DEFAULT_CLASS) == "true" for each in classes)
