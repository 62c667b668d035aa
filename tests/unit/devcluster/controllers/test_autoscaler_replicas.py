"""How many replicas a metric wants: the documented algorithm, case by case."""

from datetime import timedelta
from fractions import Fraction

import pytest

from support.workloads import NOW, Object
from trainyard_devcluster.controllers.autoscaler.replicas import (
    Groups,
    NoMetricsError,
    Sample,
    group,
    of_average,
    of_total,
    of_utilization,
    of_value,
)
from trainyard_devcluster.events import timestamp

WINDOW = timedelta(seconds=5)


def groups(*measured: float, unready: int = 0, missing: int = 0) -> Groups:
    return Groups(
        measured={f"m{number}": Fraction(str(value)) for number, value in enumerate(measured)},
        unready=[f"u{number}" for number in range(unready)],
        missing=[f"x{number}" for number in range(missing)],
    )


def requests(found: Groups, amount: str = "1") -> dict[str, Fraction]:
    return dict.fromkeys([*found.measured, *found.unready, *found.missing], Fraction(amount))


@pytest.mark.parametrize(
    ("found", "target", "current", "wanted"),
    [
        pytest.param(groups(0.9, 0.9), 50, 2, 4, id="twice the target, nearly: up"),
        pytest.param(groups(0.2, 0.2, 0.2, 0.2), 50, 4, 2, id="less than half of the target: down"),
        pytest.param(groups(0.55, 0.55), 50, 2, 2, id="within ten percent: nothing"),
        pytest.param(groups(0.56, 0.56), 50, 2, 3, id="beyond ten percent: up"),
        pytest.param(groups(0.45, 0.45), 50, 2, 2, id="ten percent below: nothing"),
        pytest.param(groups(0.0), 50, 1, 0, id="nothing is used: the least is the business of the bounds"),
        pytest.param(groups(0.2, missing=1), 50, 2, 2, id="on the way down what is missing uses all it asked for"),
        pytest.param(groups(0.9, missing=1), 50, 2, 2, id="on the way up what is missing uses nothing"),
        pytest.param(groups(2.0, missing=1), 50, 2, 4, id="and still up where that is enough"),
        pytest.param(groups(0.9, unready=1), 50, 2, 2, id="on the way up what is not ready uses nothing"),
        pytest.param(groups(0.2, 0.2, unready=1), 50, 3, 1, id="on the way down what is not ready is left out"),
        pytest.param(groups(0.1, 0.1, missing=1), 120, 3, 2, id="missing pods use a target of more than all"),
    ],
)
def test_a_share_of_the_requests_wants(found: Groups, target: int, current: int, wanted: int) -> None:
    assert of_utilization(found, requests(found), target=target, current=current)[0] == wanted


@pytest.mark.parametrize(
    ("found", "current", "wanted"),
    [
        pytest.param(groups(15, 15), 2, 3, id="up"),
        pytest.param(groups(5, 5, 5, 5), 4, 2, id="down"),
        pytest.param(groups(11, 10), 2, 2, id="within ten percent"),
        pytest.param(groups(0, missing=1), 2, 1, id="missing pods have the target on the way down"),
        pytest.param(groups(15, missing=1), 2, 2, id="missing pods have nothing on the way up"),
        pytest.param(groups(40, unready=1), 2, 4, id="so have those that are not ready"),
    ],
)
def test_an_average_of_ten_wants(found: Groups, current: int, wanted: int) -> None:
    assert of_average(found, target=Fraction(10), current=current)[0] == wanted


@pytest.mark.parametrize("missing", [0, 3])
def test_where_no_pod_was_measured_nothing_is_wanted(missing: int) -> None:
    nothing = groups(missing=missing)
    with pytest.raises(NoMetricsError):
        of_utilization(nothing, requests(nothing), target=50, current=3)
    with pytest.raises(NoMetricsError):
        of_average(nothing, target=Fraction(10), current=3)


def test_a_metric_of_something_else_is_shared_out_or_compared() -> None:
    assert of_total(Fraction(100), target=Fraction(30), current=2) == 4
    assert of_total(Fraction(65), target=Fraction(30), current=2) == 2
    assert of_value(Fraction(300), target=Fraction(100), ready=2, current=2) == 6
    assert of_value(Fraction(105), target=Fraction(100), ready=2, current=2) == 2


def a_pod(
    name: str, *, phase: str = "Running", age: float = 3600, ready: bool = True, ready_for: float = 600
) -> Object:
    condition = {
        "type": "Ready",
        "status": str(ready),
        "lastTransitionTime": timestamp(NOW - timedelta(seconds=ready_for)),
    }
    status = {"phase": phase, "startTime": timestamp(NOW - timedelta(seconds=age)), "conditions": [condition]}
    return {"metadata": {"name": name, "namespace": "default"}, "status": status}


@pytest.mark.parametrize(
    ("pod", "measured", "cpu", "state"),
    [
        pytest.param(a_pod("p"), True, True, "measured", id="an old pod that is ready"),
        pytest.param(a_pod("p"), False, True, "missing", id="no measurement"),
        pytest.param(a_pod("p", phase="Pending"), False, True, "unready", id="pending"),
        pytest.param(a_pod("p", phase="Failed"), True, True, "ignored", id="failed"),
        pytest.param(a_pod("p", age=60, ready=False), True, True, "unready", id="it starts"),
        pytest.param(a_pod("p", age=60, ready_for=2), True, True, "unready", id="measured before it was ready"),
        pytest.param(a_pod("p", age=60, ready_for=20), True, True, "measured", id="measured since it is ready"),
        pytest.param(a_pod("p", age=900, ready=False, ready_for=880), True, True, "unready", id="never ready"),
        pytest.param(a_pod("p", age=900, ready=False, ready_for=60), True, True, "measured", id="was ready before"),
        pytest.param(a_pod("p", age=60, ready=False), True, False, "measured", id="other metrics count at once"),
    ],
)
def test_a_pod_is(pod: Object, measured: bool, cpu: bool, state: str) -> None:
    samples = {"p": Sample(Fraction(1), NOW, WINDOW)} if measured else {}
    found = group([pod], samples, NOW, cpu=cpu)

    expected = {"measured": (1, 0, 0), "unready": (0, 1, 0), "missing": (0, 0, 1), "ignored": (0, 0, 0)}
    assert (len(found.measured), len(found.unready), len(found.missing)) == expected[state]
