"""Kubernetes' protobuf bodies, as far as unmodified clients insist on them.

Helm 4 and other Go clients send built-in kinds as protobuf and have no second try in JSON. Answers are JSON, which all
of them accept.
"""

import base64
from collections.abc import Iterator
from datetime import UTC, datetime

from trainyard_devcluster.apiserver.errors import bad_request, unsupported_media_type
from trainyard_devcluster.apiserver.protobuf_messages import MESSAGES
from trainyard_devcluster.apiserver.values import Json, Object, timestamp

PROTOBUF_TYPE = "application/vnd.kubernetes.protobuf"
_MAGIC = b"k8s\x00"
_ENVELOPE = ("Unknown", "TypeMeta")


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
        if types.get("kind") not in MESSAGES:
            raise unsupported_media_type(f"{PROTOBUF_TYPE} of kind {types.get('kind')}", ["application/json"])
        obj: Object = types | _decode(envelope.get("raw", b""), types["kind"])
    except (IndexError, ValueError) as error:
        raise bad_request(f"unable to decode the protobuf body: {error}") from error
    return obj


def _decode(content: bytes, message: str) -> Object:
    fields = MESSAGES[message]
    found: Object = {}
    for number, value in _wire_fields(content):
        field = fields.get(number)
        if field is None:
            if message not in _ENVELOPE and not _is_blank(value):
                unknown = f"{PROTOBUF_TYPE} with field {number} of {message}"
                raise unsupported_media_type(unknown, ["application/json"])
            continue
        kind, _, inner = field.type.partition(":")
        if kind == "map":
            key, item = _entry(value, inner)
            found.setdefault(field.name, {})[key] = item
        elif kind == "inline":
            found |= _decode(_content(value), inner)
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


def _is_blank(value: int | bytes) -> bool:
    """Return whether a field holds nothing: Go writes structs that nobody set in full, down to their empty texts."""
    if isinstance(value, int):
        return value == 0
    try:
        return all(_is_blank(inner) for _, inner in _wire_fields(value))
    except (IndexError, ValueError):
        return False


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
        case "quantity":
            return _value(dict(_wire_fields(value)).get(1, b""), "string")
        case "intstr":
            return _int_or_string(value)
    return _decode(value, kind)


def _time(content: bytes) -> str | None:
    parts = dict(_wire_fields(content))
    seconds, nanos = parts.get(1, 0), parts.get(2, 0)
    if not isinstance(seconds, int) or not isinstance(nanos, int) or seconds <= 0:
        return None
    moment = datetime.fromtimestamp(seconds, UTC)
    return f"{timestamp(moment)[:-1]}.{nanos // 1000:06d}Z" if nanos else timestamp(moment)


def _int_or_string(content: bytes) -> int | str | None:
    parts = dict(_wire_fields(content))
    if parts.get(1):
        return str(_value(parts.get(3, b""), "string"))
    number = parts.get(2, 0)
    return number if isinstance(number, int) else None


def _entry(value: int | bytes, kind: str) -> tuple[str, Json]:
    parts = dict(_wire_fields(_content(value)))
    return str(_value(parts.get(1, b""), "string")), _value(parts.get(2, b""), kind)


def _content(value: int | bytes) -> bytes:
    if isinstance(value, int):
        raise ValueError("expected a message, found a number")
    return value
