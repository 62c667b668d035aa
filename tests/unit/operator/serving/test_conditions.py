"""The conditions of a service: each message once, and an answer for tools that read kstatus."""

from datetime import UTC, datetime

import pytest

from support.kstatus import kstatus
from trainyard_api.conditions import merge
from trainyard_api.modelservice import Phase
from trainyard_operator.serving.conditions import ServiceState, observations
from trainyard_operator.workloads.blockers import Blocker

WRONG = Blocker("StoreNotFound", "claim 'models' does not exist; create it")
FULL = Blocker("Unschedulable", "no node has 2 GPUs", transient=True)
STATES = [
    pytest.param(ServiceState("Ready", "Serving", "2 of 2 pods of version 1 answer", 2), "Current", id="serves"),
    pytest.param(ServiceState("Progressing", "RollingOut", "0 of 2 pods answer", 0), "InProgress", id="first rollout"),
    pytest.param(ServiceState("Progressing", "Canary", "version 2 gets 10 %", 2), "InProgress", id="canary"),
    pytest.param(ServiceState("Pending", "NoTrainingJob", "no TrainingJob", 0), "InProgress", id="waits"),
    pytest.param(ServiceState("Degraded", WRONG.reason, WRONG.message, 0, WRONG), "Failed", id="wrong"),
    pytest.param(
        ServiceState("Degraded", WRONG.reason, f"{WRONG.message}; 1 serves", 2, WRONG), "Failed", id="old one"
    ),
    pytest.param(ServiceState("Degraded", FULL.reason, FULL.message, 0, FULL), "InProgress", id="may pass"),
    # Ready is not true of a service without pods, and so kstatus waits for it.
    pytest.param(ServiceState("Stopped", "Stopped", "spec.replicas is 0", 0), "InProgress", id="stopped"),
]


@pytest.mark.parametrize(("state", "judged"), STATES)
def test_kstatus_judges_each_state(state: ServiceState, judged: str) -> None:
    conditions = merge([], observations(state), now=datetime(2026, 11, 30, tzinfo=UTC), generation=3)
    status = {"observedGeneration": 3, "conditions": [one.to_wire() for one in conditions]}

    assert kstatus({"metadata": {"generation": 3}, "status": status}) == judged
    assert kstatus({"metadata": {"generation": 4}, "status": status}) == "InProgress", "an older spec"


@pytest.mark.parametrize(
    ("phase", "reason", "moving"),
    [
        ("Pending", "WaitingForTraining", "True"),
        ("Progressing", "RollingOut", "True"),
        ("Pending", "TrainingFailed", "False"),
        ("Pending", "NoTrainingJob", "False"),
        ("Degraded", "StoreNotFound", "False"),
        ("Ready", "Serving", "False"),
    ],
)
def test_waiting_for_the_end_of_progress_ends_well_or_badly(phase: Phase, reason: str, moving: str) -> None:
    (progressing,) = [one for one in observations(ServiceState(phase, reason, "", 0)) if one.type == "Progressing"]

    assert progressing.status == moving


@pytest.mark.parametrize(("state", "judged"), STATES)
def test_the_message_stands_once_in_ready(state: ServiceState, judged: str) -> None:
    saying = [one.type for one in observations(state) if (state.blocker or state).message in one.message]

    assert saying == ["Ready"]
