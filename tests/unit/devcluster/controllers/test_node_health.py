from datetime import timedelta
from typing import Any

import pytest

from support.workloads import NOW, Object, a_node, at
from trainyard_devcluster.controllers.nodes import health
from trainyard_devcluster.taints import NOT_READY_TAINT, UNREACHABLE_TAINT, UNSCHEDULABLE_TAINT


def a_node_that_is(ready: str | None, **spec: Any) -> Object:
    node = a_node(**spec)
    node["status"]["conditions"] = [{"type": "Ready", "status": ready}] if ready else []
    return node


def identities(node: Object) -> list[tuple[str, str]]:
    return [(entry["key"], entry["effect"]) for entry in health.taints(node, NOW)]


OTHER = {"key": "gpu", "effect": "NoSchedule"}
NO_SCHEDULE, NO_EXECUTE = "NoSchedule", "NoExecute"


@pytest.mark.parametrize(
    ("node", "expected"),
    [
        (a_node_that_is("True"), []),
        (a_node_that_is("True", taints=[OTHER]), [("gpu", NO_SCHEDULE)]),
        (a_node_that_is(None), [(NOT_READY_TAINT, NO_SCHEDULE)]),
        (a_node_that_is("False"), [(NOT_READY_TAINT, NO_SCHEDULE), (NOT_READY_TAINT, NO_EXECUTE)]),
        (a_node_that_is("Unknown"), [(UNREACHABLE_TAINT, NO_SCHEDULE), (UNREACHABLE_TAINT, NO_EXECUTE)]),
        (a_node_that_is("True", unschedulable=True), [(UNSCHEDULABLE_TAINT, NO_SCHEDULE)]),
        (
            a_node_that_is("True", taints=[{"key": NOT_READY_TAINT, "effect": NO_EXECUTE}, OTHER]),
            [("gpu", NO_SCHEDULE)],
        ),
    ],
)
def test_taints_follow_conditions_and_leave_others_alone(node: Object, expected: list[tuple[str, str]]) -> None:
    assert identities(node) == expected


def test_taints_that_are_right_stay_as_they_are() -> None:
    node = a_node_that_is("Unknown")
    node["spec"]["taints"] = health.taints(node, NOW)
    assert health.taints(node, NOW + timedelta(hours=1)) == node["spec"]["taints"]


def test_the_latest_of_lease_and_heartbeat_is_the_sign_of_life() -> None:
    lease = {"spec": {"renewTime": at(-2)}}
    assert health.last_sign_of_life(a_node(), lease) == NOW - timedelta(seconds=2)
    assert health.last_sign_of_life(a_node(), None) == NOW - timedelta(seconds=5)


def test_of_a_lost_node_nothing_is_known() -> None:
    conditions = health.conditions_of_lost(a_node(), NOW)
    assert {entry["type"]: entry["status"] for entry in conditions}["Ready"] == "Unknown"
    lost = a_node()
    lost["status"]["conditions"] = conditions
    assert health.conditions_of_lost(lost, NOW + timedelta(hours=1)) == conditions


@pytest.mark.parametrize(
    ("key", "tolerations", "delay"),
    [
        (UNREACHABLE_TAINT, [], 30.0),
        (UNREACHABLE_TAINT, [{"key": UNREACHABLE_TAINT, "operator": "Exists", "tolerationSeconds": 300}], 30.0),
        ("maintenance", [{"key": "maintenance", "operator": "Exists", "tolerationSeconds": 300}], 300.0),
        ("maintenance", [], 0.0),
        ("maintenance", [{"operator": "Exists"}], None),
        (UNREACHABLE_TAINT, [{"key": UNREACHABLE_TAINT, "operator": "Exists", "tolerationSeconds": 5}], 5.0),
        (UNREACHABLE_TAINT, [{"operator": "Exists", "tolerationSeconds": -1}], 0.0),
    ],
)
def test_a_pod_stays_as_long_as_it_tolerates_the_taint(key: str, tolerations: list[Object], delay: float) -> None:
    assert health.eviction_delay({"key": key, "effect": "NoExecute"}, tolerations, 30.0) == delay
