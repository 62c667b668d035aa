"""What a watch has told so far: the objects of one kind, in one namespace or in all."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from trainyard_api.names import JOB_LABEL, SERVICE_LABEL
from trainyard_operator.cluster.port import Manifest

ObjectName = tuple[str, str]
"""Namespace and name."""

_INDEXED = (JOB_LABEL, SERVICE_LABEL)
"""Labels by which children are looked up, so that nobody walks over all of them."""


@dataclass(frozen=True, slots=True)
class StoreChange:
    """An object that is new, changed, or gone; `manifest` is its last state."""

    manifest: Manifest
    gone: bool = False


class Store:
    """Objects by their names. Nothing in it goes back to an older version, whoever reports it and in which order.

    The watch reports, and so do our own writes, whose answers arrive before or after the watch tells of them. Versions
    are compared as numbers, which Kubernetes promises within one kind.
    """

    def __init__(self) -> None:
        self._objects: dict[ObjectName, Manifest] = {}
        self._index: defaultdict[tuple[str, str, str], set[ObjectName]] = defaultdict(set)
        self._version = 0

    def __len__(self) -> int:
        return len(self._objects)

    def get(self, namespace: str, name: str) -> Manifest | None:
        return self._objects.get((namespace, name))

    def select(self, namespace: str | None, labels: Mapping[str, str]) -> list[Manifest]:
        """Return the objects with these labels in the order of their names."""
        indexed = next((label for label in _INDEXED if label in labels), None)
        if indexed is not None and namespace is not None:
            names: Iterable[ObjectName] = self._index.get((namespace, indexed, labels[indexed]), ())
        else:
            names = self._objects
        return [
            self._objects[name]
            for name in sorted(names)
            if namespace in (None, name[0])
            and labels.items() <= (self._objects[name]["metadata"].get("labels") or {}).items()
        ]

    def saw(self, manifest: Manifest, *, gone: bool = False) -> StoreChange | None:
        """Take an event of the watch; return what changed by it."""
        change = self._remove(manifest) if gone else self._put(manifest)
        self._version = max(self._version, version_of(manifest))
        return change

    def wrote(self, manifest: Manifest) -> None:
        """Take the answer to a write, or to a read of one object.

        The watch may be ahead of it: what it had seen up to a later version, and does not have, is gone already.
        """
        if self._known(manifest) is not None or version_of(manifest) > self._version:
            self._put(manifest)

    def deleted(self, namespace: str, name: str, uid: str) -> None:
        """Take the answer to a deletion. An older event may bring the object back, until the watch tells of its end."""
        known = self._objects.get((namespace, name))
        if known is not None and known["metadata"].get("uid") == uid:
            self._drop(known)

    def listed(self, manifests: Iterable[Manifest], version: str) -> list[StoreChange]:
        """Take a whole list; return what changed since, above all what is gone without a word."""
        now = {_name(manifest): manifest for manifest in manifests}
        changes = [change for manifest in now.values() if (change := self._put(manifest))]
        at = _number(version)
        # What we wrote after the list was made is not missing from it.
        gone = [manifest for name, manifest in self._objects.items() if name not in now and version_of(manifest) <= at]
        for manifest in gone:
            self._drop(manifest)
        self._version = max(self._version, at)
        return [*changes, *(StoreChange(manifest, gone=True) for manifest in gone)]

    def _put(self, manifest: Manifest) -> StoreChange | None:
        known = self._known(manifest)
        if known is not None and version_of(known) >= version_of(manifest) > 0:
            return None
        if known is not None:
            self._drop(known)
        slim = {**manifest, "metadata": {k: v for k, v in manifest["metadata"].items() if k != "managedFields"}}
        self._objects[_name(slim)] = slim
        for key in _index_keys(slim):
            self._index[key].add(_name(slim))
        return StoreChange(slim)

    def _remove(self, manifest: Manifest) -> StoreChange | None:
        known = self._known(manifest)
        # A successor of the same name is not what was deleted.
        if known is None or version_of(known) > version_of(manifest):
            return None
        self._drop(known)
        return StoreChange(manifest, gone=True)

    def _known(self, manifest: Manifest) -> Manifest | None:
        return self._objects.get(_name(manifest))

    def _drop(self, known: Manifest) -> None:
        del self._objects[_name(known)]
        for key in _index_keys(known):
            self._index[key].discard(_name(known))
            if not self._index[key]:
                del self._index[key]


def version_of(manifest: Manifest) -> int:
    """Return the resourceVersion as a number."""
    return _number(manifest["metadata"].get("resourceVersion"))


def _number(version: object) -> int:
    text = str(version or "")
    return int(text) if text.isascii() and text.isdecimal() else 0


def _name(manifest: Manifest) -> ObjectName:
    metadata = manifest["metadata"]
    return metadata.get("namespace", ""), metadata["name"]


def _index_keys(manifest: Manifest) -> list[tuple[str, str, str]]:
    metadata = manifest["metadata"]
    labels = metadata.get("labels") or {}
    return [(metadata["namespace"], label, labels[label]) for label in _INDEXED if label in labels]
