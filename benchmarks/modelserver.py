"""How fast the devcluster's model server answers: `.venv/trainer/bin/python benchmarks/modelserver.py`.

Requests per second and latency of half_plus_two over gRPC and REST, with 1 and 16 requests in flight, next to servers
of the same run that only send a fixed reply: gRPC's own, with the same kind of thread pool, and the standard library's
for HTTP. The ratios can be compared between machines. The load comes from this process, so on few cores it is part
of what is measured, for all alike. Also: 64 rows in a request, the time from start to open ports, and memory.
"""

from __future__ import annotations

import argparse
import json
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

PREDICT = "/tensorflow.serving.PredictionService/Predict"
REST_PATH = "/v1/models/line:predict"
REST_BODY = b'{"instances": [1.0, 2.0, 5.0]}'
REPLY = b'{\n    "predictions": [2.5, 3.0, 4.5\n    ]\n}'
THREADS = 8
Send = Callable[[], None]


@dataclass(frozen=True)
class Load:
    """What a run of requests came to: requests per second, milliseconds."""

    rate: float
    p50: float
    p99: float

    def __str__(self) -> str:
        return f"{self.rate:7.0f} /s   p50 {self.p50:6.2f} ms   p99 {self.p99:6.2f} ms"


def measure(connect: Callable[[], Send], concurrency: int, seconds: float) -> Load:
    """Send from as many threads as requests are to be in flight, each on a connection of its own."""
    senders = [connect() for _ in range(concurrency)]
    for send in senders:
        for _ in range(20):
            send()
    times: list[float] = []
    end = time.perf_counter() + seconds

    def run(send: Send) -> None:
        mine = []
        while (started := time.perf_counter()) < end:
            send()
            mine.append(time.perf_counter() - started)
        times.extend(mine)

    threads = [threading.Thread(target=run, args=(send,)) for send in senders]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    times.sort()
    return Load(len(times) / seconds, times[len(times) // 2] * 1e3, times[len(times) * 99 // 100] * 1e3)


def grpc_sender(address: str, request: bytes) -> Callable[[], Send]:
    """Calls of Predict with a ready message; replies are not read."""
    import grpc

    channel = grpc.insecure_channel(address)
    call = channel.unary_unary(PREDICT)

    def connect() -> Send:
        return lambda: call(request, timeout=30)

    return connect


def rest_sender(host: str, port: int, body: bytes) -> Callable[[], Send]:
    """POSTs over one kept connection."""
    head = f"POST {REST_PATH} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n".encode()

    def connect() -> Send:
        connection = socket.create_connection((host, port))
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

        def send() -> None:
            connection.sendall(head + body)
            data = b""
            while b"\r\n\r\n" not in data or len(data.partition(b"\r\n\r\n")[2]) < _length(data):
                part = connection.recv(1 << 16)
                if not part:
                    raise ConnectionError("the server closed the connection")
                data += part
            if not data.startswith(b"HTTP/1.1 200"):
                raise ValueError(data)

        return send

    return connect


def _length(data: bytes) -> int:
    return int(data.lower().partition(b"content-length:")[2].partition(b"\r")[0])


def bare_grpc() -> None:
    """Serve a fixed reply over gRPC; tells the port on stdout."""
    import grpc

    reply = sys.stdin.buffer.read()
    server = grpc.server(ThreadPoolExecutor(THREADS))
    method = grpc.unary_unary_rpc_method_handler(lambda request, context: reply)
    service, name = PREDICT.strip("/").split("/")
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, {name: method}),))
    print(server.add_insecure_port("127.0.0.1:0"), flush=True)
    server.start()
    server.wait_for_termination()


