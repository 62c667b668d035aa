"""Dates and times as numbers that say something: how long ago, and where in the year, the week and the day.

Texts and Arrow's types are read here. The served graph does the same to texts (encoding/moments.py).
"""

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from trainyard_trainer.tensors import Doubles, Floats, Integers

PARTS = ("elapsed", "year", "yearSin", "yearCos", "weekdaySin", "weekdayCos", "hourSin", "hourCos")
"""The numbers of a date: days since 1970, the year, and what comes again as sine and cosine."""
_OFFSET = r"(?:Z| ?([-+])([0-9]{2})(?::?([0-9]{2}))?)?"
_TIME = rf"(?:[T ]([0-9]{{1,2}}):([0-9]{{2}})(?::([0-9]{{2}})(?:\.[0-9]+)?)?{_OFFSET}|Z)?"
YEAR_FIRST = rf"([0-9]{{4}})[-/.]([0-9]{{1,2}})[-/.]([0-9]{{1,2}}){_TIME}"
DAY_FIRST = rf"([0-9]{{1,2}})\.([0-9]{{1,2}})\.([0-9]{{4}}){_TIME}"
_Whole = Any
"""Whole numbers (int64), as array of numpy or tensor of TensorFlow."""
_FIELDS = ("a", "b", "c", "hour", "minute", "second", "sign", "offsetHours", "offsetMinutes")


def is_moment(text: str) -> bool:
    """Return whether a text is a date, with or without a time."""
    return re.fullmatch(YEAR_FIRST, text) is not None or re.fullmatch(DAY_FIRST, text) is not None


_MONTH = r"(?i:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*\.?"
_CLOCK = (
    r"(?:[T ,]*[0-9]{1,2}:[0-9]{2}(?::[0-9]{2}(?:[.,][0-9]+)?)?\s*(?i:[ap]m)?\s*(?:Z|UTC|GMT|[-+][0-9]{2}:?[0-9]{2})?)?"
)
_OTHER_MOMENTS = re.compile(
    rf"(?:[0-9]{{1,2}}[-/.][0-9]{{1,2}}[-/.](?:[0-9]{{2}}|[0-9]{{4}})|[0-9]{{4}}[-/.][0-9]{{1,2}}[-/.][0-9]{{1,2}}"
    rf"|(?i:[a-z]{{3,9}},? )?[0-9]{{1,2}}[-. ]{{1,2}}{_MONTH}[-, ]{{1,2}}[0-9]{{2,4}}"
    rf"|{_MONTH} [0-9]{{1,2}},? [0-9]{{4}})"
    rf"{_CLOCK}"
)


def looks_like_moment(text: str) -> bool:
    """Return whether a text is a date in any common notation, also those that are not read."""
    return is_moment(text) or _OTHER_MOMENTS.fullmatch(text) is not None


def is_moment_kind(kind: str) -> bool:
    """Return whether a kind of column is one of Arrow's dates or times of a day."""
    return kind.startswith(("timestamp", "date32", "date64"))


def as_texts(column: pa.Array) -> pa.Array:
    """Return a column of dates as texts."""
    if pa.types.is_temporal(column.type):
        if pa.types.is_timestamp(column.type):
            column = pc.cast(column, pa.timestamp("s", column.type.tz), safe=False)
            column = pc.cast(column, pa.timestamp("s"), safe=False)
        return pc.strftime(column, format="%Y-%m-%dT%H:%M:%S" if pa.types.is_timestamp(column.type) else "%Y-%m-%d")
    return pc.cast(column, pa.string())


def numbers(texts: pa.Array) -> tuple[Floats, list[int]]:
    """Return the numbers of dates, float32 [rows, PARTS], NaN where missing, and which of the texts are no dates."""
    found, odd = _numbers(texts)
    return found.astype(np.float32), odd


def elapsed(texts: pa.Array) -> tuple[Doubles, list[int]]:
    """Return the days since 1970 of dates, float64, NaN where missing, and which of the texts are no dates."""
    found, odd = _numbers(texts)
    return found[:, PARTS.index("elapsed")], odd


