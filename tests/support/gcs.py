"""Google Cloud Storage for tests, by gcp-storage-emulator: `python -m support.gcs BUCKET...` serves it.

It is a process of its own: pyarrow holds the interpreter's lock while it waits for some answers of a server.
"""

import os
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from http.server import ThreadingHTTPServer
from pathlib import Path
from urllib.parse import quote

TESTS = Path(__file__).parents[1]


@dataclass(frozen=True)
class Gcs:
    """Such a server, and where it listens."""

    origin: str

    @property
    def env(self) -> dict[str, str]:
        return {"STORAGE_EMULATOR_HOST": self.origin}

    def put(self, bucket: str, name: str, content: bytes) -> None:
        url = f"{self.origin}/upload/storage/v1/b/{bucket}/o?uploadType=media&name={quote(name, safe='')}"
        headers = {"Content-Type": "application/octet-stream"}
        with urllib.request.urlopen(urllib.request.Request(url, content, headers, method="POST")):
            pass


@contextmanager
def gcs_server(*buckets: str) -> Iterator[Gcs]:
    """Serve buckets that are empty, in memory."""
    path = os.pathsep.join([str(TESTS), *filter(None, [os.environ.get("PYTHONPATH")])])
    with subprocess.Popen(
        [sys.executable, "-m", "support.gcs", *buckets],
        env=os.environ | {"PYTHONPATH": path},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        assert process.stdout is not None
        try:
            yield Gcs(process.stdout.readline().strip())
        finally:
            process.kill()


def main() -> None:
    """Serve the buckets that the arguments name until the process is ended; its first line says where."""
    from gcp_storage_emulator.handlers.buckets import create_bucket
    from gcp_storage_emulator.server import RequestHandler
    from gcp_storage_emulator.storage import Storage

    storage = Storage(use_memory_fs=True)
    for name in sys.argv[1:]:
        create_bucket(name, storage)
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(RequestHandler, storage))
    print(f"http://127.0.0.1:{server.server_port}", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
