"""From stored objects to answers: whole, as metadata alone, or as a Table."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import yaml

from trainyard_devcluster.apiserver.cluster import Cluster
from trainyard_devcluster.apiserver.negotiate import Format
from trainyard_devcluster.apiserver.resource import Resource
from trainyard_devcluster.apiserver.store import Stored
from trainyard_devcluster.apiserver.tables.render import Include, partial, table
from trainyard_devcluster.apiserver.values import Object, encode


@dataclass(frozen=True, slots=True)
class Renderer:
    """Renders the objects of one resource in one form."""

    cluster: Cluster
    resource: Resource
    format: Format
    include: Include = "Metadata"

    def one(self, obj: Object, *, heads: bool = True) -> bytes:
        view = self.resource.view(obj)
        match self.format.shape:
            case "Table":
                metadata = {"resourceVersion": obj["metadata"]["resourceVersion"]}
                return encode(self._table([obj], metadata, heads=heads))
            case "Partial":
                return encode(partial(view))
        return encode(view)

    def stored(self, stored: Stored, *, heads: bool = True) -> bytes:
        """Return one stored object, from its kept JSON where that is the form."""
        if self.format.shape == "Object" and self.resource.convert is None:
            return stored.json
        return self.one(stored.obj, heads=heads)

    def several(self, found: Sequence[Stored], metadata: Object) -> bytes:
        """Return a list."""
        match self.format.shape:
            case "Table":
                return encode(self._table([each.obj for each in found], metadata))
            case "Partial":
                kind, version = "PartialObjectMetadataList", "meta.k8s.io/v1"
                items: Iterable[bytes] = (encode(partial(each.obj)) for each in found)
            case _:
                kind, version = self.resource.list_kind, self.resource.api_version
                items = (self._item(each) for each in found)
        head = encode({"kind": kind, "apiVersion": version, "metadata": metadata})
        return head[:-1] + b',"items":[' + b",".join(items) + b"]}"

    def _item(self, stored: Stored) -> bytes:
        """An item of a list: as in Kubernetes, those of built-in kinds come without their type."""
        if self.resource.custom or self.resource.convert:
            return self.stored(stored)
        prefix = encode({"apiVersion": self.resource.api_version, "kind": self.resource.kind})
        return b"{" + stored.json[len(prefix) :]

    def _table(self, objects: Sequence[Object], metadata: Object, *, heads: bool = True) -> Object:
        # Columns read the stored form, whichever version was asked for; rows carry the asked one.
        shown = table(
            objects, self.resource.columns, self.cluster.clock(), metadata=metadata, include=self.include, heads=heads
        )
        if self.include == "Object" and self.resource.convert:
            for row in shown["rows"]:
                row["object"] = self.resource.view(row["object"])
        return shown

    def bookmark(self, revision: int, *, initial_end: bool) -> bytes:
        """Return the object of a bookmark event."""
        annotations = {"annotations": {"k8s.io/initial-events-end": "true"}} if initial_end else {}
        metadata = {"resourceVersion": str(revision)} | annotations
        match self.format.shape:
            case "Table":
                row = {"cells": [], "object": {"metadata": metadata}}
                blank = self._table([], {"resourceVersion": str(revision)}, heads=False)
                return encode(blank | {"rows": [row]} if initial_end else blank)
            case "Partial":
                return encode({"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": metadata})
        return encode({"kind": self.resource.kind, "apiVersion": self.resource.api_version, "metadata": metadata})


def to_yaml(body: bytes) -> bytes:
    """Return JSON as YAML."""
    text: str = yaml.dump(yaml.load(body, Loader=yaml.CSafeLoader), Dumper=yaml.CSafeDumper, sort_keys=False)
    return text.encode()
