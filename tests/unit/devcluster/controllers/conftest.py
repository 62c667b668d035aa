"""The controllers as a process on a real API server of the devcluster; the tests are the nodes."""

import asyncio
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import pytest

from trainyard_devcluster.client import Client, NotFoundError
from trainyard_devcluster.resources import SERVICE_ACCOUNTS, Object, Resource

T = TypeVar("T")

NODE_GRACE_SECONDS = 2.0
CLUSTER_CIDR = "127.64.0.0/16"
START_SECONDS = 90.0
LOOK_SECONDS = 0.02


@dataclass(slots=True)
class Parts:
    """Processes of a devcluster in a folder."""

    folder: Path
    running: dict[str, "subprocess.Popen[bytes]"] = field(default_factory=dict)

    @property
    def kubeconfig(self) -> Path:
        return self.folder / "kubeconfig"

    @property
    def volumes(self) -> Path:
        return self.folder / "volumes"

    def start(self, part: str, *options: str, name: str = "") -> None:
        with (self.folder / f"{name or part}.log").open("ab") as log:
            command = [sys.executable, "-m", f"trainyard_devcluster.{part}", *options]
            self.running[name or part] = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)

    def start_api_server(self) -> None:
        self.start("apiserver", "--dir", str(self.folder))
        deadline = time.monotonic() + START_SECONDS
        while not self.kubeconfig.exists():
            assert self.running["apiserver"].poll() is None, (self.folder / "apiserver.log").read_text()
            assert time.monotonic() < deadline, "the API server did not start"
            time.sleep(LOOK_SECONDS)

    def start_controllers(self) -> None:
        times = ["--node-grace", str(NODE_GRACE_SECONDS), "--eviction-delay", "0.2"]
        places = ["--volumes-dir", str(self.volumes), "--cluster-cidr", CLUSTER_CIDR]
        self.start("controllers", "--kubeconfig", str(self.kubeconfig), *places, *times)

    def kill(self, part: str) -> None:
        process = self.running.pop(part)
        process.kill()
        process.wait()

    def end(self) -> None:
        for process in self.running.values():
            process.terminate()
            process.wait(30)


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Parts]:
    """An API server and the controllers."""
    parts = Parts(tmp_path_factory.mktemp("devcluster"))
    try:
        parts.start_api_server()
        parts.start_controllers()
        yield parts
    finally:
        parts.end()


@pytest.fixture
async def cluster(parts: Parts) -> AsyncIterator[Client]:
    """The API server, to an administrator, once pods can be made."""
    async with Client.from_kubeconfig(parts.kubeconfig) as client:
        await until(lambda: find(client, SERVICE_ACCOUNTS, "default"))
        yield client


async def until(found: Callable[[], Awaitable[T]], *, seconds: float = 20) -> T:
    """What `found` finds, as soon as it is something. TimeoutError where that takes longer."""
    async with asyncio.timeout(seconds):
        while not (result := await found()):  # noqa: ASYNC110 - the API server is asked, as any client would
            await asyncio.sleep(LOOK_SECONDS)
    return result


async def find(client: Client, resource: Resource, name: str, namespace: str | None = "default") -> Object | None:
    """The object, or None."""
    try:
        return await client.get(resource, name, namespace)
    except NotFoundError:
        return None
