"""Cron schedules: which times they name."""

from datetime import UTC, datetime

import pytest

from trainyard_operator.training.cron import parse


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("cron", "zone", "after", "expected"),
    [
        pytest.param("0 3 * * *", "Etc/UTC", "2026-12-01T02:59", "2026-12-01T03:00", id="every day"),
        pytest.param("0 3 * * *", "Etc/UTC", "2026-12-01T03:00", "2026-12-02T03:00", id="later, not at"),
        pytest.param("*/15 * * * *", "Etc/UTC", "2026-12-01T03:16", "2026-12-01T03:30", id="steps"),
        pytest.param("5/20 * * * *", "Etc/UTC", "2026-12-01T03:16", "2026-12-01T03:25", id="steps from 5 on"),
        pytest.param("0 9-17/4 * * *", "Etc/UTC", "2026-12-01T10:00", "2026-12-01T13:00", id="steps in a range"),
        pytest.param("30 1,5 * * *", "Etc/UTC", "2026-12-01T02:00", "2026-12-01T05:30", id="a list"),
        pytest.param("0 0 * * MON", "Etc/UTC", "2026-12-01T00:00", "2026-12-07T00:00", id="a day by its name"),
        pytest.param("0 0 * * 7", "Etc/UTC", "2026-12-01T00:00", "2026-12-06T00:00", id="7 is Sunday"),
        pytest.param("0 0 * * 1-5", "Etc/UTC", "2026-12-04T00:00", "2026-12-07T00:00", id="working days"),
        pytest.param("0 0 1 JAN *", "Etc/UTC", "2026-12-01T00:00", "2027-01-01T00:00", id="a month by its name"),
        pytest.param("0 0 29 2 *", "Etc/UTC", "2026-12-01T00:00", "2028-02-29T00:00", id="a leap day"),
        pytest.param("0 0 13 * FRI", "Etc/UTC", "2026-12-01T00:00", "2026-12-04T00:00", id="either kind of day"),
        pytest.param("0 0 */2 * 1", "Etc/UTC", "2026-12-01T00:00", "2026-12-07T00:00", id="both, where one is a star"),
        pytest.param("0 0 31 2 *", "Etc/UTC", "2026-12-01T00:00", None, id="never"),
        pytest.param("@weekly", "Etc/UTC", "2026-12-01T00:00", "2026-12-06T00:00", id="a word"),
        pytest.param("0 3 * * *", "Europe/Berlin", "2026-12-01T00:00", "2026-12-01T02:00", id="a time zone in winter"),
        pytest.param("0 3 * * *", "Europe/Berlin", "2026-07-01T00:00", "2026-07-01T01:00", id="and in summer"),
        pytest.param("0 3 * * *", "Asia/Tokyo", "2026-12-01T12:00", "2026-12-01T18:00", id="one that is ahead"),
        pytest.param("0 23 * * *", "America/Los_Angeles", "2026-12-01T06:00", "2026-12-01T07:00", id="one behind"),
        pytest.param("30 2 * * *", "Europe/Berlin", "2026-03-28T12:00", "2026-03-30T00:30", id="left out"),
        pytest.param("30 2 * * *", "Europe/Berlin", "2026-10-24T12:00", "2026-10-25T00:30", id="comes twice"),
        pytest.param("30 2 * * *", "Europe/Berlin", "2026-10-25T00:30", "2026-10-26T01:30", id="counts once"),
    ],
)
def test_the_next_time(cron: str, zone: str, after: str, expected: str | None) -> None:
    assert parse(cron, zone).after(utc(after)) == (expected and utc(expected))


@pytest.mark.parametrize(
    ("cron", "zone", "says"),
    [
        pytest.param("0 3 * *", "Etc/UTC", "expected five fields", id="four fields"),
        pytest.param("60 3 * * *", "Etc/UTC", "expected a minute from 0 to 59, got '60'", id="no such minute"),
        pytest.param("0 3 * * FUN", "Etc/UTC", "expected a day of the week from 0 to 7, got 'FUN'", id="no such day"),
        pytest.param("0 5-3 * * *", "Etc/UTC", "expected a hour from 0 to 23, got '5-3'", id="backwards"),
        pytest.param("*/0 * * * *", "Etc/UTC", "expected a minute", id="no step"),
        pytest.param("0 3 * * *", "Mars/Base", "expected a time zone such as Europe/Berlin", id="no such zone"),
        pytest.param("0 3 * * *", "../etc", "expected a time zone", id="a path"),
    ],
)
def test_what_is_no_schedule_is_refused(cron: str, zone: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        parse(cron, zone)
