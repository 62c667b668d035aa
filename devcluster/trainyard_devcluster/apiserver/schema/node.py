"""One schema, whichever its origin, in the form that pruning, validation and the patches walk."""

from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any

from trainyard_devcluster.apiserver.values import Json, Object

Resolve = Callable[[str], "Schema"]

MISSING: Any = object()
"""Stands where a schema has no default."""


class Schema:
    """A schema with its references resolved on the way.

    Args:
        raw: the schema as JSON.
        resolve: what a `$ref` inside it stands for; custom resources have none.
        native: it describes a Go type, as those of the built-in kinds do. Such an object takes no unknown field, and an
            object without any declared one takes all (it is an opaque type such as `RawExtension`).
        properties: known fields that replace those in `raw`.
    """

    def __init__(
        self, raw: Object, resolve: Resolve, *, native: bool, properties: Mapping[str, "Schema"] | None = None
    ) -> None:
        self.raw = raw
        self.native = native
        self._resolve = resolve
        self._given = properties or {}
        types = raw.get("type", "")
        self.type: str = next((each for each in types if each != "null"), "") if isinstance(types, list) else types
        self.name: str = raw.get("x-kubernetes-go-name", "")
        self.nullable: bool = bool(raw.get("nullable"))
        self.default: Json = raw.get("default", MISSING)
        self.preserve: bool = bool(raw.get("x-kubernetes-preserve-unknown-fields"))
        self.int_or_string: bool = bool(raw.get("x-kubernetes-int-or-string")) or ("oneOf" in raw and native)
        self.embedded: bool = bool(raw.get("x-kubernetes-embedded-resource"))
        self.list_type: str = raw.get("x-kubernetes-list-type", "atomic")
        self.keys: list[str] = raw.get("x-kubernetes-list-map-keys", [])
        self.atomic_map: bool = raw.get("x-kubernetes-map-type") == "atomic"
        self.merge_key: str = raw.get("x-kubernetes-patch-merge-key", "")
        self.strategies: frozenset[str] = frozenset(raw.get("x-kubernetes-patch-strategy", "").split(","))
        self.required: list[str] = raw.get("required", [])

    @cached_property
    def properties(self) -> Mapping[str, "Schema"]:
        """The declared fields."""
        declared = {name: self._child(each) for name, each in self.raw.get("properties", {}).items()}
        return declared | dict(self._given)

    @cached_property
    def items(self) -> "Schema | None":
        """What the items of a list are."""
        raw = self.raw.get("items")
        return self._child(raw) if isinstance(raw, dict) else None

    @cached_property
    def additional(self) -> "Schema | None":
        """What the values of a map with free keys are."""
        raw = self.raw.get("additionalProperties")
        if raw is True:
            return ANYTHING
        return self._child(raw) if isinstance(raw, dict) else None

    @cached_property
    def open(self) -> bool:
        """Whether an object may have fields that are not declared, and keeps them."""
        undeclared = self.native and not self.properties and self.type in ("object", "")
        return self.preserve or self.additional is not None or undeclared

    @cached_property
    def validates(self) -> bool:
        """Whether the schema itself, or one below it, says more than types; false stops a walk early."""
        return not self.native

    def field(self, name: str) -> "Schema | None":
        """Return the schema of a field; None where it is neither declared nor free."""
        return self.properties.get(name) or self.additional or (ANYTHING if self.open else None)

    def item(self) -> "Schema":
        """Return the schema of a list's items, of which nothing may be known."""
        return self.items or ANYTHING

    def at(self, *path: str) -> "Schema":
        """Return the schema below a path of field names."""
        found: Schema = self
        for name in path:
            found = found.field(name) or ANYTHING
        return found

    def _child(self, raw: Object) -> "Schema":
        reference = raw.get("$ref")
        if reference is None:
            return Schema(raw, self._resolve, native=self.native)
        return self._resolve(reference.rpartition("/")[2])


def _nothing(name: str) -> Schema:
    raise KeyError(name)


ANYTHING = Schema({"x-kubernetes-preserve-unknown-fields": True}, _nothing, native=False)
"""The schema of which nothing is known: maps merge by key, lists are replaced."""
