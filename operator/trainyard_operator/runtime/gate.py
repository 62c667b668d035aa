"""Who may keep a connection to the operator's port: those who ask something, and not too many at a time.

An HTTP server of aiohttp waits for a request for as long as the other side likes. A thousand connections that say
nothing would keep the kubelet's probes out, and the operator would be restarted.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Callable

_END_OF_HEADER = b"\r\n\r\n"


class Gate:
    """A factory of protocols, in front of another.

    Args:
        factory: Makes the protocol that talks.
        most: Connections at a time; one more takes the place of the one that has said nothing for longest.
        seconds: How long the header of a request may take.
    """

    def __init__(self, factory: Callable[[], asyncio.Protocol], *, most: int, seconds: float) -> None:
        self._factory = factory
        self._most = most
        self._seconds = seconds
        self._open: OrderedDict[_Guarded, None] = OrderedDict()

    def __len__(self) -> int:
        return len(self._open)

    def __call__(self) -> asyncio.Protocol:
        """Return the protocol of a new connection."""
        return _Guarded(self, self._factory(), self._seconds)

    def enter(self, connection: "_Guarded") -> None:
        """Let a connection in."""
        while len(self._open) >= self._most:
            oldest, _ = self._open.popitem(last=False)
            oldest.abort()
        self._open[connection] = None

    def asked(self, connection: "_Guarded") -> None:
        """A connection has asked something."""
        if connection in self._open:
            self._open.move_to_end(connection)

    def leave(self, connection: "_Guarded") -> None:
        """A connection is over."""
        self._open.pop(connection, None)


class _Guarded(asyncio.Protocol):
    """Hands everything on, and ends the connection where a header takes too long."""

    def __init__(self, gate: Gate, inner: asyncio.Protocol, seconds: float) -> None:
        self._gate = gate
        self._inner = inner
        self._seconds = seconds
        self._transport: asyncio.BaseTransport | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._tail = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self._inner.connection_made(transport)
        self._gate.enter(self)
        self._wait()

    def data_received(self, data: bytes) -> None:
        if self._timer is None:
            self._wait()
        if _END_OF_HEADER in self._tail + data:
            self._stop()
            self._tail = b""
            self._gate.asked(self)
        else:
            self._tail = (self._tail + data)[-len(_END_OF_HEADER) :]
        self._inner.data_received(data)

    def eof_received(self) -> bool | None:
        return self._inner.eof_received()

    def pause_writing(self) -> None:
        self._inner.pause_writing()

    def resume_writing(self) -> None:
        self._inner.resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop()
        self._gate.leave(self)
        self._inner.connection_lost(exc)

    def abort(self) -> None:
        """End the connection at once."""
        if isinstance(self._transport, asyncio.WriteTransport):
            self._transport.abort()

    def _wait(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(self._seconds, self.abort)

    def _stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
