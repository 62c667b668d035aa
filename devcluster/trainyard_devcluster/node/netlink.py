"""Make address ranges local to this machine (`ip route add local CIDR dev lo`), without any program but the kernel."""

import ipaddress
import os
import socket
import struct

_RTM_NEWROUTE, _RTM_DELROUTE = 24, 25
_NLM_F_REQUEST, _NLM_F_ACK, _NLM_F_EXCL, _NLM_F_CREATE = 0x1, 0x4, 0x200, 0x400
_RTA_DST, _RTA_OIF = 1, 4
_RT_TABLE_LOCAL, _RTPROT_STATIC, _RT_SCOPE_HOST, _RTN_LOCAL = 255, 4, 254, 2
_HEADER, _ROUTE = struct.Struct("=IHHII"), struct.Struct("=BBBBBBBBI")


def make_local(cidr: str) -> None:
    """Have the kernel accept connections to, and binding of, every address of the range.

    FileExistsError where the range is local already, PermissionError without the right.
    """
    _ask(_RTM_NEWROUTE, _NLM_F_CREATE | _NLM_F_EXCL, cidr)


def remove_local(cidr: str) -> None:
    """Undo `make_local`. ProcessLookupError where the range is not local, as for a process that is gone."""
    _ask(_RTM_DELROUTE, 0, cidr)


def _ask(kind: int, flags: int, cidr: str) -> None:
    loopback = socket.if_nametoindex("lo")
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0) as netlink:
        netlink.settimeout(5)
        netlink.sendto(_request(kind, flags, cidr, loopback), (0, 0))
        _check(netlink.recv(65536), cidr)


def _request(kind: int, flags: int, cidr: str, interface: int) -> bytes:
    network = ipaddress.IPv4Network(cidr)
    attributes = _attribute(_RTA_DST, network.network_address.packed) + _attribute(
        _RTA_OIF, struct.pack("=I", interface)
    )
    route = _ROUTE.pack(
        socket.AF_INET, network.prefixlen, 0, 0, _RT_TABLE_LOCAL, _RTPROT_STATIC, _RT_SCOPE_HOST, _RTN_LOCAL, 0
    )
    body = route + attributes
    return _HEADER.pack(_HEADER.size + len(body), kind, _NLM_F_REQUEST | _NLM_F_ACK | flags, 1, 0) + body


def _attribute(kind: int, value: bytes) -> bytes:
    return struct.pack("=HH", 4 + len(value), kind) + value


def _check(answer: bytes, cidr: str) -> None:
    (error,) = struct.unpack_from("=i", answer, _HEADER.size)
    if error:
        raise OSError(-error, f"{os.strerror(-error)}: the local route of {cidr}")
