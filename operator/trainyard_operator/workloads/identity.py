"""What children are called, and whose they are."""

import re

from trainyard_api.forms import NAME_LENGTH, NAME_PATTERN
from trainyard_operator.cluster.children import owner_reference
from trainyard_operator.cluster.kinds import Kind
from trainyard_operator.cluster.port import Manifest


def is_name(name: str) -> bool:
    """Return whether the names of children can be made from this one."""
    return len(name) <= NAME_LENGTH and re.fullmatch(NAME_PATTERN, name) is not None


def child(kind: Kind, name: str, owner: Manifest, labels: dict[str, str]) -> Manifest:
    """Return a child that has no content yet."""
    return {
        "apiVersion": kind.api_version,
        "kind": kind.name,
        "metadata": {
            "name": name,
            "namespace": owner["metadata"]["namespace"],
            "labels": labels,
            "ownerReferences": [owner_reference(owner)],
        },
    }


def patch(kind: Kind, live: Manifest, spec: Manifest) -> Manifest:
    """Return what brings these fields of a live child to `spec` and touches nothing else of it."""
    metadata = {field: live["metadata"][field] for field in ("name", "namespace")}
    return {"apiVersion": kind.api_version, "kind": kind.name, "metadata": metadata, "spec": spec}
