"""A chief, workers and a parameter server lose each other: in threads, without TensorFlow."""

import socket
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager
from functools import partial
from threading import Event
from typing import Any

import pytest

from trainyard_trainer.errors import PeerLost
from trainyard_trainer.workers.cluster import Cluster
from trainyard_trainer.workers.connection import Connection
from trainyard_trainer.workers.group import WorkerGroup
from trainyard_trainer.workers.parameter_server import ChiefGroup, FollowerGroup
from trainyard_trainer.workers.rendezvous import Invitation, join_group

CHIEF, WORKER, SERVER = 0, 1, 3


class Party:
    """A chief, workers 0 and 1, and a parameter server, that have met."""

    def __init__(self, pool: ThreadPoolExecutor) -> None:
        self._pool = pool
        self.asked, self.missed = Event(), Event()
        self.said: list[str] = []
        probes = [socket.create_server(("127.0.0.1", 0)) for _ in range(4)]
        addresses = tuple(("127.0.0.1", int(probe.getsockname()[1])) for probe in probes)
        for probe in probes:
            probe.close()
        met = [pool.submit(self._join, Cluster(addresses, index, servers=1)) for index in range(4)]
        self.group = [each.result(timeout=20) for each in met]

    def serving(self) -> "list[Future[None]]":
        """Have all others serve, and return what they wait for once the chief knows that they are up."""
        waiting = [self._pool.submit(each.serve) for each in self.group if isinstance(each, FollowerGroup)]
        self.group[CHIEF].ready()
        return waiting

    def lost(self, number: int) -> str:
        loss = self.group[number].loss(within=20)
        assert loss is not None
        return str(loss)

    def kill(self, number: int) -> None:
        """Do what the kernel does to the connections of a killed process."""
        self._connect(number)._socket.shutdown(socket.SHUT_RDWR)

    def frozen(self, number: int) -> AbstractContextManager[Any]:
        """Have a process give no sign of life while inside."""
        return self._connect(number)._sending

    def _connect(self, number: int) -> Connection:
        group = self.group[number]
        assert isinstance(group, FollowerGroup)
        return group._connections[CHIEF]

    def _join(self, cluster: Cluster) -> WorkerGroup:
        settings: dict[str, Any] = {"cluster": cluster, "abandon": lambda loss: None, "beat_seconds": 0.05}
        join = (
            partial(ChiefGroup, asked=self.asked.set, missed=self._miss, **settings)
            if cluster.is_chief
            else partial(FollowerGroup, **settings)
        )
        return join_group(cluster, Invitation({}), seconds=20, abandon=lambda loss: None, join=join).group

    def _miss(self, what: str) -> None:
        self.said.append(what)
        self.missed.set()


@pytest.fixture
def party() -> Iterator[Party]:
    with ThreadPoolExecutor(8) as pool:
        party = Party(pool)
        yield party
        for each in party.group:
            each.leave()


def test_all_serve_until_the_chief_says_that_it_is_over(party: Party) -> None:
    waiting = party.serving()
    assert party.group[CHIEF].gather("mine") == ["mine"], "the others have no say"

    party.group[CHIEF].leave()

    for each in waiting:
        each.result(timeout=20)


def test_a_chief_that_ends_without_a_model_is_a_loss_to_all(party: Party) -> None:
    waiting = party.serving()

    party.group[CHIEF].leave("BadInput: no such column")

    for each in waiting:
        with pytest.raises(PeerLost, match="the chief has ended: BadInput: no such column"):
            each.result(timeout=20)


def test_a_worker_that_dies_is_missed_and_the_last_one_is_a_loss(party: Party) -> None:
    party.serving()

    party.kill(WORKER)

    assert party.missed.wait(20)
    assert party.group[CHIEF].loss(within=1) is None, "20 beats, and nobody else is missed"
    party.kill(WORKER + 1)
    assert party.lost(CHIEF).startswith("worker 1 is gone without a word")
    assert party.lost(SERVER).startswith("worker 1 is gone without a word")
    assert [each[:16] for each in party.said] == ["worker 0 is gone"]


def test_a_parameter_server_that_dies_is_a_loss_to_all_who_miss_nobody_else(party: Party) -> None:
    waiting = party.serving()

    party.kill(SERVER)

    for number in (CHIEF, WORKER, WORKER + 1):
        assert party.lost(number).startswith("parameter server 0 is gone without a word")
    for each in waiting[:2]:
        with pytest.raises(PeerLost, match="parameter server 0"):
            each.result(timeout=20)
    assert party.said == []


def test_a_worker_that_dies_before_all_are_up_is_a_loss(party: Party) -> None:
    party.kill(WORKER)

    assert party.lost(CHIEF).startswith("worker 0 is gone without a word")


def test_a_worker_that_hangs_is_a_loss_because_its_steps_cannot_be_taken_from_it(party: Party) -> None:
    party.serving()

    with party.frozen(WORKER):
        assert party.lost(CHIEF).startswith("worker 0 has given no sign of life")


HELD = """
import ctypes, socket, time
from trainyard_trainer.workers.cluster import Cluster
from trainyard_trainer.workers.connection import CONTENT, send
from trainyard_trainer.workers.parameter_server import ChiefGroup

with socket.create_server(("127.0.0.1", 0)) as server:
    theirs = socket.create_connection(server.getsockname())
    ours = server.accept()[0]
chief = ChiefGroup(
    {1: ours},
    cluster=Cluster((("a", 1), ("b", 2)), 0, servers=1),
    asked=print, missed=print, abandon=print, beat_seconds=0.02, held_seconds=0.2,
)
send(theirs, CONTENT)
chief.ready()
time.sleep(0.1)
ctypes.PyDLL(None).sleep(60)  # with Python's lock held, as TensorFlow does when it waits for a process that hangs
"""


def test_a_chief_that_tensorflow_lets_run_no_python_ends_all_the_same() -> None:
    held = subprocess.run([sys.executable, "-c", HELD], capture_output=True, text=True, timeout=50, check=False)

    assert held.returncode == 1
    assert "Timeout (0:00:00" in held.stderr


def test_whoever_is_asked_to_stop_asks_the_chief(party: Party) -> None:
    party.serving()
    server = party.group[SERVER]
    assert isinstance(server, FollowerGroup)

    server.ask_to_stop()

    assert party.asked.wait(20)
