"""Loaded by every Python process of a pod: binds wildcard addresses to the pod's own, and knows Service names.

Runs on whatever interpreter a pod uses, so it needs nothing but the standard library, and little of that.
"""

import os
import socket
import sys

_WILDCARDS = ("", "0.0.0.0", "::", b"", b"0.0.0.0", b"::")  # noqa: S104


class _Names:
    """The hosts file that the node agent keeps current, read again whenever it has changed."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._stamp: object = None
        self._addresses: dict[str, list[str]] = {}

    def find(self, host: object, namespace: str) -> "list[str]":
        """The addresses of a Service or pod, by the search list that a pod's resolv.conf has."""
        if isinstance(host, bytes):
            host = host.decode("ascii", "replace")
        if not isinstance(host, str) or not host or not self._path:
            return []
        self._read()
        host = host.rstrip(".").lower()
        for suffix in ("", "." + namespace + ".svc.cluster.local", ".svc.cluster.local", ".cluster.local"):
            if host + suffix in self._addresses:
                return self._addresses[host + suffix]
        return []

    def _read(self) -> None:
        try:
            status = os.stat(self._path)
            stamp = (status.st_mtime_ns, status.st_ino)
            if stamp == self._stamp:
                return
            addresses: dict[str, list[str]] = {}
            with open(self._path) as lines:
                for line in lines:
                    address, *names = line.split() or [""]
                    for name in names:
                        addresses.setdefault(name, []).append(address)
            self._addresses, self._stamp = addresses, stamp
        except OSError:
            pass  # the node agent is just being set up or taken down: what was read last will do


def _resolve(names: _Names, namespace: str, pod_address: str) -> None:
    getaddrinfo, gethostbyname, gethostbyname_ex = socket.getaddrinfo, socket.gethostbyname, socket.gethostbyname_ex

    def pod_getaddrinfo(host, port, family=0, type=0, proto=0, flags=0):  # type: ignore[no-untyped-def]
        if pod_address and flags & socket.AI_PASSIVE and (host is None or host in _WILDCARDS):
            host, family = pod_address, 0
        found = names.find(host, namespace)
        if not found or family == socket.AF_INET6:
            return getaddrinfo(host, port, family, type, proto, flags)
        return [entry for address in found for entry in getaddrinfo(address, port, family, type, proto, flags)]

    def pod_gethostbyname(host):  # type: ignore[no-untyped-def]
        found = names.find(host, namespace)
        return found[0] if found else gethostbyname(host)

    def pod_gethostbyname_ex(host):  # type: ignore[no-untyped-def]
        found = names.find(host, namespace)
        return (host, [], list(found)) if found else gethostbyname_ex(host)

    socket.getaddrinfo = pod_getaddrinfo
    socket.gethostbyname = pod_gethostbyname
    socket.gethostbyname_ex = pod_gethostbyname_ex


def _bind(pod_address: str) -> None:
    bind = socket.socket.bind

    def pod_bind(self, address):  # type: ignore[no-untyped-def]
        if isinstance(address, tuple) and address[0] in _WILDCARDS:
            if self.family == socket.AF_INET:
                address = (pod_address, *address[1:])
            elif self.family == socket.AF_INET6:
                self.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
                address = ("::ffff:" + pod_address, *address[1:])
        return bind(self, address)

    socket.socket.bind = pod_bind  # type: ignore[method-assign]


def _connect(pod_address: str) -> None:
    """Have what a pod sends to others in the cluster come from its own address."""
    connect, connect_ex = socket.socket.connect, socket.socket.connect_ex

    def leave(self: socket.socket, address: object) -> None:
        inside = self.family == socket.AF_INET and isinstance(address, tuple) and str(address[0]).startswith("127.")
        if inside and self.type & socket.SOCK_STREAM and self.getsockname() == ("0.0.0.0", 0):  # noqa: S104
            self.bind((pod_address, 0))

    def pod_connect(self, address):  # type: ignore[no-untyped-def]
        leave(self, address)
        return connect(self, address)

    def pod_connect_ex(self, address):  # type: ignore[no-untyped-def]
        leave(self, address)
        return connect_ex(self, address)

    socket.socket.connect = pod_connect  # type: ignore[method-assign]
    socket.socket.connect_ex = pod_connect_ex  # type: ignore[method-assign]


def _chain() -> None:
    """Load the sitecustomize that this one hides, if there is one."""
    here = os.path.dirname(os.path.abspath(__file__))
    for folder in sys.path:
        file = os.path.join(folder or ".", "sitecustomize.py")
        if os.path.abspath(folder or ".") != here and os.path.isfile(file):
            with open(file) as hidden:
                code = compile(hidden.read(), file, "exec")
            exec(code, {"__name__": "sitecustomize", "__file__": file})  # noqa: S102 - what `site` would have done
            return


_pod_address = os.environ.get("DEVCLUSTER_POD_IP", "")
_resolve(
    _Names(os.environ.get("DEVCLUSTER_HOSTS", "")), os.environ.get("DEVCLUSTER_NAMESPACE", "default"), _pod_address
)
if _pod_address:
    _bind(_pod_address)
    if _pod_address.startswith("127."):
        _connect(_pod_address)
_chain()
