"""The one port to the API server: what a reconciler may ask of it, and nothing more."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from trainyard_operator.cluster.kinds import Kind

Manifest = dict[str, Any]
"""A Kubernetes object as the API server speaks it: camelCase keys, plain JSON types."""


@dataclass(frozen=True, slots=True)
class Event:
    """Something a person should know about an object, as `kubectl describe` shows it."""

    type: Literal["Normal", "Warning"]
    reason: str
    message: str


class Cluster(Protocol):
    """Reads and writes objects. Every call has a time limit and raises only `errors.ApiError` and its subclasses."""

    async def get(self, kind: Kind, namespace: str, name: str, *, live: bool = False) -> Manifest:
        """Return the object. Do not change it: others may hold the same.

        Args:
            live: Ask the API server, whatever the watches have told. Before anything is deleted, or started in place
                of something, what is there has been read so.

        Raises:
            NotFound: there is none; the API server itself says so.
        """
        ...

    async def select(
        self, kind: Kind, namespace: str | None = None, *, labels: Mapping[str, str] | None = None, live: bool = False
    ) -> list[Manifest]:
        """Return the objects with these labels, of one namespace or of all (None), in the order of their names.

        As with `get`, they are not to be changed, and `live` asks the API server.
        """
        ...

    async def log(self, namespace: str, pod: str, *, container: str, lines: int, most_bytes: int) -> str:
        """Return the last lines of what a container has written so far; of them, the first `most_bytes` bytes.

        Raises:
            NotFound: there is no such pod.
            Invalid: the container has not started.
        """
        ...

    async def create(self, kind: Kind, manifest: Manifest) -> Manifest:
        """Create the object.

        Raises:
            AlreadyExists: the name is taken, perhaps by us: see `children.ensure`.
            Invalid: the API server rejects it.
        """
        ...

    async def apply(self, kind: Kind, manifest: Manifest) -> Manifest:
        """Server-side apply, by force, under our field manager. Creates the object where there is none.

        With `metadata.uid` or `metadata.resourceVersion` in the manifest it changes only that very object.

        Raises:
            Conflict: the object with that uid and resourceVersion is no more.
            Invalid: the API server rejects it.
        """
        ...

    async def scale(self, kind: Kind, manifest: Manifest, replicas: int) -> None:
        """Set the number of replicas through the scale subresource, as autoscalers and people do.

        Raises:
            NotFound: the object is gone.
            Conflict: it was changed since it was read.
        """
        ...

    async def apply_status(self, kind: Kind, manifest: Manifest) -> Manifest:
        """Server-side apply of the status subresource; `manifest` is metadata and status, with preconditions as above.

        Raises:
            NotFound: the object is gone.
            Conflict: the object with that uid and resourceVersion is no more.
        """
        ...

    async def delete(self, kind: Kind, namespace: str, name: str, *, uid: str) -> None:
        """Delete exactly the object with this uid and, in the background, what it owns. Already gone is success.

        Raises:
            Conflict: another object has that name now.
        """
        ...

    async def events_of(self, namespace: str, uid: str) -> list[Manifest]:
        """Return the events about an object, the newest first; a hundred at most."""
        ...

    async def emit(self, regarding: Manifest, event: Event, *, again: bool = False) -> bool:
        """Record an event about an object; a repeated one raises a count. Best effort: never raises.

        Args:
            again: It may have been recorded by an operator that is no more, and then nothing is to change.

        Returns:
            Whether anything was recorded.
        """
        ...
