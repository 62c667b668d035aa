"""The launcher: starts the parts of a devcluster as child processes, and ends them all when it or one of them ends."""

import argparse
import asyncio
import ctypes
import fcntl
import logging
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network
from pathlib import Path

from trainyard_devcluster import slots
from trainyard_devcluster.client import ApiError, Client
from trainyard_devcluster.controllers.nodes.ranges import free_range
from trainyard_devcluster.resources import NODES
from trainyard_devcluster.slots import Slot
from trainyard_devcluster.strays import NODE_MARK, kill_marked

log = logging.getLogger(__name__)

LOG_TAIL_BYTES = 3000
LOOK_SECONDS = 0.05
STOP_SECONDS = 15.0
_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)


class PartError(Exception):
    """A part of the cluster ended, or the cluster did not become ready; the message says which and why."""


@dataclass(slots=True)
class Part:
    """One part's process and its log."""

    name: str
    process: "subprocess.Popen[bytes]"
    log: Path

    def check(self) -> None:
        """PartError with the end of its log where the part has ended."""
        code = self.process.poll()
        if code is not None:
            raise PartError(f"{self.name} ended with exit code {code}; the end of {self.log}:\n{self.tail()}")

    def tail(self) -> str:
        """The end of its log."""
        return self.log.read_bytes()[-LOG_TAIL_BYTES:].decode(errors="replace")


