"""Sets of fields, in memory and as `fieldsV1`.

A path element is a text as in `fieldsV1`: `f:name`, `k:{"name":"x"}` (item of a map list) or `v:"x"` (item of a set).
"""

import json
from collections.abc import Iterator

from trainyard_devcluster.apiserver.schema.node import Schema
from trainyard_devcluster.apiserver.values import Object


class FieldSet:
    """A set of paths: those that end here (`members`) and those that go on (`children`)."""

    __slots__ = ("children", "members")

    def __init__(self, members: set[str] | None = None, children: "dict[str, FieldSet] | None" = None) -> None:
        self.members = members or set()
        self.children = children or {}

    def __bool__(self) -> bool:
        return bool(self.members) or any(self.children.values())

    def __eq__(self, other: object) -> bool:
        return isinstance(other, FieldSet) and self.members == other.members and self._below() == other._below()

    def _below(self) -> "dict[str, FieldSet]":
        return {element: child for element, child in self.children.items() if child}

    __hash__ = None  # type: ignore[assignment]

    def put(self, element: str, child: "FieldSet") -> None:
        """Add everything of `child` below a path element."""
        if child:
            self.children[element] = child

    def union(self, other: "FieldSet") -> "FieldSet":
        """Return the paths in either."""
        children = dict(self.children)
        for element, child in other.children.items():
            mine = children.get(element)
            children[element] = mine.union(child) if mine else child
        return FieldSet(self.members | other.members, children)

    def difference(self, other: "FieldSet") -> "FieldSet":
        """Return the paths that are not in the other."""
        result = FieldSet(self.members - other.members)
        for element, child in self.children.items():
            theirs = other.children.get(element)
            result.put(element, child.difference(theirs) if theirs else child)
        return result

    def intersection(self, other: "FieldSet") -> "FieldSet":
        """Return the paths in both."""
        result = FieldSet(self.members & other.members)
        for element in self.children.keys() & other.children.keys():
            result.put(element, self.children[element].intersection(other.children[element]))
        return result

    def without(self, other: "FieldSet") -> "FieldSet":
        """Return the paths that neither are in the other nor lie below one that is."""
        result = FieldSet(self.members - other.members)
        for element, child in self.children.items():
            if element not in other.members:
                theirs = other.children.get(element)
                result.put(element, child.without(theirs) if theirs else child)
        return result

    def with_named_parents(self, schema: Schema | None) -> "FieldSet":
        """Return the set with every declared field on the way to a path as a member too.

        Fields of a struct count as held by whoever holds something in them; entries of free maps and lists do not.
        """
        result = FieldSet(set(self.members))
        for element, child in self.children.items():
            if not child:
                continue
            below = None
            if schema is not None:
                if element.startswith("f:"):
                    name = element[2:]
                    if name in schema.properties:
                        result.members.add(element)
                    below = schema.field(name)
                else:
                    below = schema.items
            result.children[element] = child.with_named_parents(below)
        return result

    def paths(self, prefix: str = "") -> Iterator[str]:
        """Yield the paths in the form of messages, as `.spec.containers[name="web"].image`, sorted."""
        for element in sorted(self.members | self.children.keys()):
            shown = prefix + _shown(element)
            if element in self.members:
                yield shown
            if element in self.children:
                yield from self.children[element].paths(shown)

    def to_wire(self) -> Object:
        """Return the set as `fieldsV1`."""
        wire: Object = {}
        for element in sorted(self.members | self.children.keys()):
            child = self.children.get(element)
            below = child.to_wire() if child else {}
            if below or element in self.members:
                wire[element] = ({".": {}} if element in self.members and below else {}) | below
        return wire

    @classmethod
    def from_wire(cls, wire: Object) -> "FieldSet":
        """Return the set that `fieldsV1` stands for."""
        result = cls()
        for element, below in wire.items():
            if element == ".":
                continue
            if not below or "." in below:
                result.members.add(element)
            result.put(element, cls.from_wire(below))
        return result

    @classmethod
    def of(cls, *paths: tuple[str, ...]) -> "FieldSet":
        """Return the set of some paths, given as field names."""
        result = cls()
        for *parents, last in paths:
            at = result
            for name in parents:
                at = at.children.setdefault(f"f:{name}", cls())
            at.members.add(f"f:{last}")
        return result


def _shown(element: str) -> str:
    kind, _, text = element.partition(":")
    if kind == "f":
        return f".{text}"
    if kind == "v":
        return f"[={text}]"
    pairs = ",".join(f"{key}={json.dumps(value)}" for key, value in sorted(json.loads(text).items()))
    return f"[{pairs}]"
