"""A small threaded HTTP/1.1 server: one thread per connection, kept alive, requests read whole.

The standard library's handler parses headers with its mail package, which takes longer than a small prediction.
"""

import contextlib
import errno
import logging
import socket
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from email.utils import formatdate
from http import HTTPStatus
from typing import Final

_log = logging.getLogger(__name__)

_MAX_HEAD: Final = 64 * 1024
_METHODS: Final = frozenset({"GET", "POST", "HEAD", "PUT", "DELETE", "OPTIONS", "PATCH"})


@dataclass(frozen=True, slots=True)
class Request:
    """A request: target is the path with its query, as Latin-1; header names are in lower case."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Response:
    """A response; the server adds Date and Content-Length."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes
    close: bool = False


Handler = Callable[[Request], Response]


class BadRequestError(Exception):
    """Something arrived that is no HTTP request; the connection ends after a 400 (or 413, 501)."""

    def __init__(self, status: int = 400) -> None:
        super().__init__(status)
        self.status = status


class HttpServer:
    """Listens from its construction on, answers from `start` on. Raises OSError where the port is taken."""

    def __init__(self, host: str, port: int, handler: Handler) -> None:
        self._handler = handler
        self._listener = _listen(host, port)
        self.port: int = self._listener.getsockname()[1]
        self._connections: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._stopping = False
        self._thread = threading.Thread(target=self._accept, name="http-accept", daemon=True)

    def start(self) -> None:
        """Accept connections in the background."""
        self._thread.start()

    def stop(self) -> None:
        """Close the port and every connection."""
        with self._lock:
            self._stopping = True
            sockets = [self._listener, *self._connections]
        for open_socket in sockets:
            _shut_down(open_socket)
        self._thread.join()

    def _accept(self) -> None:
        with self._listener:
            while not self._stopping:
                try:
                    connection, _ = self._listener.accept()
                except OSError as error:
                    if error.errno in (errno.EMFILE, errno.ENFILE, errno.ECONNABORTED):
                        _log.warning("Could not accept a connection: %s", error)
                        continue
                    return
                threading.Thread(target=self._serve, args=(connection,), name="http", daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with self._lock:
            if self._stopping:
                connection.close()
                return
            self._connections.add(connection)
        try:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            _Connection(connection, self._handler).run()
        except OSError:
            pass  # The client is gone.
        finally:
            with self._lock:
                self._connections.discard(connection)
            connection.close()


class _Connection:
    def __init__(self, connection: socket.socket, handler: Handler) -> None:
        self._socket = connection
        self._handler = handler
        self._buffer = b""

    def run(self) -> None:
        """Answer requests until one side wants no more."""
        keep = True
        while keep:
            try:
                read = self._request()
                if read is None:
                    return
                request, keep = read
            except BadRequestError as error:
                self._send(Response(error.status, (("Content-Type", "text/html"),), b"", close=True), "GET")
                return
            try:
                response = self._handler(request)
            except Exception:
                _log.exception("Request failed: %s %s", request.method, request.target)
                response = Response(500, (), b"", close=True)
            keep = keep and not response.close
            self._send(response, request.method, close=not keep)

    def _request(self) -> tuple[Request, bool] | None:
        """The next request and whether the connection stays; None where the client has closed."""
        head = self._head()
        if head is None:
            return None
        first, *lines = head.split("\r\n")
        words = first.split(" ")
        if len(words) != 3 or not words[2].startswith("HTTP/1.") or not words[1]:
            raise BadRequestError
        method, target, protocol = words
        if method not in _METHODS:
            raise BadRequestError(501)
        headers: dict[str, str] = {}
        for line in lines:
            name, colon, value = line.partition(":")
            if not colon or name != name.strip():
                raise BadRequestError
            headers[name.lower()] = value.strip()
        connection = headers.get("connection", "").lower()
        keep = "close" not in connection if protocol != "HTTP/1.0" else "keep-alive" in connection
        return Request(method, _origin_form(target), headers, self._body(headers)), keep

    def _head(self) -> str | None:
        searched = 0
        while (end := self._buffer.find(b"\r\n\r\n", searched)) < 0:
            searched = max(len(self._buffer) - 3, 0)
            if len(self._buffer) > _MAX_HEAD:
                raise BadRequestError(413)
            if not self._receive():
                return None
        head, self._buffer = self._buffer[:end], self._buffer[end + 4 :]
        return head.lstrip(b"\r\n").decode("latin-1")

    def _body(self, headers: Mapping[str, str]) -> bytes:
        if headers.get("expect", "").lower() == "100-continue":
            self._socket.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        if "transfer-encoding" in headers:
            if headers["transfer-encoding"].lower() != "chunked":
                raise BadRequestError(501)
            return self._chunks()
        length = headers.get("content-length", "0")
        if not (length.isascii() and length.isdecimal()):
            raise BadRequestError
        return self._exactly(int(length))

    def _chunks(self) -> bytes:
        chunks: list[bytes] = []
        while True:
            size_text = self._line().partition(b";")[0].strip()
            try:
                size = int(size_text, 16)
            except ValueError:
                raise BadRequestError from None
            if size < 0:
                raise BadRequestError
            if not size:
                while self._line():
                    pass  # Trailers say nothing here.
                return b"".join(chunks)
            chunks.append(self._exactly(size))
            if self._line():
                raise BadRequestError

    def _line(self) -> bytes:
        while (end := self._buffer.find(b"\r\n")) < 0:
            if len(self._buffer) > _MAX_HEAD or not self._receive():
                raise BadRequestError
        line, self._buffer = self._buffer[:end], self._buffer[end + 2 :]
        return line

    def _exactly(self, size: int) -> bytes:
        if size <= len(self._buffer):
            body, self._buffer = self._buffer[:size], self._buffer[size:]
            return body
        parts, missing = [self._buffer], size - len(self._buffer)
        self._buffer = b""
        while missing:
            part = self._socket.recv(min(missing, 1 << 20))
            if not part:
                raise BadRequestError
            parts.append(part)
            missing -= len(part)
        return b"".join(parts)

    def _receive(self) -> bool:
        part = self._socket.recv(1 << 16)
        self._buffer += part
        return bool(part)

    def _send(self, response: Response, method: str, *, close: bool = True) -> None:
        lines = [f"HTTP/1.1 {response.status} {_phrase(response.status)}"]
        lines += [f"{name}: {value}" for name, value in response.headers]
        lines += [f"Date: {formatdate(usegmt=True)}", f"Content-Length: {len(response.body)}"]
        if close:
            lines.append("Connection: close")
        head = "\r\n".join([*lines, "", ""]).encode("latin-1")
        self._socket.sendall(head if method == "HEAD" else head + response.body)


def _listen(host: str, port: int) -> socket.socket:
    """Listen on a host; `::` stands for all addresses of both families, or of IPv4 where there is no IPv6."""
    if host == "::":
        try:
            return socket.create_server((host, port), family=socket.AF_INET6, backlog=1024, dualstack_ipv6=True)
        except (OSError, ValueError) as error:
            if isinstance(error, OSError) and error.errno == errno.EADDRINUSE:
                raise
            host = "0.0.0.0"  # noqa: S104
    return socket.create_server((host, port), backlog=1024)


def _origin_form(target: str) -> str:
    """The path and query of a target that may be a whole URL, without its fragment's end lost."""
    if target.startswith("/"):
        return target
    _, found, rest = target.partition("://")
    slash = rest.find("/")
    return (rest[slash:] if slash >= 0 else "/") if found else target


def _shut_down(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):  # It may be closed already.
        connection.shutdown(socket.SHUT_RDWR)


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Client Closed Request" if status == 499 else "Unknown"
