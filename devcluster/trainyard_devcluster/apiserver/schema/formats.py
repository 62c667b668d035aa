"""The `format` keyword of custom resources: texts in well-known forms."""

import base64
import binascii
import ipaddress
import re
from collections.abc import Callable
from urllib.parse import urlsplit
from uuid import UUID

from trainyard_devcluster.apiserver.values import parse_time


def _passes(check: Callable[[str], object]) -> Callable[[str], bool]:
    def holds(text: str) -> bool:
        try:
            check(text)
        except (ValueError, binascii.Error):
            return False
        return True

    return holds


def _matches(pattern: str) -> Callable[[str], bool]:
    compiled = re.compile(pattern)
    return lambda text: compiled.fullmatch(text) is not None


def _is_time(text: str) -> bool:
    return bool(re.fullmatch(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)", text)) and _passes(
        parse_time
    )(text)


FORMATS: dict[str, Callable[[str], bool]] = {
    "date-time": _is_time,
    "date": _matches(r"\d{4}-\d\d-\d\d"),
    "duration": _matches(r"[+-]?(\d+(\.\d*)?(ns|us|µs|ms|s|m|h))+|0"),
    "ipv4": _passes(ipaddress.IPv4Address),
    "ipv6": _passes(ipaddress.IPv6Address),
    "cidr": _passes(lambda text: ipaddress.ip_network(text, strict=False)),
    "uuid": _passes(UUID),
    "byte": _passes(lambda text: base64.b64decode(text, validate=True)),
    "uri": lambda text: bool(urlsplit(text).scheme),
    "hostname": _matches(
        r"([A-Za-z0-9]([-A-Za-z0-9]{0,61}[A-Za-z0-9])?\.)*[A-Za-z0-9]([-A-Za-z0-9]{0,61}[A-Za-z0-9])?"
    ),
    "email": _matches(r"[^@\s]+@[^@\s]+"),
}
