from datetime import datetime, timedelta
from typing import Any, Literal

import pytest

from support.training import START
from trainyard_api.run_policy import RunPolicy
from trainyard_api.times import to_rfc3339
from trainyard_api.trainingjob import Attempt
from trainyard_operator.cluster.port import Manifest
from trainyard_operator.training.attempts import End, Ledger, Next, delay, plan, tally
from trainyard_operator.training.observed import ObservedTraining

ENDED = to_rfc3339(START)
Word = Literal["Running", "Succeeded", "Failed", "Stopped"]


def attempts(*outcomes: Word) -> tuple[Attempt, ...]:
    return tuple(
        Attempt(n=n, outcome=outcome, ended=None if outcome == "Running" else ENDED)
        for n, outcome in enumerate(outcomes)
    )


def observed(job: Manifest | None = None, pod: Manifest | None = None, *, n: int = 0) -> ObservedTraining:
    return ObservedTraining(
        config_map=None,
        service=None,
        jobs={} if job is None else {n: job},
        pods={} if pod is None else {n: {0: pod}},
        leaving=False,
    )


def out_of_memory(code: int, message: str = "") -> Manifest:
    """A pod of which the kernel killed something, whatever the program made of it."""
    pod = an_ended_pod(code, message)
    pod["status"]["containerStatuses"][0]["state"]["terminated"]["reason"] = "OOMKilled"
    return pod


def disrupted(reason: str) -> Manifest:
    told = {"type": "DisruptionTarget", "status": "True", "reason": reason, "message": "node-1 drains"}
    return an_ended_pod(137, conditions=[told])


def a_job(condition: str = "", **fields: Any) -> Manifest:
    ended = {"type": condition, "status": "True", "lastTransitionTime": ENDED} | fields
    return {
        "metadata": {"name": "churn-worker-0"},
        "spec": {"completions": 1},
        "status": {"startTime": ENDED, "conditions": [ended] if condition else []},
    }


def an_ended_pod(code: int, message: str = "", **fields: Any) -> Manifest:
    state = {"terminated": {"exitCode": code, "message": message, "startedAt": ENDED}}
    return {
        "metadata": {"name": "churn-worker-0-0"},
        "spec": {"nodeName": "node-1"},
        "status": {
            "phase": "Failed" if code else "Succeeded",
            "containerStatuses": [{"name": "trainer", "state": state}],
        }
        | fields,
    }


def step(
    *outcomes: Word,
    news: End | None = None,
    leaving: bool = False,
    after: float = 3600,
    **policy: Any,
) -> Next:
    ledger = Ledger(attempts(*outcomes), news)
    now = START + timedelta(seconds=after)
    return plan(ledger, RunPolicy.model_validate(policy), leaving=leaving, now=now)


@pytest.mark.parametrize(
    ("outcomes", "seconds"),
    [
        pytest.param(["Failed"], 5, id="after the first failure"),
        pytest.param(["Failed", "Failed"], 10, id="twice as long after the second"),
        pytest.param(["Failed"] * 3, 20, id="and after the third"),
        pytest.param(["Failed", "Stopped", "Failed"], 10, id="stops do not count as failures"),
        pytest.param(["Failed"] * 7, 300, id="five minutes at most"),
        pytest.param(["Failed"] * 100, 300, id="however many failures"),
    ],
)
def test_the_delay_doubles_with_each_failure(outcomes: list[Word], seconds: int) -> None:
    assert delay(attempts(*outcomes)) == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        pytest.param([], ("start", 0), id="the first attempt starts at once"),
        pytest.param(["Running"], ("continue", 0), id="a running attempt goes on"),
        pytest.param(["Succeeded"], ("succeed", 0), id="one success is enough"),
        pytest.param(["Failed"], ("start", 1), id="a failure is followed by another attempt"),
        pytest.param(["Stopped"], ("start", 1), id="a stop is followed by another attempt"),
        pytest.param(["Failed"] * 3, ("start", 3), id="three restarts are allowed"),
        pytest.param(["Failed"] * 4, ("fail", 3), id="a fourth is not"),
        pytest.param(["Failed", "Stopped", "Failed", "Stopped"], ("start", 4), id="stops are not charged"),
        pytest.param(["Stopped"] * 20, ("start", 20), id="twenty stops are borne"),
        pytest.param(["Stopped"] * 21, ("fail", 20), id="twenty-one are too many"),
    ],
)
def test_what_comes_next(found: list[Word], expected: tuple[str, int]) -> None:
    decided = step(*found)

    assert (decided.step, decided.n) == expected


def test_an_end_is_recorded_before_the_next_attempt_begins() -> None:
    end = End(attempts("Failed")[0], "Error", "boom")

    assert step("Failed", news=end).step == "wait"
    assert step("Failed").step == "start"


def test_a_final_end_is_followed_by_none() -> None:
    end = End(attempts("Failed")[0], "BadInput", "no such column", final=True)

    assert step("Failed", news=end).step == "fail"


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        pytest.param({"after": 4.0}, "wait", id="not before the delay is over"),
        pytest.param({"after": 5.0}, "start", id="once it is over"),
        pytest.param({"leaving": True}, "wait", id="not beside a pod of the attempt before"),
        pytest.param({"suspend": True}, "wait", id="not while suspended"),
    ],
)
def test_the_next_attempt_waits(fields: dict[str, Any], expected: str) -> None:
    decided = step("Failed", **fields)

    assert (decided.step, decided.n, decided.at) == (expected, 1, START + timedelta(seconds=5))


