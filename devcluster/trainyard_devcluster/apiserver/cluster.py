"""What every part of the server shares: the store, the served resources, the clock and the network plan."""

import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from ipaddress import IPv4Network
from uuid import uuid4

from trainyard_devcluster.apiserver.registry import Registry
from trainyard_devcluster.apiserver.store import Store
from trainyard_devcluster.apiserver.values import timestamp

_SUFFIX_LETTERS = "bcdfghjklmnpqrstvwxz2456789"


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(slots=True)
class Cluster:
    """The state of one server."""

    store: Store
    registry: Registry
    service_network: IPv4Network
    clock: Callable[[], datetime] = _now
    new_uid: Callable[[], str] = field(default=lambda: str(uuid4()))

    @property
    def now(self) -> str:
        """The time as a `metav1.Time`."""
        return timestamp(self.clock())

    def new_name(self, prefix: str) -> str:
        """Return a name for `generateName`, at most 63 characters long."""
        return prefix[:58] + "".join(secrets.choice(_SUFFIX_LETTERS) for _ in range(5))
