"""The parts of a URI, and the form of it that may be shown."""

from dataclasses import dataclass
from urllib.parse import urlsplit

from trainyard_trainer.errors import BadInput

ATTEMPTS = 6
"""Tries of one request to a store; the pauses between them grow, to about 15 s all together."""
_ADVICE = "put credentials into a Secret, and name it in secretRef"


@dataclass(frozen=True, slots=True)
class Uri:
    """A URI as its parts: nothing is decoded, because a key may hold a percent sign."""

    scheme: str
    user: str
    host: str
    path: str
    query: str

    def __str__(self) -> str:
        user = f"{self.user}@" if self.user else ""
        return f"{self.scheme}://{user}{self.host}{self.path}{'?…' if self.query else ''}"


def parse(text: str) -> Uri:
    """Take a URI apart.

    Raises:
        BadInput: it holds a password, or a path that climbs; the message does not repeat it.
    """
    scheme, _, rest = text.partition("://")
    authority, slash, path = rest.partition("/")
    user, _, host = authority.rpartition("@")
    if ":" in user:
        raise BadInput(f"a {scheme}:// URI holds a password, which the spec would show to everyone: {_ADVICE}")
    path, query = slash + path, ""
    if scheme in ("http", "https"):
        path, _, query = path.partition("?")
    if ".." in path.split("/"):
        raise BadInput(f"{scheme}://{host}{path} has '..' in its path: write where it leads")
    if not host and scheme != "file":
        raise BadInput(f"{scheme}://{path} names no {'bucket' if scheme in ('s3', 'gs') else 'host'} before its path")
    return Uri(scheme, user, host, path, query)


def shown(location: str) -> str:
    """Return a path or URI without what nobody should read: a password, a signature."""
    if "://" not in location:
        return location
    scheme, _, rest = location.partition("://")
    authority, slash, path = rest.partition("/")
    user, at, host = authority.rpartition("@")
    query = "?…" if "?" in path else ""
    return f"{scheme}://{user.partition(':')[0]}{at}{host}{slash}{path.partition('?')[0]}{query}"


def endpoint(text: str | None, variable: str) -> tuple[str | None, str | None]:
    """Return scheme and host:port of an endpoint such as http://minio:9000, or nothing where none is set.

    Raises:
        BadInput: it is not of that form.
    """
    if not text:
        return None, None
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.netloc or "@" in parts.netloc or parts.path.strip("/"):
        raise BadInput(f"expected {variable} to be like https://host:port, got {shown(text)!r}")
    return parts.scheme, parts.netloc