def bare_http() -> None:
    """Serve a fixed reply with the standard library's server; tells the port on stdout."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True
        wbufsize = -1

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(REPLY)))
            self.end_headers()
            self.wfile.write(REPLY)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    print(server.server_port, flush=True)
    server.serve_forever()


@contextmanager
def bare(kind: str, reply: bytes = b"") -> Iterator[int]:
    """A process with a bare server; yields its port."""
    command = [sys.executable, __file__, "--bare", kind]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin
        assert process.stdout
        process.stdin.write(reply)
        process.stdin.close()
        try:
            yield int(process.stdout.readline())
        finally:
            process.kill()


@contextmanager
def model_server(base_path: Path) -> Iterator[tuple[str, float, int]]:
    """The model server's process; yields its address, the seconds its start took and its resident bytes."""
    from support.serving_models import loopback_address, start_server

    address = loopback_address()
    started = time.perf_counter()
    arguments = ["--rest_api_port=8501", "--model_name=line", f"--model_base_path={base_path}"]
    with start_server(*arguments, address=address) as process:
        try:
            assert process.stderr
            for line in process.stderr:
                if "Exporting HTTP/REST API" in line:
                    break
            else:
                raise SystemExit("the model server did not start")
            seconds = time.perf_counter() - started
            status = Path(f"/proc/{process.pid}/status").read_text()
            memory = int(status.partition("VmRSS:")[2].split()[0]) * 1024
            yield address, seconds, memory
        finally:
            process.kill()


def predict_request(rows: int) -> bytes:
    """A PredictRequest of that many rows, as clients usually make it."""
    import numpy as np
    import tensorflow as tf
    from tensorflow_serving.apis import predict_pb2

    request = predict_pb2.PredictRequest()
    request.model_spec.name = "line"
    request.inputs["x"].CopyFrom(tf.make_tensor_proto(np.arange(rows, dtype=np.float32)))
    return bytes(request.SerializeToString())


def main() -> None:
    """Measure and print; with --json as one object."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=3.0, help="length of each measurement")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of a table")
    parser.add_argument("--bare", choices=["grpc", "http"], help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.bare:
        {"grpc": bare_grpc, "http": bare_http}[options.bare]()
        return

    import grpc

    from support.serving_models import save_line

    small, large = predict_request(3), predict_request(64)
    loads: dict[str, Load] = {}
    with tempfile.TemporaryDirectory() as folder:
        save_line(Path(folder) / "1")
        with model_server(Path(folder)) as (address, seconds, memory):
            with grpc.insecure_channel(f"{address}:8500") as channel:
                reply = channel.unary_unary(PREDICT)(small)
            with bare("grpc", reply) as grpc_port, bare("http") as http_port:
                for concurrency in (1, 16):
                    for name, connect in {
                        "gRPC": grpc_sender(f"{address}:8500", small),
                        "gRPC, 64 rows": grpc_sender(f"{address}:8500", large),
                        "gRPC, bare": grpc_sender(f"127.0.0.1:{grpc_port}", small),
                        "REST": rest_sender(address, 8501, REST_BODY),
                        "REST, bare": rest_sender("127.0.0.1", http_port, REST_BODY),
                    }.items():
                        loads[f"{name}, {concurrency} in flight"] = measure(connect, concurrency, options.seconds)
    ratios = {
        f"{protocol}, {concurrency} in flight": loads[f"{protocol}, {concurrency} in flight"].rate
        / loads[f"{protocol}, bare, {concurrency} in flight"].rate
        for protocol in ("gRPC", "REST")
        for concurrency in (1, 16)
    }
    if options.json:
        result = {"startSeconds": seconds, "residentBytes": memory, "ratioToBare": ratios}
        print(json.dumps(result | {"loads": {name: vars(load) for name, load in loads.items()}}))
        return
    print(f"start to open ports {seconds:.2f} s, resident memory {memory / 1e6:.0f} MB")
    for name, load in loads.items():
        print(f"{name:28} {load}")
    for name, ratio in ratios.items():
        print(f"{name:28} {ratio:.2f} of the bare server's rate")


if __name__ == "__main__":
    main()
