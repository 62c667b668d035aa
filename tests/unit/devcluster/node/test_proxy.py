"""Connections to a Service: where new ones go, and that old ones stay."""

import asyncio
import socket
from collections.abc import AsyncIterator

import pytest

from support.eventually import eventually
from trainyard_devcluster.node.proxy import Address, Proxy

LISTEN = "127.32.99.1"


class Backend:
    """A line server that answers every line with its name."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.server: asyncio.Server | None = None

    async def start(self) -> Address:
        self.server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        address: Address = self.server.sockets[0].getsockname()
        return address

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            writer.write(f"{self.name}:{line.decode()}".encode())
        writer.write(b"bye\n")
        writer.close()


class Client:
    """A connection that sends lines."""

    async def open(self, address: Address) -> "Client":
        self.reader, self.writer = await asyncio.open_connection(*address)
        return self

    async def ask(self, word: str = "x") -> str:
        self.writer.write(f"{word}\n".encode())
        return (await self.reader.readline()).decode().strip()

    async def close(self) -> None:
        self.writer.close()
        await self.writer.wait_closed()


@pytest.fixture
async def proxy() -> AsyncIterator[Proxy]:
    with socket.socket() as free:
        free.bind((LISTEN, 0))
        address = free.getsockname()
    proxy = Proxy(address)
    yield proxy
    await proxy.close()


@pytest.fixture
async def backends() -> AsyncIterator[list[Address]]:
    servers = [Backend("a"), Backend("b")]
    addresses = [await each.start() for each in servers]
    yield addresses
    for each in servers:
        assert each.server
        each.server.close()


async def once(proxy: Proxy) -> str:
    client = await Client().open(proxy.listen)
    answer = await client.ask()
    await client.close()
    return answer


async def test_new_connections_go_to_the_backends_in_turn(proxy: Proxy, backends: list[Address]) -> None:
    await proxy.set_backends(backends)
    assert [await once(proxy) for _ in range(4)] == ["a:x", "b:x", "a:x", "b:x"]


async def test_a_connection_stays_when_its_backend_is_taken_off_the_list(proxy: Proxy, backends: list[Address]) -> None:
    await proxy.set_backends(backends[:1])
    kept = await Client().open(proxy.listen)
    assert await kept.ask() == "a:x"
    await proxy.set_backends(backends[1:])
    assert await once(proxy) == "b:x"
    assert await kept.ask("y") == "a:y"
    await kept.close()


async def test_a_service_without_backends_refuses_and_comes_back(proxy: Proxy, backends: list[Address]) -> None:
    await proxy.set_backends(backends)
    await proxy.set_backends([])
    with pytest.raises(ConnectionRefusedError):
        await once(proxy)
    await proxy.set_backends(backends)
    assert await once(proxy) in ("a:x", "b:x")


async def test_a_backend_that_refuses_is_passed_over(proxy: Proxy, backends: list[Address]) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        dead: Address = free.getsockname()
    await proxy.set_backends([dead, backends[0]])
    assert [await once(proxy) for _ in range(4)] == ["a:x"] * 4


async def test_a_client_with_no_living_backend_is_dropped(proxy: Proxy) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        await proxy.set_backends([free.getsockname()])
    client = await Client().open(proxy.listen)
    with pytest.raises(ConnectionResetError):
        await client.reader.read()
    client.writer.close()


async def test_each_side_can_end_its_half_first(proxy: Proxy, backends: list[Address]) -> None:
    await proxy.set_backends(backends[:1])
    client = await Client().open(proxy.listen)
    client.writer.write(b"one\n")
    client.writer.write_eof()
    assert await client.reader.read() == b"a:one\nbye\n"
    await client.close()


async def test_much_data_passes_unharmed_to_a_slow_reader(proxy: Proxy) -> None:
    blob = bytes(range(256)) * 4096 * 16

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(blob)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    await proxy.set_backends([server.sockets[0].getsockname()])
    client = await Client().open(proxy.listen)
    received = b""
    while piece := await client.reader.read(65536):
        received += piece
        await asyncio.sleep(0)
    assert received == blob
    await client.close()
    server.close()


async def test_switching_backends_under_load_fails_no_request(proxy: Proxy, backends: list[Address]) -> None:
    await proxy.set_backends(backends[:1])
    stop = asyncio.Event()
    answers: list[str] = []

    async def load() -> None:
        while not stop.is_set():
            answers.append(await once(proxy))

    clients = [asyncio.create_task(load()) for _ in range(8)]
    for turn in range(20):
        await proxy.set_backends([backends[turn % 2]])
        seen = len(answers)
        await eventually(lambda seen=seen: len(answers) >= seen + 10)  # type: ignore[misc]
    stop.set()
    await asyncio.gather(*clients)
    assert set(answers) == {"a:x", "b:x"}