@pytest.mark.parametrize(
    "fields",
    [pytest.param({"leaving": True}, id="beside a stray pod"), pytest.param({"suspend": True}, id="while suspended")],
)
def test_the_first_attempt_waits_too(fields: dict[str, Any]) -> None:
    assert step(**fields) == Next("wait")


REPORT = '{"reason": "NoSuchColumn", "message": "expected a column churned"}'


@pytest.mark.parametrize(
    ("job", "pod", "outcome", "reason", "final"),
    [
        pytest.param(a_job("Failed"), an_ended_pod(1), "Failed", "Error", False, id="a crash"),
        pytest.param(a_job("Failed"), an_ended_pod(2, REPORT), "Failed", "NoSuchColumn", True, id="bad input"),
        pytest.param(a_job("Failed"), an_ended_pod(2), "Failed", "BadInput", True, id="bad input without a word"),
        pytest.param(a_job("Failed"), an_ended_pod(3), "Failed", "Diverged", True, id="diverged"),
        pytest.param(a_job("Failed"), an_ended_pod(69), "Failed", "PeerLost", False, id="lost the others"),
        pytest.param(a_job("Failed"), an_ended_pod(75), "Stopped", "Stopped", False, id="stopped on request"),
        pytest.param(a_job("Failed"), None, "Stopped", "Stopped", False, id="the pod is gone"),
        pytest.param(a_job("Failed"), out_of_memory(137), "Failed", "OOMKilled", False, id="out of memory"),
        pytest.param(a_job("Failed"), out_of_memory(1), "Failed", "OOMKilled", False, id="and a shell that says 1"),
        pytest.param(a_job("Failed"), out_of_memory(2), "Failed", "OOMKilled", False, id="and a program that says 2"),
        pytest.param(a_job("Failed"), out_of_memory(75), "Failed", "OOMKilled", False, id="and one that says 75"),
        pytest.param(a_job("Complete"), out_of_memory(0), "Failed", "OOMKilled", False, id="and one that says 0"),
        pytest.param(
            a_job("Complete"), out_of_memory(0, REPORT), "Succeeded", "NoSuchColumn", False, id="a child without need"
        ),
        pytest.param(
            a_job("Failed"), disrupted("PreemptionByScheduler"), "Stopped", "Preempted", False, id="preempted"
        ),
        pytest.param(a_job("Failed"), disrupted("EvictionByEvictionAPI"), "Stopped", "Evicted", False, id="evicted"),
        pytest.param(
            a_job("Failed"), disrupted("DeletionByTaintManager"), "Stopped", "NodeLost", False, id="node gone"
        ),
        pytest.param(
            a_job("Failed", reason="DeadlineExceeded"), None, "Failed", "DeadlineExceeded", False, id="out of time"
        ),
        pytest.param(a_job("Complete"), an_ended_pod(0, "done"), "Failed", "InvalidResult", True, id="no result"),
        pytest.param(a_job("Complete"), None, "Stopped", "ResultLost", False, id="the result is lost"),
        pytest.param(a_job("Complete"), an_ended_pod(0, REPORT), "Succeeded", "NoSuchColumn", False, id="success"),
    ],
)
def test_how_an_attempt_ended(job: Manifest, pod: Manifest | None, outcome: str, reason: str, final: bool) -> None:
    ledger = tally(attempts("Running"), observed(job, pod), now=START)

    assert ledger.news is not None
    assert (ledger.news.attempt.outcome, ledger.news.reason, ledger.news.final) == (outcome, reason, final)
    assert ledger.last == ledger.news.attempt
    assert (ledger.last.ended, ledger.last.reason) == (ENDED, reason)


def test_a_job_that_was_deleted_is_a_stop() -> None:
    ledger = tally(attempts("Running"), observed(), now=START)

    assert ledger.news is not None
    assert (ledger.news.attempt.outcome, ledger.news.reason) == ("Stopped", "JobDeleted")


def test_what_is_recorded_as_ended_stays_so() -> None:
    ledger = tally(attempts("Failed"), observed(a_job("Complete"), an_ended_pod(0, REPORT)), now=START)

    assert ledger == Ledger(attempts("Failed"), None)


def test_a_job_without_a_record_is_an_attempt_of_a_predecessor() -> None:
    ledger = tally((), observed(a_job()), now=START)

    assert [(attempt.n, attempt.outcome, attempt.queued) for attempt in ledger.attempts] == [(0, "Running", ENDED)]


@pytest.mark.parametrize(
    ("outcomes", "restarts"),
    [
        pytest.param(["Failed"], 0, id="not followed by another"),
        pytest.param(["Failed", "Running"], 1, id="followed by another"),
        pytest.param(["Stopped", "Failed", "Succeeded"], 1, id="stops do not count"),
    ],
)
def test_restarts_are_failures_that_another_attempt_followed(outcomes: list[Word], restarts: int) -> None:
    assert Ledger(attempts(*outcomes), None).restarts == restarts


def test_times_are_those_of_the_cluster_not_of_the_reconcile() -> None:
    later: datetime = START + timedelta(hours=1)

    ledger = tally(attempts("Running"), observed(a_job("Failed"), an_ended_pod(1)), now=later)

    assert ledger.last is not None
    assert (ledger.last.started, ledger.last.ended) == (ENDED, ENDED)
