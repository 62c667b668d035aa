"""A server that binds all addresses gets ports of its own, and the pod's lead to them."""

import asyncio
import socket
from pathlib import Path

import pytest

from support.eventually import eventually
from trainyard_devcluster.node.images import Image
from trainyard_devcluster.node.launch import Launch
from trainyard_devcluster.node.ports import PORTS, PortForwards

POD_IP = "127.64.98.2"


def a_launch(*argv: str, binds_all: tuple[str, ...] = ("--port",)) -> Launch:
    return Launch(argv, {}, Path("/"), {}, Image("x", binds_all=binds_all))


def opens(port: int) -> bool:
    try:
        with socket.create_connection((POD_IP, port), timeout=1):
            return True
    except OSError:
        return False


async def test_the_pods_port_opens_only_when_the_server_has_opened_its_own() -> None:
    port = 8500
    forwards = PortForwards(POD_IP, a_launch("server", f"--port={port}", "--verbose"))
    own = int(forwards.argv[1].removeprefix("--port="))
    assert own in PORTS
    forwards.open()
    await asyncio.sleep(0)
    assert not opens(port)
    server = await asyncio.start_server(lambda reader, writer: writer.close(), "127.0.0.1", own)
    await eventually(lambda: opens(port))
    await forwards.close()
    await eventually(lambda: not opens(port))
    server.close()


async def test_other_images_keep_their_command() -> None:
    forwards = PortForwards(POD_IP, a_launch("server", "--port=1", binds_all=()))
    assert forwards.argv == ["server", "--port=1"]
    forwards.open()
    await forwards.close()


@pytest.mark.parametrize("argv", [["server"], ["server", "--port=0"]])
async def test_a_port_that_is_not_asked_for_is_not_forwarded(argv: list[str]) -> None:
    assert PortForwards(POD_IP, a_launch(*argv)).argv == argv
