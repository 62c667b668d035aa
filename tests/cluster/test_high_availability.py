"""Two operators that elect one: the other takes over when the first dies or ends, and nothing is done twice."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cluster.test_trainingjob import a_program, in_phase, jobs_of, says_result
from support.kube_api import Api, Object
from support.manifests import a_claim, a_config_map
from support.operator_process import OperatorProcess, running_operator

pytestmark = pytest.mark.usefixtures("cluster_crds")

DURATION = 4
LEASE: Object = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": "trainyard-operator"}}
ENDLESS = "trap 'exit 75' TERM; while true; do sleep 0.1; done"


@pytest.fixture(autouse=True)
def inputs(api: Api, default_class: str) -> None:
    api.apply(a_config_map("rows", **{"rows.csv": "x,y\n1,2\n"}), a_claim("models"))


@pytest.fixture
def operators(kubeconfig: Path, api: Api, namespace: str, tmp_path: Path) -> Iterator[list[OperatorProcess]]:
    """The leader, and the one that stands by."""
    flags = ["--leader-election", "on", "--lease-namespace", namespace, "--lease-duration", str(DURATION)]
    with running_operator(kubeconfig, namespace, tmp_path, name="first", flags=flags) as first:
        api.wait_for(LEASE, lambda lease: bool(lease["spec"].get("holderIdentity")), description="somebody leads")
        with running_operator(kubeconfig, namespace, tmp_path, name="second", flags=flags) as second:
            yield [first, second]


def another_leads(transitions: int) -> Callable[[Object], bool]:
    def holds(lease: Object) -> bool:
        return lease["spec"]["leaseTransitions"] == transitions and bool(lease["spec"].get("holderIdentity"))

    holds.__name__ = f"it has changed hands {transitions} times"
    return holds


def reconciled_by(operator: OperatorProcess) -> bool:
    return "TrainingJob" in operator.log.read_text()


def test_one_works_and_when_it_dies_the_other_goes_on_without_doing_anything_twice(
    api: Api, operators: list[OperatorProcess]
) -> None:
    leader, other = operators
    running = a_program(ENDLESS, "running")
    api.apply(running)
    before = api.wait_for(running, in_phase("Running"))
    assert (reconciled_by(leader), reconciled_by(other)) == (True, False)

    leader.kill()
    began = time.monotonic()
    waiting = [a_program(says_result(name=f"own-{number}"), f"own-{number}") for number in range(3)]
    api.apply(*waiting)
    api.wait_for(LEASE, another_leads(1))
    took = time.monotonic() - began

    for job in waiting:
        api.wait_for(job, in_phase("Succeeded"))
    assert took < 3 * DURATION
    assert jobs_of(api) == ["own-0-worker-0", "own-1-worker-0", "own-2-worker-0", "running-worker-0"]
    after = api.wait_for(running, in_phase("Running"))
    assert after["status"]["attempts"] == before["status"]["attempts"]
    assert [event["count"] for event in api.events("running") if event["reason"] == "TrainingStarted"] == [1]


def test_one_that_ends_well_hands_over_at_once(api: Api, operators: list[OperatorProcess]) -> None:
    leader, other = operators

    assert leader.stop() == 0

    given_back = api.wait_for(LEASE, bool)["spec"]
    assert not given_back.get("holderIdentity") or given_back["leaseTransitions"] == 1
    api.wait_for(LEASE, another_leads(1), timeout=DURATION)
    job = a_program(says_result())
    api.apply(job)
    api.wait_for(job, in_phase("Succeeded"))
    assert reconciled_by(other)
