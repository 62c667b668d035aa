"""How fast an autoscaler may act: windows and policies."""

from datetime import timedelta

import pytest

from support.workloads import NOW, Object
from trainyard_devcluster.controllers.autoscaler.behavior import History, decide

PODS = {"type": "Pods", "value": 2, "periodSeconds": 60}
PERCENT = {"type": "Percent", "value": 50, "periodSeconds": 60}
AT_ONCE = {"scaleDown": {"stabilizationWindowSeconds": 0}}


def ago(seconds: float, value: int) -> tuple[object, int]:
    return NOW - timedelta(seconds=seconds), value


def a_spec(behavior: Object | None = None, *, least: int = 1, most: int = 100) -> Object:
    return {"minReplicas": least, "maxReplicas": most} | ({"behavior": behavior} if behavior else {})


@pytest.mark.parametrize(
    ("spec", "current", "desired", "replicas", "limited"),
    [
        (a_spec(), 2, 5, 5, None),
        (a_spec(), 2, 50, 6, "ScaleUpLimit"),
        (a_spec(), 10, 50, 20, "ScaleUpLimit"),
        (a_spec(most=4), 2, 50, 4, "TooManyReplicas"),
        (a_spec(), 10, 5, 5, None),
        (a_spec(least=3), 10, 1, 3, "TooFewReplicas"),
        (a_spec({"scaleUp": {"policies": [PODS]}}), 5, 50, 7, "ScaleUpLimit"),
        (a_spec({"scaleUp": {"policies": [PODS, PERCENT]}}), 5, 50, 8, "ScaleUpLimit"),
        (a_spec({"scaleUp": {"policies": [PODS, PERCENT], "selectPolicy": "Min"}}), 5, 50, 7, "ScaleUpLimit"),
        (a_spec({"scaleUp": {"selectPolicy": "Disabled"}}), 5, 50, 5, "ScaleUpLimit"),
        (a_spec({"scaleDown": {"policies": [PODS, PERCENT]}}), 10, 1, 5, "ScaleDownLimit"),
        (a_spec({"scaleDown": {"policies": [PODS, PERCENT], "selectPolicy": "Min"}}), 10, 1, 8, "ScaleDownLimit"),
        (a_spec({"scaleDown": {"selectPolicy": "Disabled"}}), 10, 1, 10, "ScaleDownLimit"),
    ],
)
def test_policies_limit_what_is_done_at_once(
    spec: Object, current: int, desired: int, replicas: int, limited: str | None
) -> None:
    decision = decide(spec, current, desired, History(), NOW)

    assert decision.replicas == replicas
    assert (decision.limited and decision.limited[0]) == limited


@pytest.mark.parametrize(
    ("changes", "replicas"),
    [
        pytest.param([], 7, id="two more"),
        pytest.param([ago(30, 1)], 6, id="one was added in this period already"),
        pytest.param([ago(30, 2)], 5, id="both were"),
        pytest.param([ago(70, 2)], 7, id="an earlier period does not count"),
        pytest.param([ago(30, 2), ago(20, -1)], 6, id="what was removed may come back"),
    ],
)
def test_a_policy_counts_what_was_done_in_its_period(changes: list[tuple[object, int]], replicas: int) -> None:
    spec = a_spec({"scaleUp": {"policies": [PODS]}})

    assert decide(spec, 5, 50, History(changes=changes), NOW).replicas == replicas  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("behavior", "past", "current", "desired", "replicas"),
    [
        pytest.param(None, [ago(200, 8)], 10, 2, 8, id="down: the most of the last five minutes"),
        pytest.param(None, [ago(200, 12)], 10, 2, 10, id="but not up"),
        pytest.param(None, [ago(301, 8)], 10, 2, 2, id="what is older does not count"),
        pytest.param(AT_ONCE, [ago(1, 8)], 10, 2, 2, id="no window"),
        pytest.param({"scaleUp": {"stabilizationWindowSeconds": 60}}, [ago(30, 4)], 3, 6, 4, id="up: the least"),
        pytest.param({"scaleUp": {"stabilizationWindowSeconds": 60}}, [ago(30, 2)], 3, 6, 3, id="but not down"),
        pytest.param(None, [ago(30, 2)], 3, 6, 6, id="up has no window by default"),
    ],
)
def test_windows_remember(
    behavior: Object | None, past: list[tuple[object, int]], current: int, desired: int, replicas: int
) -> None:
    history = History(recommendations=past)  # type: ignore[arg-type]

    assert decide(a_spec(behavior), current, desired, history, NOW).replicas == replicas
    assert history.recommendations[-1] == (NOW, desired)


def test_what_no_rule_can_ask_for_is_forgotten() -> None:
    history = History(recommendations=[ago(3700, 1), ago(10, 2)], changes=[ago(3700, 1), ago(10, 2)])  # type: ignore[list-item]
    history.forget(NOW)

    assert [value for _, value in history.recommendations] == [2]
    assert [value for _, value in history.changes] == [2]
