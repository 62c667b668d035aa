"""From objects to a Table."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Literal

from trainyard_devcluster.apiserver.tables.age import age
from trainyard_devcluster.apiserver.tables.column import Column
from trainyard_devcluster.apiserver.values import Json, Object

Include = Literal["None", "Metadata", "Object"]

NAME = Column("Name", lambda obj, now: obj["metadata"]["name"], format="name", description="Name of the object")
AGE = Column("Age", age, description="Time since the object was created")
PLAIN = (
    NAME,
    Column("Created At", lambda obj, now: obj["metadata"].get("creationTimestamp", ""), type="date"),
)
"""The columns of kinds that have none of their own."""


def table(
    objects: Iterable[Object],
    columns: Sequence[Column],
    now: datetime,
    *,
    metadata: Object,
    include: Include = "Metadata",
    heads: bool = True,
) -> Object:
    """Return a Table of objects; without heads it is the continuation of one, as in a watch."""
    used = columns or PLAIN
    return {
        "kind": "Table",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": metadata,
        "columnDefinitions": [column.head for column in used] if heads else None,
        "rows": [_row(obj, used, now, include) for obj in objects],
    }


def _row(obj: Object, columns: Sequence[Column], now: datetime, include: Include) -> Object:
    row: Object = {"cells": [column.cell(obj, now) for column in columns]}
    if include == "Object":
        row["object"] = obj
    elif include == "Metadata":
        row["object"] = partial(obj)
    return row


def partial(obj: Object) -> Json:
    """Return an object's metadata alone."""
    return {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": obj["metadata"]}
