"""For a server that binds all addresses: free ports for it, and the pod's own ports forwarded to them."""

import asyncio
import secrets
import socket
from contextlib import suppress

from trainyard_devcluster.node.images import with_free_ports
from trainyard_devcluster.node.launch import Launch
from trainyard_devcluster.node.proxy import Address, Proxy
from trainyard_devcluster.node.tasks import spawn

LOOK_SECONDS = 0.05
LOCALHOST = "127.0.0.1"
PORTS = range(20_000, 32_768)
"""Below those that Linux gives to connections (ip_local_port_range): one that looks whether a server is there yet could
be given the very port that it looks for, and would reach itself."""


class PortForwards:
    """The command to run, and the forwards that it needs; most images need none."""

    def __init__(self, pod_ip: str, launch: Launch) -> None:
        supply = (_free_port() for _ in launch.image.binds_all)
        self.argv, ports = with_free_ports(launch.argv, launch.image.binds_all, supply)
        self._ports: dict[Address, Address] = {(pod_ip, asked): (LOCALHOST, given) for asked, given in ports.items()}
        self._tasks: list[asyncio.Task[None]] = []
        self._proxies: list[Proxy] = []

    def open(self) -> None:
        """Open each of the pod's ports as soon as the server has opened its own: a probe must not succeed earlier."""
        self._tasks = [spawn(self._follow(*pair), f"forward of {pair[0]}") for pair in self._ports.items()]

    async def close(self) -> None:
        """Close the pod's ports."""
        for task in self._tasks:
            task.cancel()
        for proxy in self._proxies:
            await proxy.close()

    async def _follow(self, listen: Address, backend: Address) -> None:
        while not await _answers(backend):  # noqa: ASYNC110 - a foreign process: nothing tells us but to look again
            await asyncio.sleep(LOOK_SECONDS)
        proxy = Proxy(listen)
        self._proxies.append(proxy)
        await proxy.set_backends((backend,))


async def _answers(address: Address) -> bool:
    try:
        _, writer = await asyncio.open_connection(*address)
    except OSError:
        return False
    writer.close()
    return True


def _free_port() -> int:
    while True:
        port = secrets.choice(PORTS)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("", port))
            return port
