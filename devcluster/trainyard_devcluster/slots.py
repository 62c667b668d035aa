"""Several devclusters on one machine: each has loopback ranges of its own for its pods and Services."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

COUNT = 32


class NoSlotError(Exception):
    """As many devclusters run on this machine as there are ranges."""


@dataclass(frozen=True, slots=True)
class Slot:
    """The ranges of one devcluster."""

    number: int

    @property
    def pod_cidr(self) -> str:
        """Pod addresses, out of 127.64.0.0/11."""
        return f"127.{64 + self.number}.0.0/16"

    @property
    def service_cidr(self) -> str:
        """Cluster IPs, out of 127.32.0.0/11."""
        return f"127.{32 + self.number}.0.0/16"


@contextmanager
def slot() -> Iterator[Slot]:
    """A slot that no other devcluster of this machine has, until the end of the block or of the process."""
    for number in range(COUNT):
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as mark:
            try:
                # A name in the abstract namespace is a lock that the kernel releases with the process.
                mark.bind(f"\0trainyard-devcluster-{number}")
            except OSError:
                continue
            yield Slot(number)
            return
    raise NoSlotError(f"{COUNT} devclusters run on this machine already: end one of them")
