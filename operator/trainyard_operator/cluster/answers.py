"""What an answer of the API server means: an object, a list, or an error that says what to do next.

A proxy, a login page or a broken load balancer also answers 200. What is not plainly the object or the list that was
asked for has not been seen, and what has not been seen is never taken to be gone.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from trainyard_operator.cluster.errors import (
    AlreadyExists,
    ApiError,
    Conflict,
    Forbidden,
    Invalid,
    NotFound,
    Unavailable,
)
from trainyard_operator.cluster.kinds import Kind
from trainyard_operator.cluster.port import Manifest

_BY_CODE = {400: Invalid, 401: Forbidden, 403: Forbidden, 404: NotFound, 409: Conflict, 422: Invalid}
_EXCERPT = 200


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer.

    Attributes:
        retry_after: The header of that name.
    """

    code: int
    content: bytes
    retry_after: str | None = None

    def error(self, what: str) -> ApiError:
        """Return the error for an answer that is a `metav1.Status`, or should be."""
        status = _parse(self.content) or {"message": _excerpt(self.content)}
        details = status.get("details")
        asked = details.get("retryAfterSeconds") if isinstance(details, dict) else None
        return error_of(self.code, status, what, retry_after=_seconds(self.retry_after) or _seconds(asked))


def error_of(code: int, status: Mapping[str, Any], what: str, *, retry_after: float | None = None) -> ApiError:
    """Return the error for a `metav1.Status` with this HTTP code."""
    reason = str(status.get("reason") or "")
    message = str(status.get("message") or f"{what}: HTTP {code}")
    kind = AlreadyExists if reason == "AlreadyExists" else _BY_CODE.get(code, ApiError)
    if code == 429 or code >= 500:
        kind = Unavailable
    return kind(message, code=code, reason=reason, retry_after=retry_after)


def object_in(content: bytes, kind: Kind, what: str, *, name: str | None = None) -> Manifest:
    """Return the object an answer holds.

    Raises:
        Unavailable: there is none of this kind, or of this name where one is given.
    """
    answer = _parse(content)
    if answer is None or not _is_object(answer, kind) or name not in (None, answer["metadata"]["name"]):
        raise _unexpected(f"{what}: expected a {kind.name}", answer, content)
    return answer


def page_in(content: bytes, kind: Kind, what: str) -> tuple[list[Manifest], str, str]:
    """Return the objects in a page of a list, its resourceVersion, and the token of the next page, if there is one.

    Raises:
        Unavailable: the answer is no such list.
    """
    answer = _parse(content) or {}
    items, metadata = answer.get("items"), answer.get("metadata")
    if not isinstance(metadata, dict):
        metadata = {}
    version = metadata.get("resourceVersion")
    if answer.get("kind") != f"{kind.name}List" or not isinstance(items, list) or not _is_text(version):
        raise _unexpected(f"{what}: expected a {kind.name}List with items and a resourceVersion", answer, content)
    # Items of a list come without their type, which everything else here relies on.
    typed = [{"apiVersion": kind.api_version, "kind": kind.name} | item for item in items if isinstance(item, dict)]
    if len(typed) < len(items) or not all(_is_object(item, kind) for item in typed):
        raise _unexpected(f"{what}: expected a {kind.name}List of objects with names", answer, content)
    return typed, str(version), str(metadata.get("continue") or "")


def json_in(content: bytes, what: str) -> Manifest:
    """Return an answer of which only matters that it comes from an API server.

    Raises:
        Unavailable: it is no object of any kind.
    """
    answer = _parse(content)
    if answer is None or not isinstance(answer.get("kind"), str):
        raise _unexpected(f"{what}: expected an object", answer, content)
    return answer


def _is_object(candidate: Manifest, kind: Kind) -> bool:
    metadata = candidate.get("metadata")
    needed = ("name", *(["namespace"] if kind.namespaced else []))
    return (
        candidate.get("kind") == kind.name
        and isinstance(metadata, dict)
        and all(_is_text(metadata.get(field)) for field in needed)
    )


def _is_text(value: object) -> bool:
    return isinstance(value, str) and value != ""


def _unexpected(expected: str, answer: Manifest | None, content: bytes) -> Unavailable:
    got = repr(_excerpt(content) or "nothing")
    if answer and isinstance(metadata := answer.get("metadata"), dict):
        got = f"{answer.get('kind')} {metadata.get('name', '')!r}"
    return Unavailable(f"{expected}, got {got}; something between the operator and the API server answers in its place")


def _parse(content: bytes) -> Manifest | None:
    try:
        answer = json.loads(content)
    except (ValueError, RecursionError):
        return None
    return answer if isinstance(answer, dict) else None


def _excerpt(content: bytes) -> str:
    return content[:_EXCERPT].decode(errors="replace").strip()


def _seconds(text: object) -> float | None:
    """Return a number of seconds; the header may also be a date, which nobody sends here."""
    return float(str(text)) if text is not None and str(text).isdecimal() and str(text).isascii() else None
