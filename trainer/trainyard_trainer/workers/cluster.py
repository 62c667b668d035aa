"""Which processes train together: what TF_CONFIG says, as TensorFlow defines it.

https://www.tensorflow.org/api_docs/python/tf/distribute/cluster_resolver/TFConfigClusterResolver
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from trainyard_operator.api import names
from trainyard_operator.api.program import ModelProgram
from trainyard_operator.api.trainingjob import TrainingJobSpec
from trainyard_trainer.errors import BadInput, listed, one_line
from trainyard_trainer.trees.settings import grows_trees

_EXAMPLE = '{"cluster": {"worker": ["host-a:2222", "host-b:2222"]}, "task": {"type": "worker", "index": 0}}'
_NO_SERVERS = (
    "TF_CONFIG has tasks of type {0}, which this trainer does not run: workers here hold all weights and train in step "
    "(docs/distributed.md says why); list the processes under cluster.worker only"
)

Address: TypeAlias = tuple[str, int]


@dataclass(frozen=True, slots=True)
class Cluster:
    """The processes that train one model together, in the order of their numbers, and which of them this one is.

    Number 0 is the chief: it decides, saves, reports and exports. A process alone is its own chief.
    """

    addresses: tuple[Address, ...] = ()
    index: int = 0

    @property
    def count(self) -> int:
        """How many there are."""
        return max(1, len(self.addresses))

    @property
    def is_chief(self) -> bool:
        """Whether this process is the one that decides."""
        return self.index == 0


def read_cluster(env: Mapping[str, str]) -> Cluster:
    """Return the cluster that TF_CONFIG describes; without one, or with one worker, this process is alone.

    A `chief` is taken as the first worker, as in TensorFlow.

    Raises:
        BadInput: it is not what TensorFlow defines, or has tasks other than workers.
    """
    text = env.get(names.TF_CONFIG_ENV, "").strip()
    if not text:
        return Cluster()
    document = _parse(text)
    groups, task = document.get("cluster"), document.get("task")
    if not isinstance(groups, dict) or not isinstance(task, dict):
        raise BadInput(f"TF_CONFIG needs the objects cluster and task, as in {_EXAMPLE}")
    if others := sorted(name for name in groups if name not in ("chief", "worker")):
        raise BadInput(_NO_SERVERS.format(listed(others)))
    chiefs, workers = _addresses(groups, "chief"), _addresses(groups, "worker")
    if len(chiefs) > 1:
        raise BadInput(f"TF_CONFIG cluster.chief lists {len(chiefs)} processes, expected one; list the rest as workers")
    addresses = (*chiefs, *workers)
    if len(set(addresses)) < len(addresses):
        twice = next(each for each in addresses if addresses.count(each) > 1)
        raise BadInput(f"TF_CONFIG lists {shown(twice)} twice: every process needs an address of its own")
    index = _index(task, chiefs=len(chiefs), workers=len(workers))
    return Cluster(addresses, index) if len(addresses) > 1 else Cluster()


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
    if isinstance(size, int) and size < cluster.count:
        raise BadInput(
            f"fit.batchSize is {size}, less than a row for each of {cluster.count} workers: it counts the rows of all "
            "of them together; make it larger, or use fewer workers"
        )
    return cluster


def shown(address: Address) -> str:
    """Return an address as text, an IPv6 one in brackets."""
    host, port = address
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _parse(text: str) -> Mapping[str, Any]:
    try:
        document = json.loads(text)
    except ValueError as error:
        raise BadInput(f"TF_CONFIG is not JSON ({one_line(error)}); expected for example {_EXAMPLE}") from error
    if not isinstance(document, dict):
        raise BadInput(f"TF_CONFIG is not a JSON object; expected for example {_EXAMPLE}")
    return document


def _addresses(groups: Mapping[str, Any], name: str) -> tuple[Address, ...]:
    entries = groups.get(name, [])
    if not isinstance(entries, list):
        raise BadInput(f"TF_CONFIG cluster.{name} must be a list of host:port, got {json.dumps(entries)[:100]}")
    return tuple(_address(each, name) for each in entries)


def _address(entry: object, name: str) -> Address:
    host, _, port = str(entry).rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not host or not port.isascii() or not port.isdecimal() or not 0 < int(port) < 65536:
        raise BadInput(f"TF_CONFIG cluster.{name} has {entry!r}, expected host:port, for example host-a:2222")
    return host, int(port)


def _index(task: Mapping[str, Any], *, chiefs: int, workers: int) -> int:
    kind, index = task.get("type"), task.get("index")
    counts = {"chief": chiefs, "worker": workers}
    if kind not in counts:
        raise BadInput(f"TF_CONFIG task.type is {kind!r}, expected worker or chief: this trainer runs no other tasks")
    if not isinstance(index, int) or isinstance(index, bool) or not 0 <= index < counts[kind]:
        have = f"0 to {counts[kind] - 1}" if counts[kind] else f"nothing, because cluster.{kind} lists no process"
        raise BadInput(f"TF_CONFIG task.index is {index!r}, expected {have} for type {kind}")
    return index if kind == "chief" else chiefs + index
