"""What each column of the data was taken for: printed once, and kept in the manifest."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from trainyard_trainer.data.hashing import Hashed
from trainyard_trainer.data.numerals import PLAIN
from trainyard_trainer.data.schema import Column, Schema

_TYPES = {
    "number": "number", "vector": "vector", "text": "category", "texts": "labels", "bytes": "file", "array": "array",
    "date": "date", "words": "text",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class ColumnUse:
    """One column: what it is to the model, as `type`, or why it is left out.

    `categories` counts the values of a category, `length` the numbers of a vector. `notation` tells how numbers are
    written, where not as in programs.
    """

    name: str
    type: str
    categories: int | None = None
    length: int | None = None
    notation: str | None = None
    why: str | None = None

    def __str__(self) -> str:
        detail = {
            "category": f" of {self.categories}",
            "vector": f" of {self.length}",
            "number": f" ({self.notation})" if self.notation else "",
        }.get(self.type, "")
        known = "" if self.type == "category" and self.categories is None else detail
        return f"{self.name}: left out, {self.why}" if self.why else f"{self.name}: {self.type}{known}"

    def to_wire(self) -> dict[str, object]:
        """Return it for JSON, without what does not apply."""
        fields = {
            "name": self.name,
            "type": self.type,
            "categories": self.categories,
            "length": self.length,
            "notation": self.notation,
            "why": self.why,
        }
        return {name: value for name, value in fields.items() if value is not None}


def column_uses(schema: Schema, statistics: Any) -> tuple[ColumnUse, ...]:
    """Return what each column was taken for, by the statistics of a table or of what else was learnt from."""
    vocabularies = dict(zip(schema.texts, getattr(statistics, "vocabularies", ()), strict=False))
    return tuple(_uses(schema, {name: _size(known) for name, known in vocabularies.items()}))


def _uses(schema: Schema, sizes: dict[str, int]) -> Iterator[ColumnUse]:
    for column in schema.features:
        yield ColumnUse(
            column.name,
            "text" if column.kind == "text" and column.name not in sizes else _TYPES[column.kind],
            categories=sizes.get(column.name),
            length=column.shape[0] if column.kind == "vector" else None,
            notation=_notation(column),
        )
    for gone in schema.left_out:
        yield ColumnUse(gone.name, "leftOut", why=gone.why)


def _notation(column: Column) -> str | None:
    return None if column.notation == PLAIN else str(column.notation)


def _size(known: Any) -> int:
    return known.buckets if isinstance(known, Hashed) else len(known)
