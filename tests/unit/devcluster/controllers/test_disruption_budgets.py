from datetime import timedelta

import pytest

from support.workloads import NOW, Object, a_pod, a_replica_set, metadata
from trainyard_devcluster.controllers.disruption_budgets import expected_pods, status_of
from trainyard_devcluster.events import timestamp

OWNER = a_replica_set("web", 4)


def a_budget(**spec: object) -> Object:
    return {"metadata": metadata("budget"), "spec": {"selector": {}} | spec}


@pytest.mark.parametrize(
    ("spec", "healthy", "expected", "desired", "allowed"),
    [
        ({"minAvailable": 1}, 2, 2, 1, 1),
        ({"minAvailable": 1}, 1, 1, 1, 0),
        ({"minAvailable": "50%"}, 3, 4, 2, 1),
        ({"maxUnavailable": 1}, 4, 4, 3, 1),
        ({"maxUnavailable": 1}, 2, 4, 3, 0),
        ({"maxUnavailable": "30%"}, 4, 4, 2, 2),
        ({"minAvailable": 1}, 0, 0, 1, 0),
    ],
)
def test_how_many_pods_may_be_evicted(spec: Object, healthy: int, expected: int, desired: int, allowed: int) -> None:
    own = [a_pod(str(number)) for number in range(healthy)]
    status = status_of(a_budget(**spec), own, expected, NOW)
    assert (status["currentHealthy"], status["desiredHealthy"], status["disruptionsAllowed"]) == (
        healthy,
        desired,
        allowed,
    )
    assert status["conditions"][0]["status"] == str(allowed > 0)


def test_pods_that_are_leaving_or_not_ready_do_not_count() -> None:
    own = [a_pod("a"), a_pod("b", deleted=True), a_pod("c", ready=False)]
    assert status_of(a_budget(minAvailable=1), own, 3, NOW)["currentHealthy"] == 1


def test_what_a_share_is_taken_of_is_what_the_controllers_ask_for() -> None:
    own = [a_pod("a", owner=OWNER), a_pod("b", owner=OWNER), a_pod("free")]
    assert expected_pods(a_budget(maxUnavailable=1), own, lambda owner: 4) == 5
    assert expected_pods(a_budget(maxUnavailable=1), own, lambda owner: None) == 3
    assert expected_pods(a_budget(minAvailable=1), own, lambda owner: 4) == 3


@pytest.mark.parametrize(
    ("noted", "allowed", "kept"),
    [
        pytest.param({}, 1, [], id="nobody was evicted"),
        pytest.param({"a": 1}, 0, ["a"], id="evicted just now, which the pod does not show yet"),
        pytest.param({"a": 121}, 1, [], id="an eviction that came to nothing"),
        pytest.param({"gone": 1}, 1, [], id="a pod that is gone"),
        pytest.param({"leaving": 1}, 1, [], id="a pod that is seen to go counts by itself"),
    ],
)
def test_evictions_count_before_their_pods_are_seen_to_go(
    noted: dict[str, float], allowed: int, kept: list[str]
) -> None:
    own = [a_pod("a"), a_pod("b"), a_pod("leaving", deleted=True)]
    budget = a_budget(maxUnavailable=1)
    budget["status"] = {
        "disruptedPods": {name: timestamp(NOW - timedelta(seconds=seconds)) for name, seconds in noted.items()}
    }

    status = status_of(budget, own, 2, NOW)

    assert status["disruptionsAllowed"] == allowed
    assert list(status["disruptedPods"]) == kept
