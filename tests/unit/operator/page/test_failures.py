"""Too many failures of one address are stopped, for a while and for that address alone."""

from trainyard_operator.page.failures import MOST_FAILURES, Failures


def test_an_address_waits_after_its_last_failure_that_counts() -> None:
    now = 100.0
    failures = Failures(lambda: now)
    for _ in range(MOST_FAILURES - 1):
        failures.add("10.0.0.1")
    assert failures.wait("10.0.0.1") == 0

    now = 110.0
    failures.add("10.0.0.1")
    assert (failures.wait("10.0.0.1"), failures.wait("10.0.0.2")) == (50.0, 0)

    now = 160.0
    assert failures.wait("10.0.0.1") == 0
    failures.add("10.0.0.1")
    assert failures.wait("10.0.0.1") == 0, "the first ones are forgotten"


def test_what_is_remembered_is_bounded() -> None:
    failures = Failures(lambda: 0.0)
    for number in range(5000):
        failures.add(str(number))

    assert len(failures._times) == 2000
