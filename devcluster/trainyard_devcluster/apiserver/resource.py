"""What the server has to know of a resource to serve it."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from trainyard_devcluster.apiserver.errors import FieldError, qualified
from trainyard_devcluster.apiserver.schema.node import Schema
from trainyard_devcluster.apiserver.tables.column import Column
from trainyard_devcluster.apiserver.values import Object

if TYPE_CHECKING:
    from trainyard_devcluster.apiserver.cluster import Cluster

ALL_VERBS = ("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch")


def _nothing(*_: object) -> None:
    return None


def _no_errors(*_: object) -> Iterable[FieldError]:
    return ()


@dataclass(frozen=True, slots=True)
class Behaviour:
    """What is particular to a kind: steps of the write path, each of which may be left out."""

    default: Callable[[Object], None] = _nothing
    """Fill in defaults, in place."""
    prepare: Callable[["Cluster", Object, Object | None], None] = _nothing
    """Set what only the server decides (addresses, first status), in place, given the old object on an update."""
    validate: Callable[[Object], Iterable[FieldError]] = _no_errors
    validate_update: Callable[[Object, Object], Iterable[FieldError]] = _no_errors
    """Judge the change from the old (second) to the new (first) object."""
    keeps_status: bool = False
    """A new object may bring its status along."""
    grace: Callable[[Object, int | None], int] = lambda obj, wanted: 0
    """Seconds between the request to delete an object and its deletion."""


@dataclass(frozen=True, slots=True)
class Scale:
    """Where the scale subresource finds its numbers: paths of keys in the object."""

    spec_replicas: tuple[str, ...] = ("spec", "replicas")
    status_replicas: tuple[str, ...] = ("status", "replicas")
    selector: tuple[str, ...] | None = ("spec", "selector")
    version: str = "autoscaling/v1"


@dataclass(frozen=True, slots=True)
class Subresource:
    """A further endpoint of an object."""

    name: str
    kind: str
    verbs: tuple[str, ...]
    group_version: str = ""
    """Of its kind, where that is not the resource's own."""


@dataclass(frozen=True, slots=True, eq=False)
class Resource:
    """One resource in one version."""

    group: str
    version: str
    kind: str
    plural: str
    schema: Schema
    singular: str = ""
    list_kind: str = ""
    namespaced: bool = True
    short_names: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    verbs: tuple[str, ...] = ALL_VERBS
    status: bool = False
    scale: Scale | None = None
    subresources: tuple[Subresource, ...] = ()
    generation: bool = False
    """Whether `metadata.generation` counts the changes of the spec."""
    returns_deleted: bool = False
    """Whether a deletion answers with the object instead of a Status."""
    fields: frozenset[str] = field(default_factory=frozenset)
    """Field selectors beyond metadata.name and metadata.namespace."""
    columns: tuple[Column, ...] = ()
    behaviour: Behaviour = field(default_factory=Behaviour)
    custom: Object | None = None
    """The definition of a custom resource."""
    convert: Callable[[Object], Object] | None = None
    """From the stored form to this version's, where they differ."""
    convert_back: Callable[[Object], Object] | None = None
    table: str = ""
    """The store's table; the resources of one table are views of the same objects."""

    @property
    def api_version(self) -> str:
        """Group and version as in `apiVersion`."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def name(self) -> str:
        """Plural and group, as in `deployments.apps`."""
        return qualified(self.plural, self.group)

    @property
    def storage(self) -> str:
        """The name of the store's table."""
        return self.table or self.name

    @property
    def selectable(self) -> frozenset[str]:
        """Every field that a field selector may name."""
        return self.fields | {"metadata.name"} | ({"metadata.namespace"} if self.namespaced else set())

    def view(self, obj: Object) -> Object:
        """Return a stored object as this version shows it."""
        return self.convert(obj) if self.convert else obj
