"""Deadlines and grace periods."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from trainyard_devcluster.node.lifetimes import pod_grace, restart_grace, time_left

NOW = datetime(2026, 11, 24, tzinfo=UTC)


@pytest.mark.parametrize(
    ("spec", "asked", "going", "vanished", "seconds"),
    [
        ({}, None, False, False, 30),
        ({"terminationGracePeriodSeconds": 0}, None, False, False, 0),
        ({"terminationGracePeriodSeconds": 5}, 60, True, False, 60),
        ({"terminationGracePeriodSeconds": 5}, 0, True, False, 1),
        ({"terminationGracePeriodSeconds": 5}, 60, True, True, 1),
    ],
)
def test_a_pod_gets_the_grace_of_its_deletion_else_its_own(
    spec: dict[str, Any], asked: int | None, going: bool, vanished: bool, seconds: float
) -> None:
    metadata = {} if asked is None else {"deletionGracePeriodSeconds": asked}
    assert pod_grace({"metadata": metadata, "spec": spec}, going=going, vanished=vanished) == seconds


@pytest.mark.parametrize(
    ("container", "seconds"), [({}, 7), ({"livenessProbe": {"terminationGracePeriodSeconds": 2}}, 2)]
)
def test_a_probe_may_give_less_grace_than_the_pod(container: dict[str, Any], seconds: float) -> None:
    assert restart_grace({"spec": {"terminationGracePeriodSeconds": 7}}, container) == seconds


@pytest.mark.parametrize(("deadline", "ago", "left"), [(None, 5, None), (60, 5, 55), (60, 90, 0)])
def test_a_deadline_counts_from_the_start(deadline: int | None, ago: int, left: float | None) -> None:
    pod = {"spec": {"activeDeadlineSeconds": deadline}}
    assert time_left(pod, NOW - timedelta(seconds=ago), NOW) == left