def _numbers(texts: pa.Array) -> tuple[Doubles, list[int]]:
    year_first, day_first = (_extracted(texts, pattern) for pattern in (YEAR_FIRST, DAY_FIRST))
    is_year_first = year_first["c"] > 0
    year = np.where(is_year_first, year_first["a"], day_first["c"])
    day = np.where(is_year_first, year_first["c"], day_first["a"])
    month, hour, minute, second, sign, offset_hours, offset_minutes = (
        np.where(is_year_first, year_first[field], day_first[field]) for field in ("b", *_FIELDS[3:])
    )
    there = (year > 0) & (month >= 1) & (month <= 12) & (day >= 1) & (day <= 31)
    given = pc.fill_null(pc.not_equal(texts, ""), False).to_numpy(zero_copy_only=False)
    moment = (year, month, day, hour, minute - sign * (60 * offset_hours + offset_minutes), second)
    columns = parts_of(moment, real=lambda whole: whole.astype(np.float64), waves=(np.sin, np.cos))
    found = np.stack(columns, axis=1)
    found[~there] = np.nan
    return found, np.flatnonzero(given & ~there).tolist()


def parts_of(
    moment: tuple[_Whole, ...],
    *,
    real: Callable[[_Whole], Any],
    waves: tuple[Callable[[Any], Any], Callable[[Any], Any]],
) -> list[Any]:
    """Return the numbers of dates in int64, by numpy or TensorFlow: `real` makes float64, `waves` are sine and cosine.

    Minutes may be negative or many, as an offset from UTC makes them. Days are counted, and counted back, as in
    Hinnant, "chrono-compatible low-level date algorithms" (2013): days_from_civil and civil_from_days.
    """
    year, month, day, hour, minute, second = moment
    minutes = 60 * hour + minute
    days = _days(year, month, day) + minutes // 1440
    year, month, day = _civil(days)

    hours = real(minutes % 1440) / 60 + real(second) / 3600
    turns = (
        (real(month) - 1 + (real(day) - 1) / 31) / 12,
        real((days + 4) % 7) / 7,
        hours / 24,
    )
    cyclic = [wave(2 * np.pi * turn) for turn in turns for wave in waves]
    return [real(days) + hours / 24, real(year), *cyclic]


def _days(year: _Whole, month: _Whole, day: _Whole) -> _Whole:
    """Return the days since 1970."""
    shifted = year - (14 - month) // 12
    of_year = (153 * ((month + 9) % 12) + 2) // 5 + day - 1
    era = shifted // 400
    year_of_era = shifted - era * 400
    return era * 146097 + year_of_era * 365 + year_of_era // 4 - year_of_era // 100 + of_year - 719468


def _civil(days: _Whole) -> tuple[_Whole, _Whole, _Whole]:
    """Return year, month and day of days since 1970."""
    shifted = days + 719468
    era = shifted // 146097
    of_era = shifted - era * 146097
    year_of_era = (of_era - of_era // 1460 + of_era // 36524 - of_era // 146096) // 365
    of_year = of_era - (365 * year_of_era + year_of_era // 4 - year_of_era // 100)
    from_march = (5 * of_year + 2) // 153
    month = (from_march + 2) % 12 + 1
    day = of_year - (153 * from_march + 2) // 5 + 1
    return year_of_era + era * 400 + (14 - month) // 12, month, day


def _extracted(texts: pa.Array, pattern: str) -> dict[str, Integers]:
    named = iter(_FIELDS)
    with_names = re.sub(r"\((?!\?)", lambda _: f"(?P<{next(named)}>", pattern)
    found = pc.extract_regex(pc.fill_null(texts, ""), f"^{with_names}$")

    def whole(field: str) -> Integers:
        digits = pc.struct_field(found, field)
        if field == "sign":
            return np.where(pc.equal(pc.fill_null(digits, ""), "-").to_numpy(zero_copy_only=False), -1, 1)
        digits = pc.if_else(pc.equal(digits, ""), "0", digits)
        return pc.fill_null(pc.cast(digits, pa.int64()), 0).to_numpy(zero_copy_only=False)

    return {field: whole(field) for field in _FIELDS}