class Cluster:
    """The parts that run so far, in the order in which they were started."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.kubeconfig = folder / "kubeconfig"
        self._parts: list[Part] = []

    def start(self, name: str, *arguments: str) -> None:
        """Start one part. It gets SIGTERM when this process dies, however it dies."""
        logs = self.folder / "logs"
        logs.mkdir(parents=True, exist_ok=True)
        path = logs / f"{name}.log"
        with path.open("wb") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", f"trainyard_devcluster.{name}", *arguments],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C on the terminal reaches the launcher alone, which ends them in order
                preexec_fn=_end_with_parent,
            )
        self._parts.append(Part(name, process, path))

    def check(self) -> None:
        """PartError where a part has ended."""
        for part in self._parts:
            part.check()

    async def wait_for_kubeconfig(self) -> None:
        """Wait until the API server listens. PartError where a part ends first."""
        while not self.kubeconfig.exists():
            self.check()
            await asyncio.sleep(LOOK_SECONDS)

    async def wait_until_ready(self, node: str) -> None:
        """Wait until the node is Ready. PartError where a part ends first."""
        async with Client.from_kubeconfig(self.kubeconfig) as client:
            while not await _is_ready(client, node):
                self.check()
                await asyncio.sleep(LOOK_SECONDS)

    async def stop(self) -> None:
        """End the parts, the last started first: the node ends its pods while the API server still answers."""
        for part in reversed(self._parts):
            part.process.terminate()
            try:
                await asyncio.to_thread(part.process.wait, STOP_SECONDS)
            except subprocess.TimeoutExpired:
                log.warning("%s did not end within %.0f s and was killed", part.name, STOP_SECONDS)
                part.process.kill()
                part.process.wait()
        await asyncio.to_thread(kill_marked, NODE_MARK, str(self.folder))  # where the node could not do it itself


async def _is_ready(client: Client, node: str) -> bool:
    try:
        status = (await client.get(NODES, node)).get("status") or {}
    except ApiError:
        return False
    return any(each["type"] == "Ready" and each["status"] == "True" for each in status.get("conditions") or ())


def _end_with_parent() -> None:
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)


def parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m trainyard_devcluster up",
        description="Run a cluster for development: API server, controllers, scheduler and one node, as processes.",
        epilog="Other options of the node agent go after `--`, for instance: up --dir DIR -- --label pool=gpu",
    )
    parser.add_argument("--dir", type=Path, default=Path(".devcluster"), help="where state, volumes and logs are kept")
    parser.add_argument("--node", default="devcluster", help="the node's name")
    parser.add_argument("--images", type=Path, help="YAML file: which command stands for an image")
    parser.add_argument("--gpus", type=int, default=0, help="nvidia.com/gpu to declare, whether or not there are any")
    parser.add_argument("--cpu", help="cores to offer; default: this machine's")
    parser.add_argument("--memory", help="memory to offer; default: this machine's")
    parser.add_argument(
        "--autoscaler-period", type=float, default=15.0, metavar="SECONDS", help="autoscalers look so often"
    )
    parser.add_argument(
        "--wait", type=float, default=60.0, nargs="?", const=60.0, metavar="SECONDS", help="how long it may take"
    )
    parser.add_argument("--with-parent", action="store_true", help="end when the process that started this one ends")
    parser.add_argument("node_options", nargs="*", metavar="-- NODE OPTION", help="options for the node agent")
    return parser


async def run(options: argparse.Namespace, slot: Slot) -> None:
    """Run the cluster until cancelled. PartError where a part ends."""
    folder: Path = options.dir.resolve()
    cluster = Cluster(folder)
    cluster.kubeconfig.unlink(missing_ok=True)
    try:
        try:
            async with asyncio.timeout(options.wait):
                await _start(cluster, options, slot)
        except TimeoutError:
            raise PartError(
                f"the cluster was not ready after {options.wait:g} s; its logs are in {folder}/logs"
            ) from None
        print(f"export KUBECONFIG={cluster.kubeconfig}", flush=True)
        while True:
            cluster.check()
            await asyncio.sleep(LOOK_SECONDS * 4)
    finally:
        await cluster.stop()


async def _start(cluster: Cluster, options: argparse.Namespace, slot: Slot) -> None:
    kubeconfig = str(cluster.kubeconfig)
    cluster.start("apiserver", "--dir", str(cluster.folder), "--service-cidr", slot.service_cidr)
    await cluster.wait_for_kubeconfig()
    controllers = ["--volumes-dir", str(cluster.folder / "volumes"), "--cluster-cidr", slot.pod_cidr]
    controllers += ["--autoscaler-period", str(options.autoscaler_period)]
    cluster.start("controllers", "--kubeconfig", kubeconfig, *controllers)
    cluster.start("scheduler", "--kubeconfig", kubeconfig)
    # Named, so that the node need not wait for the controllers to choose the same.
    pod_cidr = free_range(IPv4Network(slot.pod_cidr), taken=()) or slot.pod_cidr
    node = ["--kubeconfig", kubeconfig, "--dir", str(cluster.folder), "--pod-cidr", pod_cidr]
    cluster.start("node", *node, *_node_options(options))
    await cluster.wait_until_ready(options.node)


def _node_options(options: argparse.Namespace) -> Sequence[str]:
    chosen = ["--name", options.node, "--gpus", str(options.gpus)]
    for name in ("cpu", "memory"):
        if value := getattr(options, name):
            chosen += [f"--{name}", value]
    if options.images:
        chosen += ["--images", str(options.images.resolve())]
    return [*chosen, *options.node_options]


def main(arguments: Sequence[str]) -> int:
    """Run a devcluster until SIGINT or SIGTERM; exit code 1 where a part of it fails."""
    options = parser().parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    if options.with_parent:
        _end_with_parent()
    options.dir.mkdir(parents=True, exist_ok=True)
    with (options.dir / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            print(f"another devcluster runs in {options.dir}: end it, or choose another --dir", file=sys.stderr)
            return 1
        try:
            with slots.slot() as slot:
                return asyncio.run(_until_signal(options, slot))
        except slots.NoSlotError as error:
            print(error, file=sys.stderr)
            return 1


async def _until_signal(options: argparse.Namespace, slot: Slot) -> int:
    task = asyncio.ensure_future(run(options, slot))
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, task.cancel)
    try:
        await task
    except asyncio.CancelledError:
        return 0
    except PartError as error:
        print(error, file=sys.stderr)
        return 1
    return 0
