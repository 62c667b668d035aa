"""Pod addresses out of the node's podCIDR."""

import ipaddress


class AddressesExhaustedError(Exception):
    """Every address of the podCIDR is in use."""


class AddressPool:
    """Hands out addresses in turn, so that one is used again as late as possible."""

    def __init__(self, cidr: str) -> None:
        self._network = ipaddress.IPv4Network(cidr)
        # The network's own address, the bridge's by convention, and the broadcast address stay free.
        self._first, self._count = 2, self._network.num_addresses - 3
        if self._count < 1:
            raise ValueError(f"expected a podCIDR with room for pods, found {cidr}")
        self._next = 0
        self._used: set[str] = set()

    @property
    def cidr(self) -> str:
        """The whole range."""
        return str(self._network)

    @property
    def loopback(self) -> bool:
        """Whether every address is this machine's own without any set-up."""
        return self._network.is_loopback

    def take(self, wanted: str | None = None) -> str:
        """An address that nobody has: the wanted one, if it can be."""
        if wanted and wanted not in self._used and ipaddress.IPv4Address(wanted) in self._network:
            self._used.add(wanted)
            return wanted
        for _ in range(self._count):
            address = str(self._network[self._first + self._next])
            self._next = (self._next + 1) % self._count
            if address not in self._used:
                self._used.add(address)
                return address
        raise AddressesExhaustedError(f"no address left in {self._network}")

    def give_back(self, address: str) -> None:
        """The pod with this address is gone."""
        self._used.discard(address)
