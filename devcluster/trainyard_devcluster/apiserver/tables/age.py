"""Durations in the short form that kubectl shows."""

from datetime import datetime

from trainyard_devcluster.apiserver.values import Json, Object, dig, parse_time


def since(time: Json, now: datetime) -> str:
    """Return how long ago a timestamp was, as `3d4h`; `<unknown>` without one."""
    if not time:
        return "<unknown>"
    return human(int((now - parse_time(str(time))).total_seconds()))


def age(obj: Object, now: datetime) -> str:
    """Return the age of an object."""
    return since(dig(obj, "metadata", "creationTimestamp"), now)


def human(seconds: int) -> str:
    """Return seconds with two to three significant digits, as apimachinery's HumanDuration does."""
    if seconds < -1:
        return "<invalid>"
    seconds = max(seconds, 0)
    minutes, hours, days = seconds // 60, seconds // 3600, seconds // 86400
    if seconds < 120:
        return f"{seconds}s"
    if minutes < 10:
        return _two(minutes, "m", seconds % 60, "s")
    if minutes < 180:
        return f"{minutes}m"
    if hours < 8:
        return _two(hours, "h", minutes % 60, "m")
    if hours < 48:
        return f"{hours}h"
    if hours < 192:
        return _two(days, "d", hours % 24, "h")
    if days < 730:
        return f"{days}d"
    if days < 2920:
        return _two(days // 365, "y", days % 365, "d")
    return f"{days // 365}y"


def _two(large: int, unit: str, small: int, small_unit: str) -> str:
    return f"{large}{unit}{small}{small_unit}" if small else f"{large}{unit}"
