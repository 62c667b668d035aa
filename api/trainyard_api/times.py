"""Time as an argument: code that needs it takes a `Clock`."""

from collections.abc import Callable
from datetime import UTC, datetime

Clock = Callable[[], datetime]


def utc_now() -> datetime:
    """Return the time, in whole seconds, as Kubernetes keeps it."""
    return datetime.now(UTC).replace(microsecond=0)


def to_rfc3339(time: datetime) -> str:
    """Return the form Kubernetes uses, for example 2026-11-23T10:00:00Z."""
    return time.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def from_rfc3339(text: str) -> datetime:
    """Parse a Kubernetes time, with or without fractions of a second.

    Raises:
        ValueError: it is not one.
    """
    time = datetime.fromisoformat(text)
    return time if time.tzinfo else time.replace(tzinfo=UTC)
