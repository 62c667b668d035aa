"""What HTTP and WebHDFS have in common: requests, files read by parts, and file systems for Arrow that only read.

On urllib3 rather than fsspec: that takes an answer of 403 or 500 for "not found", and over WebHDFS the body of an error
for data (fsspec 2026.9).
"""

import io
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NoReturn
from urllib.request import getproxies, proxy_bypass

import pyarrow as pa
import pyarrow.fs as pa_fs
import urllib3

from trainyard_trainer.stores.access import Access

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

_AHEAD = 4 << 20
_PASSING = (408, 429, 500, 502, 503, 504)


class HttpClient:
    """Requests with a deadline each, tried again where that may help."""

    def __init__(self, origin: str, access: Access, attempts: int) -> None:
        self._origin, self._headers = origin, _headers(access)
        host = origin.partition("://")[2]
        proxy = None if proxy_bypass(host.rpartition("@")[2]) else getproxies().get(origin.partition(":")[0])
        options: dict[str, Any] = {
            "timeout": urllib3.Timeout(connect=10, read=30),
            "retries": urllib3.Retry(
                attempts - 1,
                backoff_factor=0.2,
                backoff_jitter=0.2,
                status_forcelist=_PASSING,
                allowed_methods=None,
                raise_on_status=False,
            ),
            "ca_certs": access.file("HTTP_CA_BUNDLE"),
        }
        self._pool = urllib3.ProxyManager(proxy, **options) if proxy else urllib3.PoolManager(**options)

    def get(
        self, path: str, query: str = "", *, whole: bool = True, headers: Mapping[str, str] | None = None
    ) -> urllib3.BaseHTTPResponse:
        """Return the answer to a GET; unless `whole`, its body is left to be read.

        Raises:
            OSError: none came; the text says why.
        """
        url = f"{self._origin}{path}{'?' if query else ''}{query}"
        every = self._headers | {"Accept-Encoding": "identity"} | dict(headers or {})
        try:
            return self._pool.request("GET", url, preload_content=whole, headers=every)
        except urllib3.exceptions.HTTPError as error:
            reason = getattr(error, "reason", None) or error
            raise OSError(f"{self._origin}{path}: Could not connect or read: {reason}") from error


def _headers(access: Access) -> dict[str, str]:
    token, user = access.get("HTTP_BEARER_TOKEN"), access.get("HTTP_USERNAME")
    if token:
        return {"Authorization": f"Bearer {token}"}
    if user:
        return dict(urllib3.make_headers(basic_auth=f"{user}:{access.get('HTTP_PASSWORD') or ''}"))
    return {}


def refuse(status: int, name: str, said: str = "") -> NoReturn:
    """Raise what an answer without content means.

    Raises:
        FileNotFoundError: nothing is there.
        OSError: anything else; the text has the status.
    """
    if status == 404:
        raise FileNotFoundError(f"{name} does not exist{said}")
    raise OSError(f"{name}: HTTP status {status}{said}")


class RangeFile(io.RawIOBase):
    """A file of which any part can be asked for."""

    def __init__(self, size: int, fetch: Callable[[int, int], bytes]) -> None:
        self._size, self._fetch, self._at = size, fetch, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def size(self) -> int:
        """Return the length of the file."""
        return self._size

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._at = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        return self._at

    def readinto(self, buffer: "WriteableBuffer") -> int:
        """Fill the buffer as far as the file goes."""
        view = memoryview(buffer).cast("B")
        count = max(min(len(view), self._size - self._at), 0)
        if count:
            content = self._fetch(self._at, count)
            if len(content) != count:
                raise OSError(f"HTTP status 200 with {len(content)} bytes where {count} were asked for")
            view[:count] = content
            self._at += count
        return count


class ReadOnly(pa_fs.FileSystemHandler):
    """What Arrow asks a file system for, all but reading."""

    def __eq__(self, other: object) -> bool:
        return self is other

    def __ne__(self, other: object) -> bool:
        return self is not other

    def get_type_name(self) -> str:
        return "web"

    def normalize_path(self, path: str) -> str:
        return path

    def open_input_stream(self, path: str) -> pa.PythonFile:
        return pa.PythonFile(io.BufferedReader(self.open(path), _AHEAD), mode="r")

    def open_input_file(self, path: str) -> pa.PythonFile:
        return pa.PythonFile(self.open(path), mode="r")

    def open(self, path: str) -> RangeFile:
        """Return a file that Arrow may read."""
        raise NotImplementedError

    def _no(self, *_: object) -> NoReturn:
        raise NotImplementedError("this store is read only")

    create_dir = delete_dir = delete_dir_contents = delete_root_dir_contents = delete_file = _no
    move = copy_file = open_output_stream = open_append_stream = _no
