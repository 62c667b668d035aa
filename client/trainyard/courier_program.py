"""Runs inside a short-lived pod that mounts a claim: receives files in pieces, and hands files out, over HTTP.

Standard library only, and one file: the client sends its text along as the pod's command. Who does not know the token
gets nothing. Every path stays below the mounted folder.
"""

import hashlib
import json
import os
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

PIECE = 1 << 21


def serve(folder: str, token: str, port: int) -> None:
    """Answer until the process is ended."""
    Handler.root, Handler.token = Path(folder).resolve(), token
    ThreadingHTTPServer(("", port), Handler).serve_forever()


class Handler(BaseHTTPRequestHandler):
    """GET a piece, a folder's listing (`list`) or a digest (`sha256`); PUT a piece; POST to rename what is complete."""

    root = Path()
    token = ""
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Answer with a piece of a file, or with what is asked of it."""
        if self.path == "/ready":
            self._answer(200, b"ready")
        elif (found := self._path()) is not None:
            self._try(self._get, found)

    def do_PUT(self) -> None:
        """Write a piece of a file."""
        content = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if (found := self._path()) is not None:
            self._try(self._put, found, content)

    def do_POST(self) -> None:
        """Rename a file that is complete, if its digest is right."""
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if (found := self._path()) is not None:
            self._try(self._finish, found)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing: the path holds the token."""

    def _try(self, action, *arguments) -> None:  # type: ignore[no-untyped-def]
        try:
            self._answer(200, action(*arguments))
        except FileNotFoundError as error:
            self._answer(404, f"{error.filename or error} does not exist".encode())
        except OSError as error:
            self._answer(507, str(error).encode())
        except ValueError as error:
            self._answer(409, str(error).encode())

    def _get(self, path: Path) -> bytes:
        if "list" in self._query():
            files = sorted(file for file in path.rglob("*") if file.is_file())
            if not path.is_dir():
                raise FileNotFoundError(2, "no such folder", str(path))
            return json.dumps([[str(file.relative_to(path)), file.stat().st_size] for file in files]).encode()
        if "sha256" in self._query():
            return _digest(path).encode()
        with path.open("rb") as stream:
            stream.seek(int(self._query().get("offset", "0")))
            return stream.read(min(PIECE, int(self._query().get("size", str(PIECE)))))

    def _put(self, path: Path, content: bytes) -> bytes:
        path.parent.mkdir(parents=True, exist_ok=True)
        offset = int(self._query().get("offset", "0"))
        with path.open("r+b" if path.exists() else "w+b") as stream:
            stream.seek(offset)
            stream.write(content)
            stream.truncate()
        return str(offset + len(content)).encode()

    def _finish(self, path: Path) -> bytes:
        wanted, found = self._query().get("sha256", ""), _digest(path)
        if wanted != found:
            raise ValueError(f"expected sha256 {wanted}, got {found}")
        with path.open("rb") as stream:
            os.fsync(stream.fileno())
        target = self.root / unquote(self._query()["to"]).lstrip("/")
        if self.root not in target.resolve().parents:
            raise ValueError("the target is outside the volume")
        path.rename(target)
        return found.encode()

    def _query(self) -> dict[str, str]:
        return {name: values[-1] for name, values in parse_qs(urlsplit(self.path).query, True).items()}

    def _path(self) -> "Path | None":
        token, _, rest = unquote(urlsplit(self.path).path).lstrip("/").partition("/")
        path = (self.root / rest).resolve()
        if token == self.token and (path == self.root or self.root in path.parents):
            return path
        self._answer(403, b"no")
        return None

    def _answer(self, code: int, content: bytes) -> None:
        self.send_response(code)
        self.send_header("Content-Type", "application/octet-stream")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


def _digest(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while piece := stream.read(PIECE):
            digest.update(piece)
    return digest.hexdigest()


if __name__ == "__main__":
    serve(sys.argv[1], os.environ["TOKEN"], int(sys.argv[2]))
