from datetime import timedelta
from typing import Any

import pytest

from support.training import START
from trainyard_api.times import to_rfc3339
from trainyard_api.trainingjob import TrainingJobStatus
from trainyard_operator.training.events import events, last_events
from trainyard_operator.workloads.blockers import Blocker

NOW = to_rfc3339(START)
MODEL = {"name": "churn", "version": 1, "uri": "pvc://models/churn/1", "digest": "sha256:0", "metrics": {"loss": "0.5"}}
FAILURE = {"reason": "Error", "message": "exit code 1: boom"}


def a_status(phase: str, blocker: Blocker | None = None, **fields: Any) -> TrainingJobStatus:
    reason, message = (blocker.reason, blocker.message) if blocker else (phase, "")
    holding = {phase} | ({"Stalled"} if blocker and not blocker.transient else set())
    conditions = [
        {"type": name, "status": str(name in holding), "reason": reason, "message": message, "lastTransitionTime": NOW}
        for name in ("Running", "Suspended", "Succeeded", "Failed", "Stalled")
        if name != "Stalled" or name in holding
    ]
    return TrainingJobStatus.model_validate({"phase": phase, "conditions": conditions} | fields)


def an_attempt(n: int, outcome: str, **fields: Any) -> dict[str, Any]:
    return {"n": n, "outcome": outcome, "started": NOW} | ({} if outcome == "Running" else {"ended": NOW}) | fields


NEW = TrainingJobStatus()
SUSPENDED = a_status("Suspended", attempts=[an_attempt(0, "Running")])
RUNNING = a_status("Running", attempts=[an_attempt(0, "Running")])
SUCCEEDED = a_status("Succeeded", attempts=[an_attempt(0, "Succeeded")], model=MODEL)
FAILED = a_status("Failed", attempts=[an_attempt(0, "Failed")], failure=FAILURE)
BLOCKED = a_status("Pending", Blocker("StoreNotFound", "create it"))
FULL = a_status("Pending", Blocker("Unschedulable", "0/3 nodes", transient=True))
CLEANING = a_status("Pending", Blocker("WaitingForCleanup", "a leftover", transient=True))


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        pytest.param(NEW, RUNNING, ["Normal TrainingStarted Started the training"], id="started"),
        pytest.param(RUNNING, RUNNING, [], id="nothing changed"),
        pytest.param(RUNNING, SUCCEEDED, ["Normal Succeeded Trained pvc://models/churn/1 (loss 0.5)"], id="succeeded"),
        pytest.param(RUNNING, FAILED, ["Warning Failed Error: exit code 1: boom"], id="failed is told once"),
        pytest.param(FAILED, FAILED, [], id="failed stays failed"),
        pytest.param(
            RUNNING,
            a_status("Starting", attempts=[an_attempt(0, "Failed")], failure=FAILURE),
            ["Warning AttemptFailed Attempt 0 failed. Error: exit code 1: boom"],
            id="an attempt failed",
        ),
        pytest.param(
            RUNNING,
            a_status("Starting", attempts=[an_attempt(0, "Stopped")]),
            ["Warning AttemptStopped Attempt 0 was stopped from outside; not charged"],
            id="an attempt was stopped",
        ),
        pytest.param(
            a_status("Starting", attempts=[an_attempt(0, "Failed")]),
            a_status(
                "Starting",
                attempts=[an_attempt(0, "Failed"), an_attempt(1, "Running")],
                lastCheckpoint={"step": 50, "path": "x", "time": NOW},
            ),
            ["Normal TrainingRestarted Started attempt 1 from step 50"],
            id="goes on from a checkpoint",
        ),
        pytest.param(
            RUNNING,
            a_status("Suspended", attempts=[an_attempt(0, "Running")]),
            ["Normal Suspended Suspended; set spec.runPolicy.suspend to false to go on"],
            id="suspended",
        ),
        pytest.param(
            a_status("Suspended", attempts=[an_attempt(0, "Running")]),
            RUNNING,
            ["Normal Resumed Resumed"],
            id="resumed",
        ),
        pytest.param(NEW, BLOCKED, ["Warning StoreNotFound create it"], id="blocked"),
        pytest.param(BLOCKED, BLOCKED, [], id="blocked still"),
        pytest.param(NEW, FULL, ["Warning Unschedulable 0/3 nodes"], id="a full cluster"),
        pytest.param(NEW, CLEANING, [], id="what goes by itself alarms nobody"),
    ],
)
def test_a_change_is_told_once(before: TrainingJobStatus, after: TrainingJobStatus, expected: list[str]) -> None:
    assert [f"{event.type} {event.reason} {event.message}" for event in events(before, after)] == expected


@pytest.mark.parametrize(
    ("status", "age", "expected"),
    [
        pytest.param(RUNNING, 0, ["TrainingStarted"], id="a start"),
        pytest.param(SUCCEEDED, 0, ["Succeeded"], id="a success"),
        pytest.param(SUCCEEDED, 7200, [], id="an old success"),
        pytest.param(FAILED, 0, ["Failed"], id="a failure"),
        pytest.param(BLOCKED, 7200, ["StoreNotFound"], id="what is in the way, however old"),
        pytest.param(NEW, 0, [], id="nothing happened"),
    ],
)
def test_a_successor_tells_the_last_change(status: TrainingJobStatus, age: int, expected: list[str]) -> None:
    since = START + timedelta(seconds=age) - timedelta(hours=1)

    assert [event.reason for event in last_events(status, since=since)] == expected
