from datetime import timedelta
from typing import Any

import pytest

from support.training import START, a_training_job
from trainyard_api.conditions import is_true
from trainyard_api.times import to_rfc3339
from trainyard_api.trainingjob import Attempt, Progress, TrainingJob, TrainingJobStatus
from trainyard_operator.cluster.port import Manifest
from trainyard_operator.training.attempts import End, Ledger, Next
from trainyard_operator.training.observed import ObservedTraining
from trainyard_operator.training.progress import Snapshot
from trainyard_operator.training.spec import parse
from trainyard_operator.training.status import Heard, TrainingFacts, compute, seen
from trainyard_operator.workloads.blockers import Blocker

NOW = to_rfc3339(START)
RUNNING_ATTEMPT = Attempt(n=0, outcome="Running", started=NOW)
FAILED_ATTEMPT = Attempt(n=0, outcome="Failed", ended=NOW, exit_code=1, node="node-1")
FAILURE = End(FAILED_ATTEMPT, "Error", "exit code 1: boom")
BLOCKER = Blocker("StoreNotFound", "create it")


def a_pod(**state: Any) -> Manifest:
    return {
        "metadata": {"name": "churn-worker-0-0"},
        "spec": {"nodeName": "node-1"},
        "status": {"containerStatuses": [{"name": "trainer", "state": state}]},
    }


def facts(
    step: Next,
    *attempts: Attempt,
    news: End | None = None,
    pod: Manifest | None = None,
    blocker: Blocker | None = None,
    live: Snapshot | None = None,
) -> TrainingFacts:
    job: Manifest = {"metadata": {"name": "churn-worker-0"}, "spec": {}, "status": {"startTime": NOW}}
    observed = ObservedTraining(
        config_map=None, service=None, jobs={0: job}, pods={0: {0: pod} if pod else {}}, leaving=False
    )
    return TrainingFacts(
        observed=observed,
        ledger=Ledger(attempts, news),
        next=step,
        blocker=blocker,
        heard=Heard(live, START if live else None),
        now=START,
    )


def status(found: TrainingFacts, before: TrainingJobStatus | None = None, **policy: Any) -> TrainingJobStatus:
    job = parse(a_training_job().with_run_policy(**policy).build(), before or TrainingJobStatus())
    assert isinstance(job, TrainingJob)
    return compute(job, found)


GOING = Next("continue", 0)
LIVE = Snapshot(phase="training", epoch=3, epochs=10)


@pytest.mark.parametrize(
    ("found", "policy", "phase", "reason"),
    [
        pytest.param(facts(Next("start")), {}, "Pending", "Created", id="new"),
        pytest.param(facts(Next("start"), blocker=BLOCKER), {}, "Pending", "StoreNotFound", id="blocked"),
        pytest.param(facts(Next("wait")), {"suspend": True}, "Suspended", "Suspended", id="created suspended"),
        pytest.param(facts(GOING, RUNNING_ATTEMPT), {}, "Starting", "Starting", id="no pod yet"),
        pytest.param(
            facts(GOING, RUNNING_ATTEMPT, pod=a_pod(running={})), {}, "Starting", "Starting", id="imports TensorFlow"
        ),
        pytest.param(
            facts(GOING, RUNNING_ATTEMPT, pod=a_pod(running={}), live=LIVE), {}, "Running", "Running", id="trains"
        ),
        pytest.param(
            facts(GOING, RUNNING_ATTEMPT, pod=a_pod(running={})),
            {"suspend": True},
            "Suspended",
            "Suspended",
            id="stops",
        ),
        pytest.param(
            facts(GOING, RUNNING_ATTEMPT, blocker=BLOCKER), {}, "Pending", "StoreNotFound", id="a child is refused"
        ),
        pytest.param(
            facts(Next("wait", 1), FAILED_ATTEMPT, news=FAILURE), {}, "Starting", "Restarting", id="between attempts"
        ),
        pytest.param(facts(Next("fail", 0), FAILED_ATTEMPT, news=FAILURE), {}, "Failed", "Error", id="failed"),
    ],
)
def test_the_phase_sums_up_what_was_found(
    found: TrainingFacts, policy: dict[str, Any], phase: str, reason: str
) -> None:
    after = status(found, **policy)

    assert after.phase == phase
    assert after.conditions[0].reason == reason
    assert is_true(after.conditions, "Failed") == (phase == "Failed")
    assert (after.completion_time is not None) == (phase in ("Succeeded", "Failed"))


def test_the_card_of_a_failure_names_attempt_node_and_exit_code() -> None:
    failure = status(facts(Next("wait", 1), FAILED_ATTEMPT, news=FAILURE)).failure

    assert failure is not None
    assert (failure.reason, failure.attempt, failure.node, failure.exit_code) == ("Error", 0, "node-1", 1)


def test_what_is_not_under_way_has_no_time_left() -> None:
    before = TrainingJobStatus(phase="Running", progress=Progress(epoch=3, eta="2m"))

    after = status(facts(Next("wait", 1), FAILED_ATTEMPT, news=FAILURE), before)

    assert after.progress is not None
    assert (after.progress.epoch, after.progress.eta) == (3, None)


def test_a_condition_keeps_its_time_while_its_status_stays() -> None:
    first = status(facts(GOING, RUNNING_ATTEMPT, pod=a_pod(running={}), live=LIVE))
    later = facts(GOING, RUNNING_ATTEMPT, pod=a_pod(running={}), live=LIVE)
    again = status(
        TrainingFacts(
            observed=later.observed,
            ledger=later.ledger,
            next=later.next,
            blocker=None,
            heard=Heard(LIVE, START + timedelta(hours=1)),
            now=START + timedelta(hours=1),
        ),
        first,
    )

    assert again.conditions == first.conditions


def test_a_finished_job_says_which_spec_it_has_seen_and_nothing_else() -> None:
    before = status(facts(Next("fail", 0), FAILED_ATTEMPT, news=FAILURE))

    after = seen(before, 7, now=START)

    assert after.observed_generation == 7
    assert {condition.observed_generation for condition in after.conditions} == {7}
    assert after.phase == before.phase
    assert after.failure == before.failure
