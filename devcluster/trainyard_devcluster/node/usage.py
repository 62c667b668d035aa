"""What containers and the machine use: processor time and memory, as the kernel counts them in /proc."""

import asyncio
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from trainyard_devcluster.events import timestamp, utc_now
from trainyard_devcluster.resources import Object

SAMPLE_SECONDS = 5.0
"""Between two looks, and so the time over which a rate is measured."""
_TICK_NANOSECONDS = 10**9 // os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True, slots=True)
class Used:
    """What a set of processes has used of the processor since they began, in nanoseconds, and uses of memory."""

    nanoseconds: int = 0
    memory: int = 0

    def __add__(self, other: "Used") -> "Used":
        return Used(self.nanoseconds + other.nanoseconds, self.memory + other.memory)


@dataclass(frozen=True, slots=True)
class Reading:
    """What was measured at a moment: `nanocores` is None where there is no earlier moment to compare with."""

    at: datetime
    nanocores: int | None
    memory: int

    def to_wire(self) -> Object:
        """As in the kubelet's Summary API."""
        cpu = {} if self.nanocores is None else {"cpu": {"time": timestamp(self.at), "usageNanoCores": self.nanocores}}
        return cpu | {"memory": {"time": timestamp(self.at), "workingSetBytes": self.memory}}


@dataclass(frozen=True, slots=True)
class RunningContainer:
    """A container that runs, by the leader of its session."""

    namespace: str
    pod: str
    uid: str
    name: str
    leader: int


def by_session(proc: Path = Path("/proc")) -> dict[int, Used]:
    """What the processes of each session use. A container is a session of its own."""
    found: dict[int, Used] = {}
    for session, used in _processes(proc):
        found[session] = found.get(session, Used()) + used
    return found


def _processes(proc: Path) -> Iterator[tuple[int, Used]]:
    for entry in proc.iterdir():
        if entry.name.isdigit():
            with suppress(OSError, ValueError, IndexError):
                yield parse_stat((entry / "stat").read_text())


def parse_stat(text: str) -> tuple[int, Used]:
    """The session of a process and what it uses, from /proc/PID/stat (proc_pid_stat(5)).

    What its ended children used is part of it, once it has waited for them.
    """
    fields = text.rpartition(")")[2].split()  # a name may have spaces and brackets
    ticks = sum(int(count) for count in fields[11:15])
    return int(fields[3]), Used(ticks * _TICK_NANOSECONDS, int(fields[21]) * _PAGE)


def of_machine(proc: Path = Path("/proc")) -> Used:
    """What the whole machine uses."""
    user, nice, system, _, _, irq, soft, *_ = (int(word) for word in (proc / "stat").read_text().split()[1:9])
    lines = (line.split() for line in (proc / "meminfo").read_text().splitlines())
    memory = {words[0].rstrip(":"): int(words[1]) * 1024 for words in lines}
    ticks = user + nice + system + irq + soft
    return Used(ticks * _TICK_NANOSECONDS, memory["MemTotal"] - memory["MemAvailable"])


@dataclass(slots=True)
class Meter:
    """Turns what was used since the beginning into rates. Keys are containers' leaders, and 0 for the machine."""

    clock: Callable[[], float] = time.monotonic
    now: Callable[[], datetime] = utc_now
    readings: dict[int, Reading] = field(default_factory=dict)
    _before: Mapping[int, Used] = field(default_factory=dict)
    _at: float = 0.0

    def take(self, used: Mapping[int, Used]) -> None:
        """Take a look at everything."""
        at, moment = self.clock(), self.now()
        passed = at - self._at
        self.readings = {
            key: Reading(moment, _rate(self._before.get(key), each, passed), each.memory) for key, each in used.items()
        }
        self._before, self._at = used, at


def _rate(before: Used | None, after: Used, seconds: float) -> int | None:
    if before is None or seconds <= 0:
        return None
    return max(0, int((after.nanoseconds - before.nanoseconds) / seconds))


class UsageSource:
    """Measures now and then, and tells it as the kubelet's Summary API does.

    Args:
        node: the node's name.
        running: The containers that run now.
    """

    def __init__(self, node: str, running: Callable[[], Iterable[RunningContainer]]) -> None:
        self._node = node
        self._running = running
        self._meter = Meter()

    async def run(self) -> None:
        """Measure until cancelled."""
        while True:
            sessions = await asyncio.to_thread(by_session)
            machine = await asyncio.to_thread(of_machine)
            leaders = {container.leader for container in self._running()}
            self._meter.take({0: machine} | {key: used for key, used in sessions.items() if key in leaders})
            await asyncio.sleep(SAMPLE_SECONDS)

    def summary(self) -> Object:
        """The answer of `/stats/summary`."""
        pods: dict[str, Object] = {}
        for container in self._running():
            reading = self._meter.readings.get(container.leader)
            if reading is None:
                continue
            reference = {"name": container.pod, "namespace": container.namespace, "uid": container.uid}
            pod = pods.setdefault(container.uid, {"podRef": reference, "containers": []})
            pod["containers"].append({"name": container.name} | reading.to_wire())
        machine = self._meter.readings.get(0)
        node: Object = {"nodeName": self._node} | (machine.to_wire() if machine else {})
        return {"node": node, "pods": list(pods.values())}
