"""Stores that tests talk to over the network: S3 by moto, plain web servers, and HDFS' REST interface."""

import contextlib
import json
import random
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, HTTPServer, ThreadingHTTPServer
from pathlib import Path
from typing import Any, cast
from urllib.parse import parse_qs, unquote, urlsplit

import boto3
from moto.server import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import WSGIRequestHandler, make_server

KEY = "AKIDEXAMPLE"
SECRET = "wJalrXUtnFEMI-EXAMPLE"

Judge = Callable[[int, Mapping[str, Any]], bool]
"""Whether to fail a request: its number, from 1, and its WSGI environment."""


def every_third(number: int, _: Mapping[str, Any]) -> bool:
    return number % 3 == 0


def one_in_three(seed: int) -> Judge:
    """Return a judge that fails one in three requests at random, and their retries alike."""
    chance = random.Random(seed)
    return lambda number, request: chance.random() < 1 / 3


@dataclass
class S3:
    """An S3 server with a bucket. `fails` decides which requests are answered with an error."""

    endpoint: str = ""
    fails: Judge = lambda number, request: False
    requests: list[tuple[str, str]] = field(default_factory=list)
    client: Any = None

    @property
    def env(self) -> dict[str, str]:
        return {
            "AWS_ACCESS_KEY_ID": KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_REGION": "us-east-1",
        }

    def bucket(self, name: str) -> str:
        self.client.create_bucket(Bucket=name)
        return name

    def put(self, bucket: str, key: str, content: bytes) -> None:
        self.client.put_object(Bucket=bucket, Key=key, Body=content)

    def get(self, bucket: str, key: str) -> bytes:
        return bytes(self.client.get_object(Bucket=bucket, Key=key)["Body"].read())

    def keys(self, bucket: str) -> list[str]:
        """Return the keys of all objects, but for the empty ones that stand for folders."""
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=bucket)
        return [each["Key"] for page in pages for each in page.get("Contents", []) if not each["Key"].endswith("/")]

    @contextlib.contextmanager
    def failing(self, judge: Judge) -> Iterator[None]:
        """Fail the requests that a judge chooses, counted from here."""
        kept, self.fails = self.fails, judge
        self.requests.clear()
        try:
            yield
        finally:
            self.fails = kept


class _Quiet(WSGIRequestHandler):
    protocol_version = "HTTP/1.1"

    def log(self, *_: Any) -> None: ...


@contextlib.contextmanager
def s3_server() -> Iterator[S3]:
    store = S3()
    moto = DomainDispatcherApplication(create_backend_app)
    lock = threading.Lock()

    def application(environ: dict[str, Any], start_response: Any) -> Any:
        own = "boto" in environ.get("HTTP_USER_AGENT", "").lower()
        with lock:
            if not own:
                store.requests.append((environ["REQUEST_METHOD"], environ["PATH_INFO"]))
            failed = not own and store.fails(len(store.requests), environ)
        if failed:
            environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
            start_response("503 Slow Down", [("Content-Type", "application/xml")])
            return [b"<?xml version='1.0'?><Error><Code>SlowDown</Code><Message>Reduce your rate</Message></Error>"]
        return moto(environ, start_response)

    server = make_server("127.0.0.1", 0, application, threaded=True, request_handler=_Quiet)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    store.endpoint = f"http://127.0.0.1:{server.server_port}"
    store.client = boto3.client(
        "s3",
        endpoint_url=store.endpoint,
        aws_access_key_id=KEY,
        aws_secret_access_key=SECRET,
        region_name="us-east-1",
    )
    try:
        yield store
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@dataclass
class Web:
    """A web server with files. `ranges`: it gives parts of a file; `cuts`: it ends some answers in the middle."""

    files: dict[str, bytes]
    ranges: bool = True
    authorization: str | None = None
    fails: Judge = lambda number, request: False
    cuts: Judge = lambda number, request: False
    origin: str = ""
    requests: list[tuple[str, str]] = field(default_factory=list)
    sent: int = 0


