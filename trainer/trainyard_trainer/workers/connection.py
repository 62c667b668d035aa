"""A connection between two workers: messages with a kind and a length, and whether the other one is still there."""

import contextlib
import queue
import socket
import struct
import threading
from collections.abc import Callable

HELLO, WELCOME, REFUSED = b"h", b"w", b"r"
BEAT, CONTENT, STOP, LOST, FAREWELL = b".", b"c", b"s", b"l", b"f"
MOST_BYTES_OF_A_STRANGER = 1 << 16
_HEADER = struct.Struct(">cQ")
_SEND_SECONDS = 10


def send(sock: socket.socket, kind: bytes, content: bytes = b"") -> None:
    """Send one message.

    Raises:
        OSError: the other side is gone, or does not take it within some seconds.
    """
    sock.sendall(_HEADER.pack(kind, len(content)))
    sock.sendall(content)


def receive(
    sock: socket.socket, most: int | None = None, *, alive: Callable[[], None] = lambda: None
) -> tuple[bytes, bytes]:
    """Wait for one message; returns its kind and content. `alive` is called with every part of it.

    Raises:
        OSError: the other side is gone, or sends something longer than `most` bytes.
    """
    kind, length = _HEADER.unpack(_read(sock, _HEADER.size, alive))
    if most is not None and length > most:
        raise ConnectionError("what came is not a message of a worker")
    return kind, _read(sock, length, alive)


def _read(sock: socket.socket, length: int, alive: Callable[[], None]) -> bytes:
    content = bytearray(length)
    view = memoryview(content)
    while view:
        count = sock.recv_into(view, min(len(view), 1 << 20))
        if not count:
            raise ConnectionError("the connection was closed")
        alive()
        view = view[count:]
    return bytes(content)


class Connection:
    """One end of a connection that is listened to by a thread.

    `lost` is told once, in words, that the other side or one that it knows of is gone; not after a farewell without a
    reason. `asked` is called when the other side asks to stop.
    """

    def __init__(
        self,
        sock: socket.socket,
        name: str,
        lost: Callable[[str], None],
        *,
        asked: Callable[[], None] = lambda: None,
    ) -> None:
        self._socket, self._name, self._lost, self._asked = sock, name, lost, asked
        self._inbox: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._sending = threading.Lock()
        self._silent_beats = 0
        self.parted = False
        """Whether the other side is known to be gone, or to go."""
        sock.settimeout(None)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        # Without this, writing to a process that hangs would hang too as soon as the buffers are full.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("ll", _SEND_SECONDS, 0))
        threading.Thread(target=self._listen, name=f"link to {name}", daemon=True).start()

    def send(self, kind: bytes, content: bytes = b"") -> None:
        """Send a message; of a connection that is broken the listening thread tells."""
        with self._sending, contextlib.suppress(OSError):
            send(self._socket, kind, content)

    def beat(self, most_silent: int) -> None:
        """Give a sign of life, and count how often none has come; that often, and the other side is lost.

        Beats are counted, not seconds, because a process that was stopped itself would find everyone else silent.
        """
        if self.parted:
            return
        if self._sending.acquire(blocking=False):
            with contextlib.suppress(OSError):
                send(self._socket, BEAT)
            self._sending.release()
        self._silent_beats += 1
        if self._silent_beats > most_silent:
            self._lost(f"{self._name} has given no sign of life for {most_silent} s: it hangs, or its node or network")

    def take(self) -> bytes | None:
        """Wait for the next content; nothing where there will be none any more."""
        return self._inbox.get()

    def close_inbox(self) -> None:
        """Have whoever waits for content stop waiting."""
        self._inbox.put(None)

    def _heard(self) -> None:
        self._silent_beats = 0

    def _listen(self) -> None:
        with self._socket:
            while not self.parted:
                try:
                    kind, content = receive(self._socket, alive=self._heard)
                except OSError:
                    kind, content = LOST, f"{self._name} is gone without a word: it was killed, or has crashed".encode()
                if kind == CONTENT:
                    self._inbox.put(content)
                elif kind == STOP:
                    self._asked()
                elif kind in (LOST, FAREWELL):
                    self.parted = True
                    self._inbox.put(None)
                    if kind == LOST:
                        self._lost(content.decode())
                    elif content:
                        self._lost(f"{self._name} has ended: {content.decode()}")
