"""What a new revision has to prove before any request reaches it, in a service's life."""

from typing import Any

import pytest

from support.serving import (
    LABELS,
    NAMESPACE,
    ModelServiceBuilder,
    World,
    a_model_service,
    a_succeeded_job,
    a_world_serving,
)
from trainyard_operator.cluster.kinds import CONFIG_MAP, SERVICE
from trainyard_operator.serving.checks import CheckResult
from trainyard_operator.serving.signatures import ModelSignature, ModelSignatures, TensorSpec

CHECK = {"name": "two", "request": {"instances": [1]}, "expect": {"predictions": [2]}}
WRONG = CheckResult(False, detail="check 'two': at .predictions[0]: expected 2, got 3")


def checking(*checks: Any, **model: Any) -> ModelServiceBuilder:
    service = a_model_service().following(**LABELS).manifest
    spec = service["spec"] | {"checks": list(checks), "model": service["spec"]["model"] | model}
    return ModelServiceBuilder(service | {"spec": spec})


def a_model(dtype: str) -> ModelSignatures:
    return ModelSignatures({"serving_default": ModelSignature({"x": TensorSpec(dtype, (-1,))})})


async def test_a_version_that_answers_wrongly_gets_no_traffic() -> None:
    world = await a_world_serving(1)
    old = world.serving()
    world.update(checking(CHECK)).put_job(a_succeeded_job(2))
    world.revisions.results[2] = WRONG

    await world.run()

    assert world.serving() == old
    assert world.condition("Degraded") == ("True", "CheckFailed")
    assert "expected 2, got 3" in world.message("Ready")
    assert world.condition("Available")[0] == "True"
    assert world.events()[-1] == "Warning RolloutFailed"
    assert {version for version, _ in world.revisions.asked} == {2}


async def test_a_better_version_takes_over_and_history_says_what_was_wrong() -> None:
    world = await a_world_serving(1)
    world.update(checking(CHECK)).put_job(a_succeeded_job(2))
    world.revisions.results[2] = WRONG
    await world.run()

    world.put_job(a_succeeded_job(3))
    await world.run()

    assert world.status()["current"]["modelVersion"] == 3
    outcomes = [(entry["modelVersion"], entry["outcome"]) for entry in world.status()["history"]]
    assert outcomes == [(3, "Promoted"), (2, "RolledBack"), (1, "Superseded")]
    assert "expected 2, got 3" in world.status()["history"][1]["message"]


async def test_no_request_reaches_the_first_version_before_it_has_answered_its_checks() -> None:
    world = World().put(checking(CHECK)).put_job(a_succeeded_job(1))
    world.revisions.results[1] = WRONG
    await world.run()

    assert world.cluster.peek(SERVICE, NAMESPACE) == []
    assert world.condition("Degraded") == ("True", "CheckFailed")

    world.revisions.results.clear()
    await world.run()

    assert world.status()["phase"] == "Ready"
    assert world.serving() in world.deployments()[0]


async def test_a_canary_starts_only_after_the_checks() -> None:
    world = await a_world_serving(1)
    service = checking(CHECK)
    service.manifest["spec"]["rollout"] = {"steps": [{"weight": 50, "hold": "1m"}]}
    world.update(service).put_job(a_succeeded_job(2))
    world.revisions.results[2] = WRONG
    await world.run()

    assert "canary" not in world.status()

    world.revisions.results.clear()
    await world.run()

    assert world.status()["canary"]["modelVersion"] == 2


async def test_a_pod_that_has_not_answered_its_checks_is_waited_for() -> None:
    world = await a_world_serving(1)
    world.update(checking(CHECK)).put_job(a_succeeded_job(2))
    world.revisions.results[2] = CheckResult(False, answered=False, detail="HTTP 503")
    await world.run()

    assert world.status()["phase"] == "Progressing"
    assert world.condition("Ready") == ("False", "Checking")
    assert world.condition("Degraded")[0] == "False"


async def test_a_check_in_a_config_map_that_is_not_there_is_named() -> None:
    world = await a_world_serving(1)
    check = {"name": "stored", "configMapKeyRef": {"name": "golden", "key": "one.json"}}
    world.update(checking(check)).put_job(a_succeeded_job(2))
    await world.run()

    assert world.condition("Degraded") == ("True", "CheckInvalid")

    text = '{"request": {"instances": [1]}, "expect": {"predictions": [2]}}'
    world.cluster.put(CONFIG_MAP, {"metadata": {"name": "golden", "namespace": NAMESPACE}, "data": {"one.json": text}})
    await world.run()

    assert world.status()["current"]["modelVersion"] == 2
    assert world.revisions.asked[-1][1][0].body == '{"instances": [1]}'


async def test_what_serves_is_not_asked_again() -> None:
    world = await a_world_serving(1)
    world.update(checking(CHECK))
    await world.run()

    assert world.revisions.asked == []


async def test_a_version_with_another_signature_does_not_take_over() -> None:
    world = await a_world_serving(1)
    world.revisions.described = {1: a_model("float"), 2: a_model("string")}
    world.put_job(a_succeeded_job(2))
    await world.run()

    assert world.status()["current"]["modelVersion"] == 1
    assert world.condition("Degraded") == ("True", "SignatureChanged")
    assert "input 'x' was float [-1], and is string [-1]" in world.message("Ready")

    world.update(checking(allowSignatureChange=True))
    await world.run()

    assert world.status()["current"]["modelVersion"] == 2


@pytest.mark.parametrize("unknown", [1, 2])
async def test_signatures_that_are_not_known_are_waited_for(unknown: int) -> None:
    world = await a_world_serving(1)
    world.revisions.described = {1: a_model("float"), 2: a_model("float")}
    world.revisions.described[unknown] = ModelSignatures(problem="UNAVAILABLE")
    world.put_job(a_succeeded_job(2))
    await world.run()

    assert world.condition("Ready") == ("False", "SignatureUnknown")
    assert f"signatures of version {unknown} of churn are not known: UNAVAILABLE" in world.message("Ready")
    assert world.condition("Degraded")[0] == "False"


async def test_the_first_version_has_nothing_to_be_compared_with() -> None:
    world = World().put(checking()).put_job(a_succeeded_job(1))
    world.revisions.described[1] = ModelSignatures(problem="never asked")
    await world.run()

    assert world.status()["phase"] == "Ready"
