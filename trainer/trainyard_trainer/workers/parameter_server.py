"""Who trains with parameter servers: a chief that decides alone, and processes that do what TensorFlow tells them.

The chief reads, validates, saves and exports as if it were the only one. The others run TensorFlow's servers until it
says that it is over.
"""

import faulthandler
import functools
import socket
import threading
from collections.abc import Callable, Mapping
from typing import TypeVar

from trainyard_trainer.errors import PeerLost
from trainyard_trainer.workers.cluster import Cluster
from trainyard_trainer.workers.connection import CONTENT, STOP, Connection
from trainyard_trainer.workers.group import BEAT_SECONDS, ConnectedGroup

T = TypeVar("T")

HELD_SECONDS = 30
"""TensorFlow keeps Python from running for a fraction of a second, where nothing is wrong."""


class ChiefGroup(ConnectedGroup):
    """The others, as the chief sees them.

    A worker that is gone is no loss as long as another one is there, because TensorFlow gives its steps to that one.
    One that hangs is: TensorFlow would wait for it for ever. So is a parameter server, with the weights it had.

    `asked` is called when one of them was asked to stop, and `missed` is told which worker is gone.
    """

    def __init__(
        self,
        sockets: Mapping[int, socket.socket],
        *,
        cluster: Cluster,
        asked: Callable[[], None],
        missed: Callable[[str], None],
        abandon: Callable[[PeerLost], None],
        beat_seconds: float = BEAT_SECONDS,
        held_seconds: float = HELD_SECONDS,
    ) -> None:
        self._cluster, self._asked, self._missed, self._held_seconds = cluster, asked, missed, held_seconds
        self._workers = set(cluster.workers)
        self._are_up = False
        super().__init__(sockets, index=0, count=1, abandon=abandon, beat_seconds=beat_seconds)

    def ready(self) -> None:
        """Wait until the servers of all are up."""
        for number in self._connections:
            self._take(number)
        self._are_up = True
        threading.Thread(target=self._watch, name="watch", daemon=True).start()

    def gather(self, value: T) -> list[T]:
        """Return the one value: nobody else has a say."""
        return [value]

    def share(self, content: bytes) -> bytes:
        """Return the content: nobody else needs it."""
        return content

    def leave(self, reason: str = "") -> None:
        """Say that it is over, or why there is no going on."""
        if not reason:
            for connection in list(self._connections.values()):
                connection.send(CONTENT)
        super().leave(reason)

    def _watch(self) -> None:
        """End the process where TensorFlow lets no Python run any more, as when a worker hangs that it waits for."""
        while not self._left.wait(self._beat_seconds):
            faulthandler.dump_traceback_later(self._held_seconds, exit=True, file=2)
        faulthandler.cancel_dump_traceback_later()

    def _connect(self, number: int, sock: socket.socket) -> Connection:
        gone = functools.partial(self._gone, number)
        return Connection(sock, self._cluster.name(number), gone, asked=self._asked)

    def _gone(self, number: int, what: str) -> None:
        self._workers.discard(number)
        can_go_on = number in self._cluster.workers and self._workers and self._are_up
        if not can_go_on or not self._connections[number].parted:
            self._lose(what)
        elif self._loss is None and not self._left.is_set():  # or it only ends because the training does
            self._missed(what)


class FollowerGroup(ConnectedGroup):
    """The chief, as a worker or a parameter server sees it."""

    def __init__(
        self,
        sockets: Mapping[int, socket.socket],
        *,
        cluster: Cluster,
        abandon: Callable[[PeerLost], None],
        beat_seconds: float = BEAT_SECONDS,
    ) -> None:
        self._cluster = cluster
        super().__init__(sockets, index=cluster.index, count=cluster.count, abandon=abandon, beat_seconds=beat_seconds)

    def serve(self) -> None:
        """Tell the chief that TensorFlow's server is up, and wait until it says that it is over.

        Raises:
            PeerLost: it is gone, or has ended before.
        """
        self._connections[0].send(CONTENT)
        self._take(0)

    def ask_to_stop(self) -> None:
        """Ask the chief to save and to end the training: without it nothing can be saved."""
        self._connections[0].send(STOP)

    def _connect(self, number: int, sock: socket.socket) -> Connection:
        return Connection(sock, self._cluster.name(number), self._lose)
