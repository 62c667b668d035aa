from datetime import timedelta
from typing import Any

import pytest

from support.serving import START
from trainyard_api.modelservice import ModelServiceStatus
from trainyard_api.times import to_rfc3339
from trainyard_operator.serving.events import events, last_events

NOW = to_rfc3339(START)


def a_revision(name: str, version: int) -> dict[str, Any]:
    return {"revision": name, "modelVersion": version, "uri": f"pvc://models/churn/{version}", "ready": 1}


A, B = a_revision("aaaaaaaa", 1), a_revision("bbbbbbbb", 2)


def a_status(phase: str, reason: str = "", *, holds: str = "", **fields: Any) -> ModelServiceStatus:
    conditions = [
        {
            "type": name,
            "status": str(name in holds.split()),
            "reason": reason or phase,
            "message": "why",
            "lastTransitionTime": NOW,
        }
        for name in ("Ready", "Available", "Progressing", "Degraded", "Stalled")
        if name != "Stalled" or name in holds
    ]
    return ModelServiceStatus.model_validate({"phase": phase, "conditions": conditions} | fields)


NEW = ModelServiceStatus()
WAITING = a_status("Pending", "WaitingForTraining")
NO_JOB = a_status("Pending", "NoTrainingJob")
FIRST = a_status("Progressing", "RollingOut", next=A)
SERVING = a_status("Ready", holds="Ready Available", current=A)
ROLLING = a_status("Progressing", "RollingOut", holds="Available Progressing", current=A, next=B)
BROKEN = a_status("Degraded", "ServerCrashed", holds="Available Degraded Stalled", current=A, next=B)
FULL = a_status("Degraded", "Unschedulable", holds="Available Degraded", current=A, next=B)
OUTAGE = a_status("Progressing", "Scaling", current=A)
STOPPED = a_status("Stopped", current=A)


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        pytest.param(NEW, WAITING, ["Normal WaitingForTraining"], id="waits for a training"),
        pytest.param(NEW, NO_JOB, ["Warning NoTrainingJob"], id="nothing to wait for"),
        pytest.param(WAITING, WAITING, [], id="waits still"),
        pytest.param(WAITING, FIRST, ["Normal RolloutStarted"], id="the first revision"),
        pytest.param(FIRST, SERVING, ["Normal RolledOut"], id="it serves"),
        pytest.param(SERVING, SERVING, [], id="nothing changed"),
        pytest.param(SERVING, ROLLING, ["Normal RolloutStarted"], id="the next revision"),
        pytest.param(ROLLING, BROKEN, ["Warning RolloutFailed"], id="which cannot serve"),
        pytest.param(ROLLING, FULL, ["Warning Unschedulable"], id="which has no room yet"),
        pytest.param(BROKEN, BROKEN, [], id="is told once"),
        pytest.param(SERVING, OUTAGE, ["Warning Unavailable"], id="an outage"),
        pytest.param(OUTAGE, SERVING, ["Normal Available"], id="its end"),
        pytest.param(SERVING, STOPPED, ["Normal Stopped"], id="stopped on request"),
        pytest.param(STOPPED, SERVING, [], id="started again"),
    ],
)
def test_a_change_is_told_once(before: ModelServiceStatus, after: ModelServiceStatus, expected: list[str]) -> None:
    assert [f"{event.type} {event.reason}" for event in events(before, after)] == expected


@pytest.mark.parametrize(
    ("status", "age", "expected"),
    [
        pytest.param(FIRST, 7200, ["RolloutStarted"], id="a rollout that goes on"),
        pytest.param(SERVING, 0, ["RolledOut"], id="a new revision"),
        pytest.param(SERVING, 7200, [], id="an old one"),
        pytest.param(STOPPED, 0, ["RolledOut", "Stopped"], id="stopped"),
        pytest.param(NO_JOB, 7200, ["NoTrainingJob"], id="what is waited for still"),
        pytest.param(BROKEN, 7200, ["RolloutStarted", "RolloutFailed"], id="what is wrong still"),
    ],
)
def test_a_successor_tells_the_last_change(status: ModelServiceStatus, age: int, expected: list[str]) -> None:
    since = START + timedelta(seconds=age) - timedelta(hours=1)

    assert [event.reason for event in last_events(status, START, since=since)] == expected
