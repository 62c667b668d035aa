"""REST paths: what a method and a path ask for."""

import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote_to_bytes

from .errors import invalid_argument

_CHOICE: Final = r"(?:(?:/versions/(?P<version>[0-9]+))|(?:/labels/(?P<label>[^/:]+)))?"
_POST: Final = re.compile(
    rf"/v1/models/(?P<model>[^/:]+){_CHOICE}:(?P<verb>classify|regress|predict)", re.IGNORECASE | re.DOTALL
)
_GET: Final = re.compile(
    rf"/v1/models(?:/(?P<model>[^/:]+))?{_CHOICE}(?:/(?P<verb>metadata))?", re.IGNORECASE | re.DOTALL
)
_OURS: Final = re.compile(r"/v1/.*", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Target:
    """The model and the verb of a path. The verb is as it was written: only lower case means anything."""

    model: str
    verb: str
    version: int | None
    label: str | None


def is_api_path(path: str) -> bool:
    """Whether the path (with its query) is one of this API's at all."""
    return _OURS.fullmatch(path) is not None


def parse_path(method: str, path: str) -> Target:
    """Take a path (with its query) apart. Raises ServingError where it is none of the API's."""
    found = {"POST": _POST, "GET": _GET}[method].fullmatch(path) if method in ("POST", "GET") else None
    if found is None:
        raise malformed(method, path)
    version, label = found["version"], found["label"]
    if version is not None and (len(version) > 4000 or int(version) >= 2**63):
        raise invalid_argument(f"Failed to convert version: {version} to numeric.")
    return Target(
        _decoded(found["model"] or ""),
        found["verb"] or "",
        int(version) if version is not None else None,
        _decoded(label) if label is not None else None,
    )


def malformed(method: str, path: str) -> Exception:
    """The error for everything under /v1/ that is no call."""
    return invalid_argument(f"Malformed request: {method} {path}")


def _decoded(text: str) -> str:
    return unquote_to_bytes(text.encode("latin-1")).decode("utf-8", "replace")
