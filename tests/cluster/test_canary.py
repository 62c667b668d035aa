"""Canaries on a cluster: real pods, real clients, and the rollout of the page about them."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from support.kube_api import Api, Object
from support.line_service import SECONDS, a_service, because, condition, deployments, is_serving
from support.manifests import a_claim
from support.operator_process import OperatorProcess
from support.pages import blocks
from support.published import STORE, Client, publish

pytestmark = pytest.mark.usefixtures("cluster_crds", "trainyard_images", "pods_in_reach")

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "canary.md"


@pytest.fixture(autouse=True)
def store(api: Api, default_class: str) -> None:
    api.apply(a_claim(STORE))


def the_rollout(number: int = 0, *, hold: str) -> Object:
    """Return one of the rollouts that the page shows, with shorter times."""
    service = yaml.safe_load(blocks(PAGE, "yaml")[number])
    steps = [step | {"hold": hold} for step in service["spec"]["rollout"]["steps"]]
    rollout: Object = service["spec"]["rollout"] | {"steps": steps}
    return rollout


def is_a_canary(version: int, **fields: Any) -> Callable[[Object], bool]:
    def holds(service: Object) -> bool:
        canary = service.get("status", {}).get("canary", {})
        return ({"modelVersion": version} | fields).items() <= canary.items()

    holds.__name__ = f"version {version} is a canary with {fields}"
    return holds


def test_a_canary_goes_step_by_step_to_all_requests_without_a_failed_one(api: Api, operator: OperatorProcess) -> None:
    publish(api, 1, 2)
    more = {"replicas": 3, "rollout": the_rollout(hold="4s")}
    api.apply(a_service(1, **more))
    api.wait_for(a_service(), is_serving(1, 3), timeout=SECONDS)
    (old,) = deployments(api)
    users = [Client(api, "line", protocol) for protocol in ("rest", "grpc")]
    for user in users:
        user.wait_for(1.0)

    api.apply(a_service(2, **more))

    api.wait_for(a_service(), is_a_canary(2, step=1, weight=25, achieved=25), timeout=SECONDS)
    api.wait_for(a_service(), is_a_canary(2, step=2, weight=50, achieved=50), timeout=SECONDS)
    for user in users:
        user.wait_for(2.0)
    api.wait_for(a_service(), is_serving(2, 3), timeout=SECONDS)
    api.wait_until_gone(old)
    for user in users:
        count, errors = user.stop()
        assert errors == []
        assert count > 50
    told = [event["message"] for event in api.events("line") if event["reason"] == "CanaryStep"]
    assert [message.partition(": ")[2] for message in sorted(told)] == [
        "step 1 of 2 asks for 25 % of the requests",
        "step 2 of 2 asks for 50 % of the requests",
    ]


def test_a_canary_that_errs_is_sent_back_and_hurts_no_more_than_its_share(api: Api, operator: OperatorProcess) -> None:
    publish(api, 1, 2, broken=[2])
    rollout = the_rollout(1, hold="300s")
    rollout["analysis"] |= {"interval": "5s"}
    more = {"replicas": 3, "rollout": rollout}
    first, second = (a_service(version, **more) for version in (1, 2))
    for service in (first, second):
        service["spec"]["model"]["allowAnyOperation"] = True
    api.apply(first)
    api.wait_for(first, is_serving(1, 3), timeout=SECONDS)
    user = Client(api, "line", "rest")
    user.wait_for(1.0)

    api.apply(second)
    api.wait_for(second, is_a_canary(2, step=1, achieved=25), timeout=SECONDS)
    answered, _ = user.so_far()
    sent_back = api.wait_for(second, because("RolledBack"), timeout=SECONDS)

    assert condition(sent_back, "Available")["status"] == "True"
    message = condition(sent_back, "Ready")["message"]
    assert "at step 1 of 2" in message
    assert "spec.rollout.analysis.maxErrorRate is 1.00%" in message
    api.wait_for_event("line", "RolledBack", containing="requests failed")
    api.wait_for(second, lambda _: len(deployments(api)) == 1, timeout=SECONDS)
    time.sleep(2)
    count, errors = user.so_far()
    assert errors
    assert len(errors) / (count - answered + len(errors)) < 0.4
    time.sleep(3)
    more_answered, still = user.stop()
    assert (len(still), more_answered > count) == (len(errors), True)

    api.apply(first)
    api.wait_for(first, is_serving(1, 3), timeout=SECONDS)


def test_a_person_aborts_retries_and_promotes_a_canary(api: Api, operator: OperatorProcess) -> None:
    publish(api, 1, 2)
    more = {"replicas": 1, "rollout": the_rollout(hold="300s")}
    api.apply(a_service(1, **more))
    api.wait_for(a_service(), is_serving(1), timeout=SECONDS)
    service = a_service(2, **more)
    api.apply(service)
    api.wait_for(service, is_a_canary(2, step=1, weight=25, achieved=50), timeout=SECONDS)
    user = Client(api, "line", "rest")
    user.wait_for(2.0)

    def say(command: str) -> None:
        service["metadata"]["annotations"] = {"trainyard.dev/rollout": command}
        api.apply(service)

    say("abort")
    operator.kill()  # before or after it has obeyed: the next one does what is left
    operator.start()
    sent_back = api.wait_for(service, because("RolledBack"), timeout=SECONDS)
    assert "a person said abort" in condition(sent_back, "Ready")["message"]
    api.wait_for(service, lambda _: len(deployments(api)) == 1, timeout=SECONDS)

    say("retry")
    api.wait_for(service, is_a_canary(2, step=1), timeout=SECONDS)
    say("promote")
    promoted = api.wait_for(service, is_serving(2), timeout=SECONDS)

    assert promoted["status"]["obeyed"] == "promote"
    assert promoted["metadata"]["annotations"]["trainyard.dev/rollout"] == "promote"
    count, errors = user.stop()
    assert errors == []
    assert count > 50
