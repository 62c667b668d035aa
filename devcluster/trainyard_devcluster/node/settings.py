"""What a node agent is told on its command line."""

import argparse
import os
import platform
import re
import shutil
from dataclasses import dataclass, field
from pathlib import Path

from trainyard_devcluster import quantity
from trainyard_devcluster.node.addresses import AddressPool

GPU = "nvidia.com/gpu"


@dataclass(frozen=True, slots=True)
class Settings:
    """One node."""

    kubeconfig: Path
    name: str
    folder: Path
    address: str = "127.0.0.1"
    """InternalIP: where the kubelet API listens, and the address of pods on the host's network."""
    port: int = 0
    pod_cidr: str | None = None
    """The range of pod addresses; None takes the one that the cluster gives the node."""
    pod_cidr_patience: float = 10.0
    """Seconds to wait for the cluster to give the node one."""
    capacity: dict[str, str] = field(default_factory=dict)
    labels: dict[str, str] = field(default_factory=dict)
    images: Path | None = None
    verbose: bool = False
    restart_backoff: float = 10.0
    """Seconds before the second restart of a container that keeps ending; each further one waits twice as long."""


def parse(argv: list[str] | None = None) -> Settings:
    """Read the command line. Exits with a message where it makes no sense."""
    parser = argparse.ArgumentParser(
        prog="python -m trainyard_devcluster node",
        description="Join this machine to a cluster as a node that runs pods as local processes.",
    )
    parser.add_argument("--kubeconfig", type=Path, default=os.environ.get("KUBECONFIG"), help="the API server to join")
    parser.add_argument("--name", default=platform.node().lower() or "node", help="the node's name")
    parser.add_argument("--dir", type=Path, default=Path(".devcluster"), help="where pods' files and logs are kept")
    parser.add_argument("--node-ip", default="127.0.0.1", help="the node's address; the API server fetches logs there")
    parser.add_argument("--port", type=int, default=0, help="port for logs; 0 takes a free one")
    parser.add_argument("--pod-cidr", type=_pod_cidr, help="range of pod addresses; default: the cluster gives one")
    parser.add_argument("--cpu", default=str(os.cpu_count() or 1), help="cores to offer")
    parser.add_argument("--memory", default=f"{_memory_kib()}Ki", help="memory to offer")
    parser.add_argument("--pods", default="110", help="how many pods may run here")
    parser.add_argument("--gpus", type=int, default=0, help=f"{GPU} to declare, whether or not there are any")
    parser.add_argument("--resource", action="append", default=[], metavar="NAME=AMOUNT", help="another resource")
    parser.add_argument("--label", action="append", default=[], metavar="KEY=VALUE", help="a label for the Node")
    parser.add_argument("--images", type=Path, help="YAML file: which command stands for an image")
    parser.add_argument("--restart-backoff", type=float, default=10.0, help="seconds before the second restart")
    parser.add_argument("--verbose", action="store_true", help="log more")
    options = parser.parse_args(argv)
    if options.kubeconfig is None:
        parser.error("expected --kubeconfig FILE, or KUBECONFIG in the environment")
    capacity = {"cpu": options.cpu, "memory": options.memory, "pods": options.pods}
    capacity["ephemeral-storage"] = f"{shutil.disk_usage(Path.cwd()).total // 1024}Ki"
    if options.gpus:
        capacity[GPU] = str(options.gpus)
    try:
        capacity |= _pairs(options.resource)
        for amount in capacity.values():
            quantity.parse(amount)
        labels = _pairs(options.label)
    except ValueError as error:
        parser.error(str(error))
    return Settings(
        kubeconfig=Path(options.kubeconfig),
        name=options.name,
        folder=options.dir.resolve(),
        address=options.node_ip,
        port=options.port,
        pod_cidr=options.pod_cidr,
        capacity=capacity,
        labels=labels,
        images=options.images,
        verbose=options.verbose,
        restart_backoff=options.restart_backoff,
    )


def _pod_cidr(word: str) -> str:
    try:
        return AddressPool(word).cidr
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"expected a range such as 10.244.7.0/24: {error}") from None


def _pairs(words: list[str]) -> dict[str, str]:
    pairs = {}
    for word in words:
        key, equals, value = word.partition("=")
        if not key or not equals:
            raise ValueError(f"expected NAME=VALUE, found {word!r}")
        pairs[key] = value
    return pairs


def _memory_kib() -> int:
    match = re.search(r"MemTotal:\s+(\d+) kB", Path("/proc/meminfo").read_text())
    return int(match.group(1)) if match else 1024 * 1024
