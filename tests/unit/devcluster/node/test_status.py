"""A pod's status follows from what its containers do."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from trainyard_devcluster.node.status import (
    ContainerView,
    PodView,
    Running,
    State,
    Terminated,
    Verdict,
    Waiting,
    pod_status,
)

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
WAITING = Waiting("ContainerCreating")
RUNNING = Running(NOW)
DONE = Terminated(0, "Completed", "", NOW, NOW, "devcluster://1")
FAILED = Terminated(3, "Error", "why", NOW, NOW, "devcluster://1")


def a_container(state: State, *, name: str = "main", last: Terminated | None = None, **rest: Any) -> ContainerView:
    running = isinstance(state, Running)
    return ContainerView(name, "image:1", state, last, started=running, **({"ready": running} | rest))


def a_pod(policy: str = "Always", **status: Any) -> dict[str, Any]:
    return {"spec": {"restartPolicy": policy}, "status": status}


def status_of(pod: dict[str, Any], *containers: ContainerView, **rest: Any) -> dict[str, Any]:
    return pod_status(pod, PodView(containers, host_ip="127.0.0.1", pod_ip="127.64.0.2", prepared=True, **rest), NOW)


def condition(status: dict[str, Any], kind: str) -> dict[str, Any]:
    return next(each for each in status["conditions"] if each["type"] == kind)


@pytest.mark.parametrize(
    ("policy", "states", "phase"),
    [
        ("Always", [WAITING], "Pending"),
        ("Always", [RUNNING, WAITING], "Pending"),
        ("Always", [RUNNING], "Running"),
        ("Always", [DONE], "Running"),
        ("Always", [FAILED], "Running"),
        ("OnFailure", [DONE], "Succeeded"),
        ("OnFailure", [FAILED], "Running"),
        ("OnFailure", [DONE, RUNNING], "Running"),
        ("Never", [DONE], "Succeeded"),
        ("Never", [DONE, FAILED], "Failed"),
        ("Never", [FAILED, RUNNING], "Running"),
    ],
)
def test_the_phase_follows_from_the_containers(policy: str, states: list[State], phase: str) -> None:
    assert status_of(a_pod(policy), *map(a_container, states))["phase"] == phase


def test_a_container_between_two_runs_keeps_the_pod_running() -> None:
    waiting = a_container(Waiting("CrashLoopBackOff", "back-off"), last=FAILED, restarts=2)
    status = status_of(a_pod(), waiting)
    assert status["phase"] == "Running"
    assert status["containerStatuses"][0]["state"] == {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off"}}
    assert status["containerStatuses"][0]["lastState"]["terminated"]["exitCode"] == 3
    assert status["containerStatuses"][0]["restartCount"] == 2


@pytest.mark.parametrize(("states", "phase"), [([DONE], "Succeeded"), ([FAILED], "Failed"), ([WAITING], "Failed")])
def test_a_pod_that_was_stopped_ends_in_a_final_phase(states: list[State], phase: str) -> None:
    assert status_of(a_pod("Always"), *map(a_container, states), stopped=True)["phase"] == phase


def test_a_verdict_fails_the_pod_with_its_reason() -> None:
    status = status_of(a_pod(), a_container(FAILED), verdict=Verdict("DeadlineExceeded", "too long"))
    assert (status["phase"], status["reason"], status["message"]) == ("Failed", "DeadlineExceeded", "too long")


@pytest.mark.parametrize(
    ("policy", "init", "phase"),
    [("Always", RUNNING, "Pending"), ("Never", FAILED, "Failed"), ("Always", FAILED, "Pending")],
)
def test_containers_wait_for_init_containers(policy: str, init: State, phase: str) -> None:
    status = status_of(a_pod(policy), a_container(WAITING), init=[a_container(init, name="first")])
    assert status["phase"] == phase
    assert condition(status, "Initialized")["status"] == "False"
    assert "[first]" in condition(status, "Initialized")["message"]


def test_a_sidecar_counts_as_initialized_once_it_has_started_and_as_ready_only_when_it_is() -> None:
    sidecar = a_container(RUNNING, name="side", sidecar=True, ready=False)
    status = status_of(a_pod("Never"), a_container(RUNNING), init=[sidecar])
    assert condition(status, "Initialized")["status"] == "True"
    assert condition(status, "Ready")["message"] == "containers with unready status: [side]"
    done = status_of(a_pod("Never"), a_container(DONE), init=[replace(sidecar, ready=True)])
    assert done["phase"] == "Running"  # until the node has stopped the sidecar


def test_a_pod_is_ready_when_all_its_containers_are() -> None:
    assert condition(status_of(a_pod(), a_container(RUNNING)), "Ready")["status"] == "True"
    unready = status_of(a_pod(), a_container(RUNNING, ready=False), a_container(RUNNING, name="other"))
    assert condition(unready, "Ready")["message"] == "containers with unready status: [main]"
    assert condition(status_of(a_pod("Never"), a_container(DONE)), "Ready")["reason"] == "PodCompleted"


def test_readiness_gates_hold_back_ready_alone() -> None:
    pod = a_pod(conditions=[{"type": "gate/a", "status": "False"}])
    pod["spec"]["readinessGates"] = [{"conditionType": "gate/a"}]
    status = status_of(pod, a_container(RUNNING))
    assert condition(status, "ContainersReady")["status"] == "True"
    assert condition(status, "Ready")["reason"] == "ReadinessGatesNotReady"


def test_transition_times_change_with_the_status_only_and_what_is_not_said_any_more_is_taken_back() -> None:
    before = status_of(a_pod(), a_container(RUNNING, ready=False))
    later = PodView([a_container(RUNNING)], pod_ip="127.64.0.2", prepared=True)
    after = pod_status(a_pod(**before), later, NOW + timedelta(seconds=9))
    assert condition(after, "PodReadyToStartContainers")["lastTransitionTime"] == "2026-11-24T12:00:00Z"
    assert condition(after, "Ready") == {
        "type": "Ready",
        "status": "True",
        "lastTransitionTime": "2026-11-24T12:00:09Z",
        "reason": None,
        "message": None,
    }


def test_a_terminated_container_says_how_it_ended() -> None:
    status = status_of(a_pod("Never"), a_container(FAILED, container_id="devcluster://1"))
    assert status["containerStatuses"][0]["state"] == {
        "terminated": {
            "exitCode": 3,
            "reason": "Error",
            "message": "why",
            "startedAt": "2026-11-24T12:00:00Z",
            "finishedAt": "2026-11-24T12:00:00Z",
            "containerID": "devcluster://1",
        }
    }