@contextlib.contextmanager
def web_server(web: Web) -> Iterator[Web]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            web.requests.append((self.path, self.headers.get("Range", "")))
            number, path = len(web.requests), unquote(urlsplit(self.path).path)
            if web.fails(number, {}):
                return self.answer(503)
            if web.authorization and self.headers.get("Authorization") != web.authorization:
                return self.answer(401)
            if path not in web.files:
                return self.answer(404)
            content, tag = web.files[path], f'"{hash(web.files[path])}"'
            headers = {"ETag": tag, "Last-Modified": "Tue, 24 Nov 2026 03:00:00 GMT"}
            if self.headers.get("If-Match", tag) != tag:
                return self.answer(412)
            start, code = 0, 200
            if web.ranges and "Range" in self.headers:
                first, last = self.headers["Range"].removeprefix("bytes=").split("-")
                start, total, code = int(first), len(content), 206
                content = content[start : int(last) + 1]
                headers["Content-Range"] = f"bytes {start}-{start + len(content) - 1}/{total}"
            return self.answer(code, content, headers, cut=len(content) > 1 and web.cuts(number, {}))

        def answer(self, code: int, content: bytes = b"", headers: Any = (), *, cut: bool = False) -> None:
            self.send_response(code)
            for name, value in dict(headers).items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            if cut:
                content, self.close_connection = content[: len(content) // 2], True
            with contextlib.suppress(OSError):
                web.sent += self.wfile.write(content)

        def log_message(self, *_: Any) -> None: ...

    with _serving(Handler) as web.origin:
        yield web


@dataclass
class Hdfs:
    """A name node's and a data node's REST interface over a folder, as far as reading goes."""

    folder: Path
    origin: str = ""
    datanode: str = ""
    requests: list[str] = field(default_factory=list)
    fails: Judge = lambda number, request: False


@contextlib.contextmanager
def hdfs_server(hdfs: Hdfs) -> Iterator[Hdfs]:
    """Serve WebHDFS as Hadoop does: status and lists from one port, and data from another that OPEN redirects to."""

    class Node(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            hdfs.requests.append(self.path)
            url = urlsplit(self.path)
            query = {name: values[0] for name, values in parse_qs(url.query).items()}
            path = hdfs.folder / unquote(url.path).removeprefix("/webhdfs/v1").strip("/")
            if hdfs.fails(len(hdfs.requests), {}):
                return self.exception(503, "RetriableException", "Name node is in safe mode")
            if query.get("user.name") == "nobody":
                return self.exception(403, "AccessControlException", "Permission denied: user=nobody, access=READ")
            if not path.exists():
                return self.exception(404, "FileNotFoundException", f"File does not exist: {url.path}")
            return getattr(self, query["op"].lower())(path, query)

        def getfilestatus(self, path: Path, query: Mapping[str, str]) -> None:
            self.document({"FileStatus": _status(path, "")})

        def liststatus(self, path: Path, query: Mapping[str, str]) -> None:
            every = [_status(each, each.name) for each in sorted(path.iterdir())]
            self.document({"FileStatuses": {"FileStatus": every}})

        def open(self, path: Path, query: Mapping[str, str]) -> None:
            if cast(HTTPServer, self.server).server_port != urlsplit(hdfs.datanode).port:
                self.send_response(307)
                self.send_header("Location", f"{hdfs.datanode}{self.path}")
                self.send_header("Content-Length", "0")
                return self.end_headers()
            start = int(query.get("offset", "0"))
            return self.send(200, path.read_bytes()[start : start + int(query.get("length", str(1 << 40)))])

        def document(self, value: Any, code: int = 200) -> None:
            self.send(code, json.dumps(value).encode())

        def exception(self, code: int, name: str, message: str) -> None:
            self.document({"RemoteException": {"exception": name, "message": message}}, code)

        def send(self, code: int, content: bytes) -> None:
            self.send_response(code)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: Any) -> None: ...

    with _serving(Node) as hdfs.origin, _serving(Node) as hdfs.datanode:
        yield hdfs


def _status(path: Path, suffix: str) -> dict[str, Any]:
    facts = path.stat()
    kind = "DIRECTORY" if path.is_dir() else "FILE"
    return {
        "pathSuffix": suffix,
        "type": kind,
        "length": 0 if path.is_dir() else facts.st_size,
        "modificationTime": int(facts.st_mtime * 1000),
    }


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *request: Any) -> None:
        if not isinstance(sys.exception(), ConnectionError):  # A client that went away is nobody's error.
            super().handle_error(*request)


@contextlib.contextmanager
def _serving(handler: type[BaseHTTPRequestHandler]) -> Iterator[str]:
    server = _Server(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
