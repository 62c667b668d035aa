"""The five fields of a cron schedule, as cron(8) and Kubernetes' CronJobs read them. Pure functions.

Times are those of the schedule's time zone. A time that a change to summer time leaves out does not come; one that
comes twice counts once.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

_MACROS = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}
_MONTH_NAMES = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_MONTHS = {name: number for number, name in enumerate(_MONTH_NAMES, 1)}
_DAYS = {name: number for number, name in enumerate(("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"))}
_FIELDS: tuple[tuple[str, int, int, Mapping[str, int]], ...] = (
    ("minute", 0, 59, {}),
    ("hour", 0, 23, {}),
    ("day of the month", 1, 31, {}),
    ("month", 1, 12, _MONTHS),
    ("day of the week", 0, 7, _DAYS),
)
_PART = re.compile(r"^(\*|[A-Z0-9]{1,3}(?:-[A-Z0-9]{1,3})?)(?:/([0-9]{1,3}))?$")
_FARTHEST = timedelta(days=8 * 366)
"""A 29th of February can be eight years away."""


@dataclass(frozen=True, slots=True)
class Cron:
    """When something is due.

    Attributes:
        any_day: Whether one of both kinds of days is enough: so it is where both are restricted.
    """

    minutes: tuple[int, ...]
    hours: tuple[int, ...]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]
    any_day: bool
    zone: ZoneInfo

    def after(self, time: datetime) -> datetime | None:
        """Return the first time later than this one, or None where there is none."""
        day = time.astimezone(self.zone).date() - timedelta(days=1)
        while day - time.date() < _FARTHEST:
            found = next((due for due in self._times(day) if due > time), None)
            if found is not None:
                return found
            day += timedelta(days=1)
        return None

    def _times(self, day: date) -> Iterator[datetime]:
        if not self._is_on(day):
            return
        for hour in self.hours:
            for minute in self.minutes:
                local = datetime(day.year, day.month, day.day, hour, minute, tzinfo=self.zone)
                due = local.astimezone(UTC)
                if due.astimezone(self.zone).replace(tzinfo=None) == local.replace(tzinfo=None):
                    yield due

    def _is_on(self, day: date) -> bool:
        if day.month not in self.months:
            return False
        of_month, of_week = day.day in self.days, day.isoweekday() % 7 in self.weekdays
        return of_month or of_week if self.any_day else of_month and of_week


def parse(text: str, zone: str) -> Cron:
    """Read a schedule.

    Raises:
        ValueError: it is none, or there is no such time zone.
    """
    try:
        where = ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ValueError(f"expected a time zone such as Europe/Berlin, got {zone!r}") from error
    parts = _MACROS.get(text.strip().lower(), text).upper().split()
    if len(parts) != len(_FIELDS):
        raise ValueError(f"expected five fields such as 0 3 * * MON, or @daily, got {text!r}")
    minutes, hours, days, months, weekdays = (_values(part, *field) for part, field in zip(parts, _FIELDS, strict=True))
    return Cron(
        minutes=tuple(sorted(minutes)),
        hours=tuple(sorted(hours)),
        days=frozenset(days),
        months=frozenset(months),
        weekdays=frozenset(day % 7 for day in weekdays),
        any_day=not parts[2].startswith("*") and not parts[4].startswith("*"),
        zone=where,
    )


def _values(text: str, field: str, least: int, most: int, names: Mapping[str, int]) -> set[int]:
    found: set[int] = set()
    for part in text.split(","):
        match = _PART.match(part)
        if match is None:
            raise ValueError(f"expected a {field} from {least} to {most}, such as * or {least}-{most}/2, got {part!r}")
        first, last = _bounds(match[1], field, least, most, names)
        step = int(match[2]) if match[2] else 1
        # 5/15 means from 5 on.
        if match[2] and "-" not in match[1] and match[1] != "*":
            last = most
        if not (least <= first <= last <= most and step > 0):
            raise ValueError(f"expected a {field} from {least} to {most}, got {part!r}")
        found.update(range(first, last + 1, step))
    return found


def _bounds(text: str, field: str, least: int, most: int, names: Mapping[str, int]) -> tuple[int, int]:
    if text == "*":
        return least, most
    ends = [names[end] if end in names else int(end) if end.isdecimal() else None for end in text.split("-")]
    if None in ends:
        raise ValueError(f"expected a {field} from {least} to {most}, got {text!r}")
    known = [end for end in ends if end is not None]
    return known[0], known[-1]
