"""What workers that train together say to each other beside the gradients: little, over TCP, by way of the chief.

Each worker has one connection to the chief. All say the same things at the same points of the program, so no message
says what it is about; signs of life go between them. They tell within seconds of a worker that died or hangs, also
while this process waits inside TensorFlow, where no signal and no exception would reach it.
"""

import json
import socket
import threading
from collections.abc import Callable, Mapping
from typing import Protocol, TypeVar

from trainyard_trainer.errors import PeerLost
from trainyard_trainer.workers.connection import CONTENT, FAREWELL, LOST, Connection

T = TypeVar("T")

BEAT_SECONDS = 1.0
SILENT_BEATS = 10
"""A worker that gave no sign of life for so many beats is lost."""
GRACE_SECONDS = 3.0
"""Time the program has to notice a loss by itself, before it is ended from a thread."""


class WorkerGroup(Protocol):
    """The workers of one training, with this one among them; number 0 is the chief."""

    index: int
    count: int

    def ready(self) -> None:
        """Say that this process is about to start TensorFlow's servers, and wait until all are.

        Raises:
            PeerLost: one of them is gone.
        """
        ...

    def gather(self, value: T) -> list[T]:
        """Return the values of all workers (JSON), by their numbers: the same list for all.

        Raises:
            PeerLost: one of them is gone.
        """
        ...

    def share(self, content: bytes) -> bytes:
        """Return the chief's content; what the others hand in does not count.

        Raises:
            PeerLost: one of them is gone.
        """
        ...

    def loss(self, *, within: float) -> PeerLost | None:
        """Return who has been lost, and wait for that news at most so many seconds."""
        ...

    def leave(self, reason: str = "") -> None:
        """Say goodbye; a reason tells the others that there is no going on without this worker."""
        ...


class SingleWorker:
    """A worker without others."""

    def __init__(self) -> None:
        self.index, self.count = 0, 1

    def ready(self) -> None:
        """Do nothing: there is nobody to wait for."""

    def gather(self, value: T) -> list[T]:
        """Return the one value."""
        return [value]

    def share(self, content: bytes) -> bytes:
        """Return the content."""
        return content

    def loss(self, *, within: float) -> PeerLost | None:
        """Return nothing: there is nobody to lose."""
        return None

    def leave(self, reason: str = "") -> None:
        """Do nothing."""


SINGLE_WORKER = SingleWorker()
"""The group of a worker without others."""


class ConnectedGroup:
    """Workers that are connected: the chief is connected to each other one, those to the chief.

    `abandon` is called from a thread when one of them was lost and this one has not left within the grace time.
    """

    def __init__(
        self,
        sockets: Mapping[int, socket.socket],
        *,
        index: int,
        count: int,
        abandon: Callable[[PeerLost], None],
        beat_seconds: float = BEAT_SECONDS,
    ) -> None:
        self.index, self.count = index, count
        self._abandon, self._beat_seconds = abandon, beat_seconds
        self._loss: PeerLost | None = None
        self._losing = threading.Lock()
        self._left, self._known = threading.Event(), threading.Event()
        self._connections: dict[int, Connection] = {}
        for number, sock in sorted(sockets.items()):
            self._connections[number] = self._connect(number, sock)
        threading.Thread(target=self._keep_alive, name="group", daemon=True).start()

    def ready(self) -> None:
        self.gather("ready")

    def gather(self, value: T) -> list[T]:
        if self.index:
            self._connections[0].send(CONTENT, json.dumps(value).encode())
            return list(json.loads(self._take(0)))
        values = [value, *(json.loads(self._take(number)) for number in self._connections)]
        self.share(json.dumps(values).encode())
        return values

    def share(self, content: bytes) -> bytes:
        if self.index:
            return self._take(0)
        for connection in self._connections.values():
            connection.send(CONTENT, content)
        return content

    def loss(self, *, within: float) -> PeerLost | None:
        self._known.wait(within)
        return self._loss

    def leave(self, reason: str = "") -> None:
        self._left.set()
        for connection in list(self._connections.values()):
            connection.send(FAREWELL, reason.encode())

    def _connect(self, number: int, sock: socket.socket) -> Connection:
        return Connection(sock, f"worker {number}", self._lose)

    def _take(self, sender: int) -> bytes:
        content = self._connections[sender].take()
        if content is None:
            raise self._loss or PeerLost(f"worker {sender} has left before the end")
        return content

    def _lose(self, what: str) -> None:
        with self._losing:
            if self._loss is not None or self._left.is_set():
                return
            self._loss = PeerLost(f"{what}. The training can go on from its last checkpoint with all workers anew")
        for connection in list(self._connections.values()):
            connection.send(LOST, what.encode())
            connection.close_inbox()
        self._known.set()

    def _keep_alive(self) -> None:
        while not self._known.wait(self._beat_seconds):
            if self._left.is_set():
                return
            for connection in list(self._connections.values()):
                connection.beat(SILENT_BEATS)
        if self._loss is not None and not self._left.wait(GRACE_SECONDS * self._beat_seconds):
            self._abandon(self._loss)
