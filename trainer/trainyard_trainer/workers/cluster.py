"""Which processes train together: what TF_CONFIG says, as TensorFlow defines it.

https://www.tensorflow.org/api_docs/python/tf/distribute/cluster_resolver/TFConfigClusterResolver
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from trainyard_api import names
from trainyard_api.program import ModelProgram
from trainyard_api.trainingjob import TrainingJobSpec
from trainyard_trainer.errors import BadInput, listed, one_line
from trainyard_trainer.execution import FLOAT16
from trainyard_trainer.tree_settings import grows_trees

_EXAMPLE = '{"cluster": {"worker": ["host-a:2222", "host-b:2222"]}, "task": {"type": "worker", "index": 0}}'
_OTHER_TASKS = (
    "TF_CONFIG has tasks of type {0}, which this trainer does not run: the chief itself validates after each epoch; "
    "list the processes under cluster.chief, cluster.worker and cluster.ps only"
)

Address: TypeAlias = tuple[str, int]


@dataclass(frozen=True, slots=True)
class Cluster:
    """The processes that train one model together, in the order of their numbers, and which of them this one is.

    Number 0 is the chief: it decides, saves, reports and exports. A process alone is its own chief. Where there are
    parameter servers, they are the last `servers` of all, and those between them and the chief are the workers.
    """

    addresses: tuple[Address, ...] = ()
    index: int = 0
    servers: int = 0

    @property
    def count(self) -> int:
        """How many there are."""
        return max(1, len(self.addresses))

    @property
    def is_chief(self) -> bool:
        """Whether this process is the one that decides."""
        return self.index == 0

    @property
    def is_asynchronous(self) -> bool:
        """Whether parameter servers hold the weights, and workers train without waiting for each other."""
        return self.servers > 0

    @property
    def workers(self) -> range:
        """The numbers of those that train."""
        return range(1 if self.servers else 0, self.count - self.servers)

    def name(self, number: int) -> str:
        """Return what a process is called."""
        if not self.servers:
            return f"worker {number}"
        job, index = task(number, self.count, self.servers)
        return {"chief": "the chief", "worker": f"worker {index}", "ps": f"parameter server {index}"}[job]


def read_cluster(env: Mapping[str, str]) -> Cluster:
    """Return the cluster that TF_CONFIG describes; without one, or with one worker, this process is alone.

    A `chief` is taken as the first worker, as in TensorFlow; with parameter servers it trains nothing itself.

    Raises:
        BadInput: it is not what TensorFlow defines, or has tasks other than these.
    """
    text = env.get(names.TF_CONFIG_ENV, "").strip()
    if not text:
        return Cluster()
    document = _parse(text)
    groups, own = document.get("cluster"), document.get("task")
    if not isinstance(groups, dict) or not isinstance(own, dict):
        raise BadInput(f"TF_CONFIG needs the objects cluster and task, as in {_EXAMPLE}")
    if others := sorted(name for name in groups if name not in ("chief", "worker", "ps")):
        raise BadInput(_OTHER_TASKS.format(listed(others)))
    chiefs, workers, servers = (_addresses(groups, name) for name in ("chief", "worker", "ps"))
    if len(chiefs) > 1:
        raise BadInput(f"TF_CONFIG cluster.chief lists {len(chiefs)} processes, expected one; list the rest as workers")
    if servers and not (chiefs and workers):
        raise BadInput(
            f"TF_CONFIG lists {len(servers)} parameter servers, {len(chiefs)} chiefs and {len(workers)} workers: with "
            "parameter servers the chief hands out the work and the workers do it; list one under cluster.chief, and "
            "at least one under cluster.worker"
        )
    addresses = (*chiefs, *workers, *servers)
    if len(set(addresses)) < len(addresses):
        twice = next(address for address in addresses if addresses.count(address) > 1)
        raise BadInput(f"TF_CONFIG lists {shown(twice)} twice: every process needs an address of its own")
    index = _index(own, chiefs=len(chiefs), workers=len(workers), servers=len(servers))
    return Cluster(addresses, index, len(servers)) if len(addresses) > 1 else Cluster()


def cluster_for(spec: TrainingJobSpec, program: ModelProgram, env: Mapping[str, str]) -> Cluster:
    """Return the cluster that TF_CONFIG describes, where several workers can train what the spec says.

    Raises:
        BadInput: they cannot, or TF_CONFIG is wrong.
    """
    cluster = read_cluster(env)
    if cluster.count == 1:
        return cluster
    if spec.tuning is not None:
        raise BadInput("a search for settings runs its trials on one worker: take TF_CONFIG away, or spec.tuning")
    if spec.privacy is not None:
        raise BadInput("a private training draws its rows for one device: take TF_CONFIG away, or spec.privacy")
    if grows_trees(program):
        raise BadInput(
            f"family {program.family} is trained by one worker, on all of its CPU cores: take TF_CONFIG away, or set "
            "spec.roles.worker.replicas to 1"
        )
    size = spec.fit.batch_size
    if cluster.is_asynchronous:
        if spec.fit.precision == FLOAT16:
            raise BadInput(
                f"fit.precision is {FLOAT16}, whose scale of the loss workers with parameter servers cannot share: use "
                "Auto or float32"
            )
    elif isinstance(size, int) and size < cluster.count:
        raise BadInput(
            f"fit.batchSize is {size}, less than a row for each of {cluster.count} workers: it counts the rows of all "
            "of them together; make it larger, or use fewer workers"
        )
    return cluster


def task(number: int, count: int, servers: int) -> tuple[str, int]:
    """Return what TensorFlow calls a process of a training with parameter servers: its job, and its index there."""
    if not number:
        return "chief", 0
    first = count - servers
    return ("worker", number - 1) if number < first else ("ps", number - first)


def jobs(addresses: Sequence[str], servers: int) -> dict[str, list[str]]:
    """Return TensorFlow's description of a training with parameter servers, of the addresses of all."""
    found: dict[str, list[str]] = {}
    for number, address in enumerate(addresses):
        found.setdefault(task(number, len(addresses), servers)[0], []).append(address)
    return found


