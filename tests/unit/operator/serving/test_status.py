from collections.abc import Mapping
from typing import Any

import pytest

from support.serving import START, a_model_service
from trainyard_api.conditions import is_true
from trainyard_api.modelservice import ModelServiceStatus
from trainyard_api.server import Server
from trainyard_operator.cluster.port import Manifest
from trainyard_operator.serving.observed import ObservedService
from trainyard_operator.serving.revision import Revision, Target
from trainyard_operator.serving.rollout import Plan, Route, Step
from trainyard_operator.serving.situation import Situation, result
from trainyard_operator.serving.source import ModelVersion
from trainyard_operator.serving.status import compute
from trainyard_operator.workloads.blockers import Blocker

REVISION = Revision(ModelVersion("models", "churn", "2"), Server())
OLD = Revision(ModelVersion("models", "churn", "1"), Server())
WAITING = Blocker("WaitingForTraining", "soon")
LEFTOVER = Blocker("WaitingForCleanup", "a leftover", transient=True)
REJECTED = Blocker("Rejected", "a policy")


def pods(count: int) -> list[Manifest]:
    ready = {"type": "Ready", "status": "True", "lastTransitionTime": "2026-11-23T10:00:00Z"}
    return [
        {"metadata": {"name": f"p-{n}"}, "status": {"podIP": f"10.0.0.{n}", "conditions": [ready]}}
        for n in range(count)
    ]


def a_deployment(revision: Revision, available: int, replicas: int = 2) -> Manifest:
    return {
        "metadata": {
            "name": revision.id,
            "generation": 1,
            "annotations": {"trainyard.dev/model-uri": revision.model.uri},
        },
        "spec": {"replicas": replicas},
        "status": {"observedGeneration": 1, "availableReplicas": available},
    }


def a_situation(
    *,
    new: int = 0,
    old: int = 0,
    replicas: int = 2,
    serving: Revision | None = None,
    target: Target | None = None,
    not_serving: Mapping[str, str] | None = None,
) -> Situation:
    there = [(REVISION, new), (OLD, old)]
    return Situation(
        owner=a_model_service().build(),
        replicas=replicas,
        observed=ObservedService(
            service=None,
            deployments={revision.id: a_deployment(revision, count) for revision, count in there},
            config_maps={},
            pods={revision.id: pods(count) for revision, count in there},
        ),
        route=Route(serving.id, START) if serving else Route(REVISION.id),
        target=target or Target(REVISION),
        not_serving=not_serving or {},
        missing_store=None,
        now=START,
    )


@pytest.mark.parametrize(
    ("fields", "refused", "phase", "reason", "available"),
    [
        pytest.param({}, None, "Progressing", "RollingOut", False, id="the first revision starts"),
        pytest.param({"new": 2, "serving": REVISION}, None, "Ready", "Serving", True, id="serves"),
        pytest.param({"new": 1, "serving": REVISION}, None, "Progressing", "Scaling", True, id="lacks a pod"),
        pytest.param({"replicas": 0, "serving": REVISION}, None, "Stopped", "Stopped", False, id="stopped"),
        pytest.param({"old": 2, "new": 1, "serving": OLD}, None, "Progressing", "RollingOut", True, id="rolls out"),
        pytest.param({"target": Target(waiting=WAITING)}, None, "Pending", "WaitingForTraining", False, id="waits"),
        pytest.param({"target": Target(blocker=REJECTED)}, None, "Degraded", "Rejected", False, id="a bad spec"),
        pytest.param({"old": 2, "serving": OLD}, LEFTOVER, "Progressing", "WaitingForCleanup", True, id="a leftover"),
        pytest.param({"old": 2, "serving": OLD}, REJECTED, "Degraded", "Rejected", True, id="a refusal"),
    ],
)
def test_the_phase_sums_up_what_was_found(
    fields: dict[str, Any], refused: Blocker | None, phase: str, reason: str, available: bool
) -> None:
    situation = a_situation(**fields)

    after = compute(ModelServiceStatus(), situation, result(situation, Plan(Step.IDLE, situation.route), refused))

    assert after.phase == phase
    assert after.conditions[0].reason == reason
    assert is_true(after.conditions, "Available") == available
    assert is_true(after.conditions, "Ready") == (phase == "Ready")


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        pytest.param({"new": 2}, True, id="all its pods answer"),
        pytest.param({"new": 1}, False, id="one is missing"),
        pytest.param({"new": 2, "not_serving": {"p-0": "LOADING"}}, False, id="one does not answer"),
        pytest.param({"new": 1, "serving": OLD}, True, id="nothing else answers"),
        pytest.param({"new": 1, "old": 1, "serving": OLD}, False, id="the old one answers"),
    ],
)
def test_when_the_target_may_take_over(fields: dict[str, Any], expected: bool) -> None:
    assert a_situation(**fields).may_take_over == expected


def test_what_keeps_serving_is_said() -> None:
    situation = a_situation(old=2, new=1, serving=OLD)

    after = compute(ModelServiceStatus(), situation, result(situation, Plan(Step.IDLE, situation.route), None))

    assert after.current is not None
    assert after.next is not None
    assert (after.current.uri, after.next.uri) == (OLD.model.uri, REVISION.model.uri)
    assert "version 1 of churn keeps serving" in after.conditions[0].message
