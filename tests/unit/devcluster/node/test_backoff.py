"""How long a container that keeps ending waits before its next start."""

from datetime import UTC, datetime, timedelta

from trainyard_devcluster.node.backoff import Backoff

NOW = datetime(2026, 11, 24, tzinfo=UTC)


def test_the_first_restart_is_immediate_and_the_delay_then_doubles_up_to_five_minutes() -> None:
    backoff = Backoff()
    assert [backoff.next(NOW).total_seconds() for _ in range(8)] == [0, 10, 20, 40, 80, 160, 300, 300]


def test_a_container_that_ran_for_long_starts_anew() -> None:
    backoff = Backoff()
    for _ in range(4):
        backoff.next(NOW)
    assert backoff.next(NOW + timedelta(minutes=9)) == timedelta(seconds=80)
    assert backoff.next(NOW + timedelta(minutes=30)) == timedelta(0)
