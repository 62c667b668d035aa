import pytest

from support.workloads import NOW, Object, a_pod, a_replica_set
from trainyard_devcluster.controllers.pod_template import parting_rank
from trainyard_devcluster.controllers.replica_set import next_change, status_of, surplus

LABELS = {"app": "web", "pod-template-hash": "rs"}


def a_set(replicas: int, min_ready: int = 0) -> Object:
    made = a_replica_set("rs", replicas)
    made["spec"]["minReadySeconds"] = min_ready
    return made


def test_status_counts_ready_pods_and_those_that_were_ready_for_long_enough() -> None:
    active = [
        a_pod("a", labels=LABELS, ready_since=-30),
        a_pod("b", labels=LABELS, ready_since=-5),
        a_pod("c", labels=LABELS, ready=False),
    ]
    status = status_of(a_set(3, min_ready=10), active, None, NOW)
    assert status == {
        "replicas": 3,
        "fullyLabeledReplicas": 3,
        "readyReplicas": 2,
        "availableReplicas": 1,
        "observedGeneration": 1,
    }
    assert next_change(a_set(3, min_ready=10), active, NOW) == 5


@pytest.mark.parametrize(("pods", "reason"), [(0, "FailedCreate"), (3, "FailedDelete")])
def test_a_refusal_of_the_api_server_is_told_until_it_is_over(pods: int, reason: str) -> None:
    active = [a_pod(str(number)) for number in range(pods)]
    status = status_of(a_set(1), active, "no", NOW)
    assert [(entry["type"], entry["reason"], entry["message"]) for entry in status["conditions"]] == [
        ("ReplicaFailure", reason, "no")
    ]
    assert "conditions" not in status_of(a_set(1) | {"status": status}, active, None, NOW)


def test_surplus_is_what_is_there_less_what_is_wanted() -> None:
    assert [surplus(a_set(2), [a_pod(str(n)) for n in range(have)]) for have in (0, 2, 5)] == [-2, 0, 3]


def test_the_first_to_go_are_those_with_which_least_is_lost() -> None:
    order = [
        a_pod("unassigned", phase="Pending", node=""),
        a_pod("pending", phase="Pending"),
        a_pod("unready", ready=False),
        a_pod("ready since just now", ready_since=-1),
        a_pod("ready for long", ready_since=-99),
    ]
    shuffled = order[::-1]
    assert sorted(shuffled, key=parting_rank) == order
