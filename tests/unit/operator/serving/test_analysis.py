"""The verdict on a canary."""

from datetime import timedelta
from typing import Any

import pytest

from support.serving import START, requests
from trainyard_api.rollout import Analysis
from trainyard_operator.serving.analysis import Verdict, Window, Windows, judge
from trainyard_operator.serving.canary import Canary
from trainyard_operator.serving.server_metrics import ServerMetrics

ERRORS = {"maxErrorRate": 0.05}
LATENCY = {"maxLatencyIncrease": 0.5}
BOTH = ERRORS | LATENCY
GOOD = requests(100)


@pytest.mark.parametrize(
    ("asked", "canary", "stable", "expected", "said"),
    [
        pytest.param(ERRORS, requests(96, 4), GOOD, "Passed", "4 of its 100 requests failed", id="few errors"),
        pytest.param(ERRORS, requests(95, 5), GOOD, "Passed", "", id="just as many as may be"),
        pytest.param(ERRORS, requests(90, 10), GOOD, "Failed", "maxErrorRate is 5.00%", id="too many"),
        pytest.param(ERRORS, requests(0, 50), requests(), "Failed", "50 of its 50", id="all, beside nothing"),
        pytest.param(ERRORS, requests(90, 10), requests(80, 20), "Inconclusive", "", id="the other is worse"),
        pytest.param(ERRORS, requests(0, 49), GOOD, "NoTraffic", "49 of at least 50", id="too few to tell"),
        pytest.param(ERRORS, requests(), GOOD, "NoTraffic", "0 of at least 50", id="none at all"),
        pytest.param(LATENCY, requests(100), GOOD, "Passed", "its p99 is 0.99ms", id="as fast"),
        pytest.param(LATENCY, requests(50, slow=50), GOOD, "Failed", "maxLatencyIncrease is 0.5", id="slower"),
        pytest.param(LATENCY, requests(50, slow=50), requests(50, slow=50), "Passed", "", id="both are slow"),
        pytest.param(LATENCY, GOOD, requests(9), "NoTraffic", "the revision that serves has answered 9", id="alone"),
        pytest.param(LATENCY, requests(9, 91), GOOD, "NoTraffic", "it has answered 9", id="errors have no latency"),
        pytest.param(BOTH, requests(9, 91), GOOD, "Failed", "91 of its 100", id="errors decide"),
        pytest.param(BOTH, requests(100, 0, slow=50), GOOD, "Failed", "p99", id="latency decides"),
        pytest.param(BOTH, GOOD, GOOD, "Passed", "failed (0.00%)", id="good in both"),
    ],
)
def test_the_verdict(
    asked: dict[str, Any], canary: ServerMetrics, stable: ServerMetrics, expected: str, said: str
) -> None:
    found = judge(Analysis.model_validate(asked), canary, stable, observed=timedelta(minutes=1))

    assert (found.verdict, said in found.message) == (expected, True), found.message


def test_the_quantile_can_be_chosen() -> None:
    canary = requests(97, slow=3)
    asked = {"maxLatencyIncrease": 0.5}

    found = [
        judge(Analysis.model_validate(asked | {"quantile": quantile}), canary, GOOD, observed=timedelta())
        for quantile in ("p95", "p99")
    ]

    assert [one.verdict for one in found] == [Verdict.PASSED, Verdict.FAILED]


def test_a_canary_that_has_all_requests_is_compared_with_nothing() -> None:
    asked = Analysis.model_validate(BOTH)

    assert judge(asked, GOOD, requests(), observed=timedelta(), alone=True).verdict is Verdict.PASSED


@pytest.mark.parametrize(
    ("on_no_traffic", "seconds", "allowed"),
    [("Wait", 600, False), ("Promote", 59, False), ("Promote", 60, True)],
)
def test_no_traffic_is_no_verdict(on_no_traffic: str, seconds: int, allowed: bool) -> None:
    asked = Analysis.model_validate(ERRORS | {"onNoTraffic": on_no_traffic})

    found = judge(asked, requests(), GOOD, observed=timedelta(seconds=seconds))

    assert found.verdict is Verdict.NO_TRAFFIC
    assert found.allows(timedelta(seconds=60)) == allowed


def test_only_what_came_after_the_beginning_counts() -> None:
    window = Window(START)
    for counted in (requests(1000, 70), requests(1003, 71)):
        window.take("a", "p", counted)

    assert (window.counted("a").latency.total, window.counted("a").errors) == (3, 1)
    assert window.counted("b") == window.counted("c")


def test_pods_are_added_up_and_one_that_started_anew_loses_nothing() -> None:
    window = Window(START)
    for pod, counts in (("p", [requests(10), requests(15, 2), requests(1, 1)]), ("q", [requests(), requests(4)])):
        for counted in counts:
            window.take("a", pod, counted)

    assert window.counted("a").latency.total == 5 + 1 + 4
    assert window.counted("a").errors == 2 + 1


def test_each_step_is_counted_anew_and_what_is_forgotten_is_gone() -> None:
    windows, first = Windows(), Canary(revision="b", step=0, since=START)
    window = windows.at("key", first, START)

    assert windows.at("key", first, START + timedelta(minutes=1)) is window
    assert windows.at("key", Canary(revision="b", step=1, since=START), START) is not window
    windows.forget("key")
    assert windows.of == {}
