"""Kubernetes' protobuf bodies, as far as unmodified clients insist on them.

Helm 4 and other Go clients send built-in kinds as protobuf and have no second try in JSON. Answers are JSON, which all
of them accept. The tables hold the field numbers of the messages that such clients send; those never change.
"""

import base64
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from trainyard_devcluster.apiserver.errors import bad_request, unsupported_media_type
from trainyard_devcluster.apiserver.values import Json, Object, timestamp

PROTOBUF_TYPE = "application/vnd.kubernetes.protobuf"
_MAGIC = b"k8s\x00"


@dataclass(frozen=True, slots=True)
class _Field:
    name: str
    kind: str
    """string, bytes, int, bool, time, map:<kind>, list:<kind>, or the name of a message."""


def _message(**fields: str) -> dict[int, _Field]:
    """Fields written as `name="number kind"`."""
    found = {}
    for name, text in fields.items():
        number, _, kind = text.partition(" ")
        found[int(number)] = _Field(name, kind or "string")
    return found


_MESSAGES: dict[str, dict[int, _Field]] = {
    "Unknown": _message(typeMeta="1 TypeMeta", raw="2 raw"),
    "TypeMeta": _message(apiVersion="1", kind="2"),
    "ObjectMeta": _message(
        name="1", generateName="2", namespace="3", selfLink="4", uid="5", resourceVersion="6", generation="7 int",
        creationTimestamp="8 time", deletionTimestamp="9 time", deletionGracePeriodSeconds="10 int",
        labels="11 map:string", annotations="12 map:string", ownerReferences="13 list:OwnerReference",
        finalizers="14 list:string",
    ),
    "OwnerReference": _message(
        kind="1", name="3", uid="4", apiVersion="5", controller="6 bool", blockOwnerDeletion="7 bool"
    ),
    "Secret": _message(
        metadata="1 ObjectMeta", data="2 map:bytes", type="3", stringData="4 map:string", immutable="5 bool"
    ),
    "ConfigMap": _message(metadata="1 ObjectMeta", data="2 map:string", binaryData="3 map:bytes", immutable="4 bool"),
    "Namespace": _message(metadata="1 ObjectMeta", spec="2 NamespaceSpec", status="3 NamespaceStatus"),
    "NamespaceSpec": _message(finalizers="1 list:string"),
    "NamespaceStatus": _message(phase="1"),
    "ServiceAccount": _message(metadata="1 ObjectMeta", automountServiceAccountToken="4 bool"),
    "Lease": _message(metadata="1 ObjectMeta", spec="2 LeaseSpec"),
    "LeaseSpec": _message(
        holderIdentity="1", leaseDurationSeconds="2 int", acquireTime="3 time", renewTime="4 time",
        leaseTransitions="5 int",
    ),
    "DeleteOptions": _message(
        gracePeriodSeconds="1 int", preconditions="2 Preconditions", orphanDependents="3 bool", propagationPolicy="4",
        dryRun="5 list:string",
    ),
    "Preconditions": _message(uid="1", resourceVersion="2"),
    "Eviction": _message(metadata="1 ObjectMeta", deleteOptions="2 DeleteOptions"),
    "SelfSubjectAccessReview": _message(metadata="1 ObjectMeta", spec="2 SelfSubjectAccessReviewSpec"),
    "SelfSubjectAccessReviewSpec": _message(
        resourceAttributes="1 ResourceAttributes", nonResourceAttributes="2 NonResourceAttributes"
    ),
    "ResourceAttributes": _message(
        namespace="1", verb="2", group="3", version="4", resource="5", subresource="6", name="7"
    ),
    "NonResourceAttributes": _message(path="1", verb="2"),
    "TokenRequest": _message(metadata="1 ObjectMeta", spec="2 TokenRequestSpec"),
    "TokenRequestSpec": _message(
        audiences="1 list:string", boundObjectRef="3 BoundObjectReference", expirationSeconds="4 int"
    ),
    "BoundObjectReference": _message(kind="1", apiVersion="2", name="3", uid="4"),
}  # fmt: skip


def parse_protobuf(content: bytes) -> Object:
    """Return the object in a protobuf body.

    Raises:
        ApiError: 400, the body is broken; 415, it is of a kind that is only understood as JSON.
    """
    if not content.startswith(_MAGIC):
        raise bad_request("provided data does not appear to be a protobuf message, expected prefix [107 56 115 0]")
    try:
        envelope = _decode(content[len(_MAGIC) :], "Unknown")
        types = envelope.get("typeMeta", {})
        if types.get("kind") not in _MESSAGES:
            raise unsupported_media_type(f"{PROTOBUF_TYPE} of kind {types.get('kind')}", ["application/json"])
        obj: Object = types | _decode(envelope.get("raw", b""), types["kind"])
    except (IndexError, ValueError) as error:
        raise bad_request(f"unable to decode the protobuf body: {error}") from error
    return obj


def _decode(content: bytes, message: str) -> Object:
    fields = _MESSAGES[message]
    found: Object = {}
    for number, value in _wire_fields(content):
        field = fields.get(number)
        if field is None:
            continue
        kind, _, inner = field.kind.partition(":")
        if kind == "map":
            key, item = _entry(value, inner)
            found.setdefault(field.name, {})[key] = item
        elif kind == "list":
            found.setdefault(field.name, []).append(_value(value, inner))
        else:
            item = _value(value, kind)
            # Go writes empty texts, numbers it never got and zero times out in full.
            if item not in ("", None):
                found[field.name] = item
    return found


def _wire_fields(content: bytes) -> Iterator[tuple[int, int | bytes]]:
    at = 0
    while at < len(content):
        tag, at = _varint(content, at)
        match tag & 7:
            case 0:
                value, at = _varint(content, at)
                yield tag >> 3, value
            case 2:
                size, at = _varint(content, at)
                if at + size > len(content):
                    raise ValueError("a field ends behind the message")
                yield tag >> 3, content[at : at + size]
                at += size
            case other:
                raise ValueError(f"wire type {other}")


def _varint(content: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = content[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if not byte & 0x80:
            return value - (1 << 64) if value >> 63 else value, at


def _value(value: int | bytes, kind: str) -> Json:
    if isinstance(value, int):
        return bool(value) if kind == "bool" else value
    match kind:
        case "raw":
            return value
        case "string":
            return value.decode()
        case "bytes":
            return base64.b64encode(value).decode()
        case "time":
            return _time(value)
    return _decode(value, kind)


def _time(content: bytes) -> str | None:
    parts = dict(_wire_fields(content))
    seconds, nanos = parts.get(1, 0), parts.get(2, 0)
    if not isinstance(seconds, int) or not isinstance(nanos, int) or seconds <= 0:
        return None
    moment = datetime.fromtimestamp(seconds, UTC)
    return f"{timestamp(moment)[:-1]}.{nanos // 1000:06d}Z" if nanos else timestamp(moment)


def _entry(value: int | bytes, kind: str) -> tuple[str, Json]:
    if isinstance(value, int):
        raise ValueError("expected a map entry, found a number")
    parts = dict(_wire_fields(value))
    return str(_value(parts.get(1, b""), "string")), _value(parts.get(2, b""), kind)
