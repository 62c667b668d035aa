from datetime import timedelta

import pytest

from support.workloads import NOW, Object, a_deployment, a_replica_set
from trainyard_devcluster.controllers.deployment.spec import parse
from trainyard_devcluster.controllers.deployment.status import deadline, status_of


def reasons(status: Object) -> dict[str, tuple[str, str]]:
    return {entry["type"]: (entry["status"], entry["reason"]) for entry in status["conditions"]}


def told(deployment: Object, new: Object | None, old: list[Object], after: float = 0) -> Object:
    """The deployment with the status that it gets now."""
    moment = NOW + timedelta(seconds=after)
    return deployment | {"status": status_of(deployment, parse(deployment), new, old, moment)}


def test_counts_are_those_of_the_replica_sets() -> None:
    deployment = told(a_deployment(replicas=3), a_replica_set("new", 2, available=1), [a_replica_set("old", 2)])
    counts = {key: value for key, value in deployment["status"].items() if key != "conditions"}
    assert counts == {
        "replicas": 4,
        "updatedReplicas": 2,
        "readyReplicas": 3,
        "availableReplicas": 3,
        "unavailableReplicas": 1,
        "observedGeneration": 1,
    }


def test_a_rollout_progresses_and_completes() -> None:
    deployment = told(a_deployment(replicas=1), a_replica_set("new", 1, available=0), [])
    assert reasons(deployment["status"]) == {
        "Available": ("False", "MinimumReplicasUnavailable"),
        "Progressing": ("True", "NewReplicaSetCreated"),
    }
    deployment = told(deployment, a_replica_set("new", 1), [])
    assert reasons(deployment["status"]) == {
        "Available": ("True", "MinimumReplicasAvailable"),
        "Progressing": ("True", "NewReplicaSetAvailable"),
    }


def test_a_rollout_that_stands_still_times_out_and_one_that_moves_does_not() -> None:
    deployment = told(a_deployment(replicas=2, progressDeadlineSeconds=60), a_replica_set("new", 2, available=0), [])
    assert deadline(deployment, parse(deployment)) == NOW + timedelta(seconds=60)
    deployment = told(deployment, a_replica_set("new", 2, available=1), [], after=50)
    deployment = told(deployment, a_replica_set("new", 2, available=1), [], after=100)
    assert reasons(deployment["status"])["Progressing"] == ("True", "ReplicaSetUpdated")
    deployment = told(deployment, a_replica_set("new", 2, available=1), [], after=110)
    assert reasons(deployment["status"])["Progressing"] == ("False", "ProgressDeadlineExceeded")
    assert deadline(deployment, parse(deployment)) is None


def test_a_new_template_starts_progress_anew() -> None:
    deployment = told(a_deployment(), a_replica_set("first", 1), [])
    deployment = told(deployment, a_replica_set("second", 1, available=0), [a_replica_set("first", 1)])
    assert reasons(deployment["status"])["Progressing"] == ("True", "ReplicaSetUpdated")


def test_a_complete_deployment_that_loses_a_pod_is_not_a_rollout() -> None:
    deployment = told(a_deployment(replicas=2), a_replica_set("new", 2), [])
    deployment = told(deployment, a_replica_set("new", 2, available=1), [], after=10_000)
    assert reasons(deployment["status"])["Progressing"] == ("True", "NewReplicaSetAvailable")


@pytest.mark.parametrize(("paused", "reason"), [(True, "DeploymentPaused"), (False, "DeploymentResumed")])
def test_pausing_is_told(paused: bool, reason: str) -> None:
    new = a_replica_set("new", 1, available=0)
    deployment = told(a_deployment(paused=True), new, [])
    deployment["spec"]["paused"] = paused
    assert reasons(told(deployment, new, [])["status"])["Progressing"] == ("Unknown", reason)


def test_a_replica_set_that_cannot_make_pods_is_told() -> None:
    failure = {"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": "no quota"}
    deployment = told(a_deployment(), a_replica_set("new", 1, available=0, conditions=[failure]), [])
    assert reasons(deployment["status"])["ReplicaFailure"] == ("True", "FailedCreate")
    assert "ReplicaFailure" not in reasons(told(deployment, a_replica_set("new", 1), [])["status"])


def test_the_same_state_gives_the_same_status_later() -> None:
    deployment = told(a_deployment(), a_replica_set("new", 1), [])
    assert told(deployment, a_replica_set("new", 1), [], after=3600) == deployment
