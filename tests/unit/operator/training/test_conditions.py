"""The conditions of a training: each message once, and an answer for tools that read kstatus."""

from datetime import UTC, datetime

import pytest

from support.kstatus import kstatus
from trainyard_api.conditions import merge
from trainyard_operator.training.conditions import TrainingState, observations
from trainyard_operator.workloads.blockers import Blocker

WRONG = Blocker("DataNotFound", "ConfigMap 'rows' does not exist; create it")
FULL = Blocker("Unschedulable", "no node has 2 GPUs", transient=True)
STATES = [
    pytest.param(TrainingState("Pending", "Created", "a pod starts"), "InProgress", "Running", id="starts"),
    pytest.param(TrainingState("Running", "Running", "epoch 3 of 9"), "InProgress", "Running", id="runs"),
    pytest.param(TrainingState("Pending", WRONG.reason, WRONG.message, WRONG), "Failed", "Stalled", id="wrong"),
    pytest.param(TrainingState("Pending", FULL.reason, FULL.message, FULL), "InProgress", "Running", id="may pass"),
    pytest.param(TrainingState("Succeeded", "Completed", "trained 9 epochs"), "Current", "Succeeded", id="succeeded"),
    pytest.param(TrainingState("Failed", "Diverged", "loss is NaN", WRONG), "Failed", "Failed", id="failed"),
    pytest.param(TrainingState("Suspended", "Queued", "waits in queue a"), "Current", "Suspended", id="suspended"),
]


@pytest.mark.parametrize(("state", "judged", "teller"), STATES)
def test_kstatus_judges_each_state(state: TrainingState, judged: str, teller: str) -> None:
    conditions = merge([], observations(state), now=datetime(2026, 11, 30, tzinfo=UTC), generation=3)
    status = {"observedGeneration": 3, "conditions": [one.to_wire() for one in conditions]}

    assert kstatus({"metadata": {"generation": 3}, "status": status}) == judged


@pytest.mark.parametrize(("state", "judged", "teller"), STATES)
def test_the_message_stands_once(state: TrainingState, judged: str, teller: str) -> None:
    assert [one.type for one in observations(state) if state.message in one.message] == [teller]
