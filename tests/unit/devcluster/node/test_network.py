"""Services become ports of this machine, and names a file, as the API server's objects change."""

import asyncio
import socket
from pathlib import Path
from typing import Any

from support.eventually import eventually
from support.kube_stub import KubeStub
from trainyard_devcluster.informer import Informer
from trainyard_devcluster.node.addresses import AddressPool
from trainyard_devcluster.node.network import Network
from trainyard_devcluster.resources import ENDPOINT_SLICES, SERVICES

CLUSTER_IP = "127.32.98.1"


def free_port() -> int:
    with socket.socket() as free:
        free.bind((CLUSTER_IP, 0))
        port: int = free.getsockname()[1]
        return port


async def answer(port: int) -> str:
    try:
        reader, writer = await asyncio.open_connection(CLUSTER_IP, port)
        text = (await reader.read()).decode()
        writer.close()
    except OSError:
        return "refused"
    return text


async def until_answered(port: int, wanted: str) -> None:
    async with asyncio.timeout(5):
        while await answer(port) != wanted:  # noqa: ASYNC110 - the proxy tells nobody that it has changed
            await asyncio.sleep(0.005)


async def test_a_service_opens_moves_and_closes(tmp_path: Path) -> None:
    async def serve(name: str) -> tuple[asyncio.Server, int]:
        async def reply(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(name.encode())
            writer.close()

        server = await asyncio.start_server(reply, "127.0.0.1", 0)
        return server, server.sockets[0].getsockname()[1]

    def a_slice(port: int) -> dict[str, Any]:
        return {
            "metadata": {"name": "web", "namespace": "ns", "labels": {"kubernetes.io/service-name": "web"}},
            "addressType": "IPv4",
            "ports": [{"name": "", "port": port}],
            "endpoints": [{"addresses": ["127.0.0.1"], "conditions": {"ready": True}}],
        }

    stub, port, hosts = KubeStub(), free_port(), tmp_path / "hosts"
    first, second = await serve("first"), await serve("second")
    async with stub.serve() as client:
        services, slices = Informer(client, SERVICES), Informer(client, ENDPOINT_SLICES)
        network = Network(AddressPool("127.64.0.0/16"), services, slices, tmp_path)
        tasks = [asyncio.create_task(each) for each in (services.run(), slices.run(), network.run())]
        spec = {"clusterIP": CLUSTER_IP, "ports": [{"port": port}]}
        stub.put(SERVICES, {"metadata": {"name": "web", "namespace": "ns"}, "spec": spec})
        await eventually(lambda: hosts.exists() and f"{CLUSTER_IP} web.ns.svc.cluster.local" in hosts.read_text())
        assert await answer(port) == "refused"
        for name, (_, backend) in (("first", first), ("second", second)):
            stub.put(ENDPOINT_SLICES, a_slice(backend))
            await until_answered(port, name)
        stub.remove(SERVICES, "web", "ns")
        await until_answered(port, "refused")
        assert hosts.read_text() == ""
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    first[0].close()
    second[0].close()
