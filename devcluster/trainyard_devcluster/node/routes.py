"""The local routes that this node made, which go when it ends."""

import contextlib
from pathlib import Path

from trainyard_devcluster.node import netlink


class LocalRoutes:
    """Ranges that this node made local, written down so that the next one can remove what a killed one left."""

    def __init__(self, record: Path) -> None:
        self._record = record
        self._made: list[str] = record.read_text().split() if record.exists() else []

    def add(self, cidr: str) -> None:
        """Make a range local. What is local already stays whose it is. OSError without the right."""
        # Written down first: a route too many in the record is harmless, one too few is never removed.
        self._write([*self._made, cidr])
        try:
            netlink.make_local(cidr)
        except FileExistsError:
            self._write(self._made)
        except OSError:
            self._write(self._made)
            raise
        else:
            self._made.append(cidr)

    def remove_all(self) -> None:
        """Remove every range that was made local, by this process or by one that could not."""
        for cidr in self._made:
            with contextlib.suppress(OSError):
                netlink.remove_local(cidr)
        self._made = []
        self._record.unlink(missing_ok=True)

    def _write(self, cidrs: list[str]) -> None:
        if cidrs:
            self._record.write_text("\n".join(cidrs) + "\n")
        else:
            self._record.unlink(missing_ok=True)
