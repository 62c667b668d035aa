"""HTTP over real sockets."""

import http.client
import socket
from collections.abc import Iterator

import pytest

from trainyard_modelserver.http_server import HttpServer, Request, Response


def echo(request: Request) -> Response:
    if request.target == "/fail":
        raise RuntimeError("no")
    headers = (("Content-Type", "text/plain"), ("X-Method", request.method), ("X-Target", request.target))
    return Response(200, headers, request.body, close=request.target == "/close")


@pytest.fixture
def server() -> Iterator[HttpServer]:
    server = HttpServer("127.0.0.1", 0, echo)
    server.start()
    yield server
    server.stop()


@pytest.fixture
def client(server: HttpServer) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as client:
        yield client


def read_all(client: socket.socket) -> bytes:
    data = b""
    while part := client.recv(1 << 16):
        data += part
    return data


def test_a_connection_is_kept_for_many_requests(server: HttpServer) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    for number in range(3):
        connection.request("POST", f"/{number}", b"x" * number * 100_000)
        response = connection.getresponse()
        assert (response.status, response.version, response.getheader("X-Target")) == (200, 11, f"/{number}")
        assert response.read() == b"x" * number * 100_000
    connection.close()


def test_requests_may_come_in_one_go_or_byte_by_byte(client: socket.socket) -> None:
    request = b"POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nhi"
    client.sendall(request * 2)
    for byte in request.replace(b"Host", b"Connection: close\r\nHost"):
        client.sendall(bytes((byte,)))
    assert read_all(client).count(b"\r\n\r\nhi") == 3


def test_a_body_may_come_in_chunks(client: socket.socket) -> None:
    client.sendall(
        b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
        b"3;x=y\r\nabc\r\nA\r\n0123456789\r\n0\r\nTrailer: x\r\n\r\n"
    )
    assert read_all(client).endswith(b"\r\n\r\nabc0123456789")


def test_a_client_that_asks_before_a_large_body_is_told_to_go_on(client: socket.socket) -> None:
    client.sendall(b"POST / HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 2\r\nConnection: close\r\n\r\n")
    assert client.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
    client.sendall(b"ok")
    assert read_all(client).endswith(b"\r\n\r\nok")


@pytest.mark.parametrize(
    ("request_head", "closes"),
    [
        (b"GET /close HTTP/1.1", True),
        (b"GET / HTTP/1.1\r\nConnection: close", True),
        (b"GET / HTTP/1.0", True),
        (b"GET / HTTP/1.0\r\nConnection: keep-alive\r\nX: 1", False),
    ],
)
def test_the_connection_ends_when_one_side_says_so(client: socket.socket, request_head: bytes, closes: bool) -> None:
    client.sendall(request_head + b"\r\n\r\n")
    if closes:
        assert b"\r\nConnection: close\r\n" in read_all(client)
    else:
        assert b"Connection: close" not in client.recv(1 << 16)
        client.sendall(b"GET /again HTTP/1.1\r\n\r\n")
        assert b"X-Target: /again" in client.recv(1 << 16)


def test_a_head_request_gets_the_length_and_no_body(client: socket.socket) -> None:
    client.sendall(b"HEAD / HTTP/1.1\r\nContent-Length: 3\r\nConnection: close\r\n\r\nabc")
    answer = read_all(client)
    assert b"Content-Length: 3\r\n" in answer
    assert answer.endswith(b"\r\n\r\n")


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (b"hello\r\n\r\n", b"400"),
        (b"GET / HTTP/2.0\r\n\r\n", b"400"),
        (b"BREW / HTTP/1.1\r\n\r\n", b"501"),
        (b"GET / HTTP/1.1\r\nno colon\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\nA : 1\r\n\r\n", b"400"),
        (b"POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n", b"400"),
        (b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n", b"400"),
        (b"POST / HTTP/1.1\r\nTransfer-Encoding: gzip\r\n\r\n", b"501"),
        (b"GET / HTTP/1.1\r\nX: " + b"x" * 70_000, b"413"),
    ],
)
def test_what_is_no_request_is_refused_and_ends_the_connection(
    client: socket.socket, request_bytes: bytes, status: bytes
) -> None:
    client.sendall(request_bytes)
    assert read_all(client).startswith(b"HTTP/1.1 " + status)


def test_a_handler_that_fails_is_a_500(client: socket.socket) -> None:
    client.sendall(b"GET /fail HTTP/1.1\r\n\r\n")
    assert read_all(client).startswith(b"HTTP/1.1 500 Internal Server Error\r\n")


def test_stopping_closes_the_port_and_the_connections() -> None:
    server = HttpServer("127.0.0.1", 0, echo)
    server.start()
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as client:
        client.sendall(b"GET / HTTP/1.1\r\n\r\n")
        assert client.recv(1 << 16)
        server.stop()
        assert client.recv(1) == b""
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", server.port), timeout=10)


def test_a_port_in_use_is_an_error(server: HttpServer) -> None:
    with pytest.raises(OSError, match="in use"):
        HttpServer("127.0.0.1", server.port, echo)


def test_all_addresses_of_both_families_are_one_socket() -> None:
    server = HttpServer("::", 0, echo)
    server.start()
    try:
        with socket.create_connection(("127.0.0.1", server.port), timeout=10) as client:
            client.sendall(b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n")
            assert read_all(client).startswith(b"HTTP/1.1 200 OK\r\n")
    finally:
        server.stop()
