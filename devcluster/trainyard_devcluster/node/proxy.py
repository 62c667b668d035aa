"""A TCP proxy: what kube-proxy's forwarding rules are to a real cluster."""

import asyncio
import logging
import socket
import struct
from collections.abc import Sequence
from typing import TypeAlias

log = logging.getLogger(__name__)

Address: TypeAlias = tuple[str, int]

CONNECT_SECONDS = 5.0
_LINGER_NOT = struct.pack("ii", 1, 0)


class _Half(asyncio.Protocol):
    """One side of a proxied connection. It hands on bytes, ends and aborts, and no faster than its peer takes them."""

    def __init__(self) -> None:
        self.transport: asyncio.Transport | None = None
        self._peer: _Half | None = None
        self._ended = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        transport.pause_reading()  # until there is a peer to hand it on to
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        if to := self._to():
            to.write(data)

    def eof_received(self) -> bool:
        self._ended = True
        if to := self._to():
            to.write_eof()
        if self._peer and self._peer._ended:
            self.close()
        return True  # the other direction stays open

    def pause_writing(self) -> None:
        if to := self._to():
            to.pause_reading()

    def resume_writing(self) -> None:
        if to := self._to():
            to.resume_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        self.transport = None
        if to := self._to():
            _reset(to) if exc else to.close()

    def join(self, peer: "_Half") -> None:
        """Connect the two sides."""
        self._peer, peer._peer = peer, self
        for half in (self, peer):
            if half.transport:
                half.transport.resume_reading()

    def close(self) -> None:
        """End the connection once everything is written."""
        for half in (self, self._peer):
            if half and half.transport:
                half.transport.close()

    def _to(self) -> asyncio.Transport | None:
        return self._peer.transport if self._peer else None


def _reset(transport: asyncio.Transport) -> None:
    """End a connection so that the other side notices it as broken, not as finished."""
    sock = transport.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NOT)
    transport.abort()


class _Client(_Half):
    def __init__(self, proxy: "Proxy") -> None:
        super().__init__()
        self._proxy = proxy

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._proxy.accept(self)


class Proxy:
    """Listens on one address and hands each new connection to one of its backends in turn.

    A connection stays with its backend until one of the two ends it, also when the backend is taken off the list:
    so a pod that is shutting down can finish what it has begun, while every new connection goes elsewhere.
    """

    def __init__(self, listen: Address) -> None:
        self.listen = listen
        self._backends: tuple[Address, ...] = ()
        self._turn = 0
        self._server: asyncio.Server | None = None
        self._joining: set[asyncio.Task[None]] = set()
        self._reset_lock = asyncio.Lock()

    async def set_backends(self, backends: Sequence[Address]) -> None:
        """Use these backends for new connections. With none the port is closed, so that clients are refused.

        OSError where the address cannot be listened on.
        """
        async with self._reset_lock:
            self._backends = tuple(backends)
            if self._backends and self._server is None:
                loop = asyncio.get_running_loop()
                self._server = await loop.create_server(lambda: _Client(self), *self.listen, backlog=1024)
            elif not self._backends:
                self._close_port()

    async def close(self) -> None:
        """Stop listening and drop what is open."""
        self._backends = ()
        self._close_port()
        for task in self._joining:
            task.cancel()

    def accept(self, client: _Half) -> None:
        """Find a backend for a new connection."""
        task = asyncio.get_running_loop().create_task(self._join(client))
        self._joining.add(task)
        task.add_done_callback(self._joining.discard)

    def _close_port(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None

    async def _join(self, client: _Half) -> None:
        try:
            backend = await self._connect()
        except asyncio.CancelledError:
            backend = None
        if backend is not None and client.transport:
            client.join(backend)
            return
        for half in (client, backend):  # nobody to talk to: nobody listens, or the client left meanwhile
            if half and half.transport:
                _reset(half.transport)

    async def _connect(self) -> _Half | None:
        loop = asyncio.get_running_loop()
        for address in self._in_turn():
            try:
                async with asyncio.timeout(CONNECT_SECONDS):
                    _, backend = await loop.create_connection(_Half, *address)
            except (OSError, TimeoutError) as error:
                log.debug("%s:%d: backend %s:%d: %s", *self.listen, *address, error)
            else:
                return backend
        return None

    def _in_turn(self) -> Sequence[Address]:
        backends = self._backends
        if not backends:
            return ()
        first = self._turn % len(backends)
        self._turn += 1
        return backends[first:] + backends[:first]
