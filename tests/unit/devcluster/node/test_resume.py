"""What a node agent makes of the containers of the one before it."""

from datetime import UTC, datetime
from typing import Any

import pytest

from trainyard_devcluster.node.resume import ended, statuses

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
END = {"exitCode": 3, "reason": "Error", "finishedAt": "2026-11-24T11:00:00Z", "containerID": "devcluster://1"}


@pytest.mark.parametrize(
    ("state", "last", "code"),
    [
        ({"terminated": END}, {}, 3),
        ({"running": {"startedAt": "2026-11-24T10:00:00Z"}}, {"terminated": END}, 137),
        ({"waiting": {"reason": "CrashLoopBackOff"}}, {"terminated": END}, 3),
        ({"waiting": {"reason": "ContainerCreating"}}, {}, None),
        ({}, {}, None),
    ],
)
def test_a_container_that_ran_was_ended_with_the_agent(
    state: dict[str, Any], last: dict[str, Any], code: int | None
) -> None:
    end = ended({"state": state, "lastState": last}, NOW)
    assert (end and end.exit_code) == code


def test_the_loss_is_reported_as_one() -> None:
    end = ended({"state": {"running": {"startedAt": "2026-11-24T10:00:00Z"}}, "containerID": "devcluster://1"}, NOW)
    assert end is not None
    assert (end.reason, end.finished, end.container_id) == ("ContainerStatusUnknown", NOW, "devcluster://1")


def test_init_containers_are_taken_over_too() -> None:
    pod = {"status": {"containerStatuses": [{"name": "a"}], "initContainerStatuses": [{"name": "b"}]}}
    assert [name for name, _ in statuses(pod)] == ["b", "a"]
