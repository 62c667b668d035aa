"""Protobuf bodies, written here by hand as Go writes them."""

from typing import Any

import pytest

from trainyard_devcluster.apiserver.errors import ApiError
from trainyard_devcluster.apiserver.protobuf import parse_protobuf


def varint(value: int) -> bytes:
    out = b""
    while value > 0x7F:
        out += bytes([value & 0x7F | 0x80])
        value >>= 7
    return out + bytes([value])


def field(number: int, value: bytes | str | int) -> bytes:
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    content = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(content)) + content


def body(version: str, kind: str, content: bytes) -> bytes:
    types = field(1, version) + field(2, kind)
    return b"k8s\x00" + field(1, types) + field(2, content) + field(3, "") + field(4, "")


def entry(key: str, value: bytes | str) -> bytes:
    return field(1, key) + field(2, value)


METADATA = field(1, "s") + field(2, "") + field(8, b"") + field(11, entry("a", "b")) + field(11, entry("c", "d"))


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (
            body("v1", "Secret", field(1, METADATA) + field(2, entry("k", b"\x00\xff")) + field(3, "Opaque")),
            {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s", "labels": {"a": "b", "c": "d"}},
             "data": {"k": "AP8="}, "type": "Opaque"},
        ),
        (
            body("v1", "Namespace", field(1, field(1, "n") + field(8, field(1, 1_700_000_000))) + field(2, b"")),
            {"apiVersion": "v1", "kind": "Namespace", "spec": {},
             "metadata": {"name": "n", "creationTimestamp": "2023-11-14T22:13:20Z"}},
        ),
        (
            body("v1", "DeleteOptions", field(1, 0) + field(2, field(1, "u")) + field(4, "Background")),
            {"apiVersion": "v1", "kind": "DeleteOptions", "gracePeriodSeconds": 0, "preconditions": {"uid": "u"},
             "propagationPolicy": "Background"},
        ),
        (
            body("coordination.k8s.io/v1", "Lease", field(2, field(1, "me") + field(2, 15)
                 + field(4, field(1, 1_700_000_000) + field(2, 500_000)))),
            {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
             "spec": {"holderIdentity": "me", "leaseDurationSeconds": 15, "renewTime": "2023-11-14T22:13:20.000500Z"}},
        ),
    ],
)  # fmt: skip
def test_bodies_of_go_clients_are_read(content: bytes, expected: Any) -> None:
    assert parse_protobuf(content) == expected


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"{}", 400),
        (b"k8s\x00" + field(1, field(2, "Secret"))[:-2], 400),
        (body("v1", "Secret", b"\x0a\xff"), 400),
        (body("apps/v1", "StatefulSet", b""), 415),
        (body("batch/v1", "Job", field(2, field(11, b"\x0a\x01x"))), 415),
    ],
)
def test_what_cannot_be_read_is_refused(content: bytes, code: int) -> None:
    with pytest.raises(ApiError) as refused:
        parse_protobuf(content)
    assert refused.value.code == code
