"""Which ReplicaSet runs a Deployment's present template."""

import hashlib
import json
from collections.abc import Sequence
from copy import deepcopy

from trainyard_devcluster.resources import Object, name_of

HASH_LABEL = "pod-template-hash"
# The letters and digits that Kubernetes uses where a name must not spell a word.
_ALPHABET = "bcdfghjklmnpqrstvwxz2456789"
_HASH_LENGTH = 10


def template_hash(template: Object, collisions: int) -> str:
    """A short name for a template; another one for each collision."""
    text = json.dumps([template, collisions], sort_keys=True, separators=(",", ":"))
    digest = int.from_bytes(hashlib.sha256(text.encode()).digest())
    letters = []
    for _ in range(_HASH_LENGTH):
        digest, position = divmod(digest, len(_ALPHABET))
        letters.append(_ALPHABET[position])
    return "".join(letters)


def is_same(template: Object, of_set: Object) -> bool:
    """Whether a ReplicaSet's template is this one, apart from the hash that was added to it."""
    return _without_hash(template) == _without_hash(of_set)


def current(deployment: Object, sets: Sequence[Object]) -> Object | None:
    """The ReplicaSet of the Deployment's template; of several the oldest."""
    found = [entry for entry in sets if is_same(deployment["spec"]["template"], entry["spec"]["template"])]
    return min(found, key=age, default=None)


def age(replica_set: Object) -> tuple[str, str]:
    """Sorts the oldest first."""
    return str(replica_set["metadata"].get("creationTimestamp", "")), name_of(replica_set)


def labelled(template: Object, digest: str) -> Object:
    """The template with its hash among the labels."""
    copy = deepcopy(template)
    metadata = copy.setdefault("metadata", {})
    metadata["labels"] = (metadata.get("labels") or {}) | {HASH_LABEL: digest}
    return copy


def _without_hash(template: Object) -> Object:
    metadata = {key: value for key, value in (template.get("metadata") or {}).items() if value}
    labels = {key: value for key, value in (metadata.get("labels") or {}).items() if key != HASH_LABEL}
    return template | {"metadata": metadata | {"labels": labels}}
