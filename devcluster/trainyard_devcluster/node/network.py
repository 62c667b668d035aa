"""The node's side of the cluster's network: Services, names, and addresses that the kernel has to know."""

import asyncio
import ipaddress
import logging
from pathlib import Path

from trainyard_devcluster.informer import Informer
from trainyard_devcluster.node import hosts
from trainyard_devcluster.node.addresses import AddressPool
from trainyard_devcluster.node.routes import LocalRoutes
from trainyard_devcluster.node.services import ServiceProxy, plan
from trainyard_devcluster.resources import Object

log = logging.getLogger(__name__)


class Network:
    """Follows Services and EndpointSlices."""

    def __init__(self, pool: AddressPool, services: Informer, slices: Informer, folder: Path) -> None:
        self._services = services
        self._slices = slices
        self._hosts_file = folder / "hosts"
        self._routes = LocalRoutes(folder / "routes")
        self._routes.remove_all()
        self._local: dict[str, bool] = {}
        self._proxy = ServiceProxy(self._usable)
        self._changed = asyncio.Event()
        services.on_change(self._notice)
        slices.on_change(self._notice)
        if not pool.loopback:
            self._make_local(pool.cidr)

    async def run(self) -> None:
        """Keep ports and names current until cancelled."""
        await self._services.synced.wait()
        await self._slices.synced.wait()
        try:
            while True:
                self._changed.clear()
                hosts.write(self._hosts_file, hosts.content(self._services, self._slices))
                await self._proxy.apply(plan(self._services, self._slices))
                await self._changed.wait()
        finally:
            await self._proxy.close()

    def close(self) -> None:
        """Take back the addresses that were made local, once no pod uses them any more."""
        self._routes.remove_all()

    def _notice(self, old: Object | None, new: Object | None) -> None:
        self._changed.set()

    def _usable(self, address: str) -> bool:
        """Whether this machine can listen on an address; a cluster IP is made its own first."""
        if ipaddress.IPv4Address(address).is_loopback:
            return True
        if address not in self._local:
            self._local[address] = self._make_local(f"{address}/32")
        return self._local[address]

    def _make_local(self, cidr: str) -> bool:
        try:
            self._routes.add(cidr)
        except OSError as error:
            log.warning(
                "%s cannot be made local to this machine (%s): pods cannot bind their addresses there, and Services "
                "there cannot be reached from here. Run the node agent as root, or give it CAP_NET_ADMIN.",
                cidr,
                error.strerror or error,
            )
            return False
        return True