def shown(address: Address) -> str:
    """Return an address as text, an IPv6 one in brackets."""
    host, port = address
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _parse(text: str) -> Mapping[str, object]:
    try:
        document = json.loads(text)
    except ValueError as error:
        raise BadInput(f"TF_CONFIG is not JSON ({one_line(error)}); expected for example {_EXAMPLE}") from error
    if not isinstance(document, dict):
        raise BadInput(f"TF_CONFIG is not a JSON object; expected for example {_EXAMPLE}")
    return document


def _addresses(groups: Mapping[str, object], name: str) -> tuple[Address, ...]:
    entries = groups.get(name, [])
    if not isinstance(entries, list):
        raise BadInput(f"TF_CONFIG cluster.{name} must be a list of host:port, got {json.dumps(entries)[:100]}")
    return tuple(_address(entry, name) for entry in entries)


def _address(entry: object, name: str) -> Address:
    host, _, port = str(entry).rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not host or not port.isascii() or not port.isdecimal() or not 0 < int(port) < 65536:
        raise BadInput(f"TF_CONFIG cluster.{name} has {entry!r}, expected host:port, for example host-a:2222")
    return host, int(port)


def _index(own: Mapping[str, object], *, chiefs: int, workers: int, servers: int) -> int:
    kind, index = own.get("type"), own.get("index")
    counts = {"chief": chiefs, "worker": workers} | ({"ps": servers} if servers else {})
    if kind not in counts:
        expected = "worker, chief or ps" if servers else "worker or chief"
        raise BadInput(f"TF_CONFIG task.type is {kind!r}, expected {expected}: this trainer runs no other tasks")
    if not isinstance(index, int) or isinstance(index, bool) or not 0 <= index < counts[kind]:
        have = f"0 to {counts[kind] - 1}" if counts[kind] else f"nothing, because cluster.{kind} lists no process"
        raise BadInput(f"TF_CONFIG task.index is {index!r}, expected {have} for type {kind}")
    return index + {"chief": 0, "worker": chiefs, "ps": chiefs + workers}[str(kind)]
