"""A spec that the API server takes costs its own object alone: its status says why it is not carried out."""

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from support import serving, training
from support.cost import at_most
from trainyard_api.meta import ANNOTATION_KEY_PATTERN, LABEL_KEY_PATTERN
from trainyard_api.quantities import QUANTITY_PATTERN
from trainyard_operator.cluster.errors import Invalid
from trainyard_operator.cluster.kinds import MODEL_SERVICE, TRAINING_JOB

ASCII = st.characters(max_codepoint=127)
LIMIT = 0.25
"""Seconds of the event loop that one object may take: 50 ms on a quiet machine."""


def strings(pattern: str) -> st.SearchStrategy[str]:
    return st.from_regex(pattern, fullmatch=True, alphabet=ASCII)


AMOUNTS = st.one_of(strings(QUANTITY_PATTERN), st.integers(0, 10**15), st.sampled_from(["1e4000", "1e999999", "9E"]))
RESOURCES = st.dictionaries(st.sampled_from(["cpu", "memory", "ephemeral-storage"]), AMOUNTS, max_size=3).flatmap(
    lambda amounts: st.fixed_dictionaries({"limits": st.just(amounts), "requests": st.just(amounts)})
)
TEMPLATES = st.fixed_dictionaries(
    {
        "labels": st.dictionaries(strings(LABEL_KEY_PATTERN), st.sampled_from(["", "a", "A.b_c"]), max_size=3),
        "annotations": st.dictionaries(strings(ANNOTATION_KEY_PATTERN), st.text(max_size=50), max_size=3),
    }
)


@settings(deadline=None, max_examples=60, suppress_health_check=list(HealthCheck))
@given(resources=RESOURCES, template=TEMPLATES)
async def test_any_service_gets_a_status(resources: dict[str, Any], template: dict[str, Any]) -> None:
    world = serving.World().put(serving.a_model_service().with_server(resources=resources, template=template))

    with at_most(LIMIT):
        await world.reconcile()

    assert world.status()["phase"] in ("Progressing", "Degraded")


@settings(deadline=None, max_examples=60, suppress_health_check=list(HealthCheck))
@given(resources=RESOURCES, template=TEMPLATES)
async def test_any_training_gets_a_status(resources: dict[str, Any], template: dict[str, Any]) -> None:
    world = training.World().put(training.a_training_job().with_worker(resources=resources, template=template))

    with at_most(LIMIT):
        await world.reconcile()

    assert world.status()["phase"] in ("Starting", "Failed")


HUGE = [
    pytest.param("1e999999", id="huge exponent"),
    pytest.param("1e5000", id="exponent of four digits"),
    pytest.param("1e999999999", id="exponent of nine digits"),
    pytest.param("1e4000", id="more threads than there are atoms"),
    pytest.param("-1", id="negative"),
    pytest.param(10**400, id="long integer"),
]


@pytest.mark.parametrize("cpu", HUGE)
async def test_a_service_with_an_impossible_quantity_says_so(cpu: Any) -> None:
    world = serving.World().put(serving.a_model_service().with_server(resources={"limits": {"cpu": cpu}}))

    outcome = await world.reconcile()

    assert world.condition("Ready") == ("False", "InvalidSpec")
    assert "spec.server.resources.limits.cpu" in world.message("Ready")
    assert outcome.requeue_after == 15.0
    assert world.deployments() == []


@pytest.mark.parametrize("cpu", HUGE)
async def test_a_training_with_an_impossible_quantity_says_so(cpu: Any) -> None:
    world = training.World().put(training.a_training_job().with_worker(resources={"limits": {"cpu": cpu}}))

    await world.reconcile()

    assert world.status()["failure"]["reason"] == "InvalidSpec"
    assert "spec.roles.worker.resources.limits.cpu" in world.status()["failure"]["message"]
    assert world.jobs() == []


KEYS = [
    pytest.param("my model", id="a blank"),
    pytest.param("", id="nothing"),
    pytest.param("a/b/c", id="two slashes"),
    pytest.param("-a", id="a hyphen first"),
    pytest.param("a" * 64, id="too long"),
]


@pytest.mark.parametrize("key", KEYS)
async def test_a_key_that_is_none_is_told(key: str) -> None:
    world = serving.World().put(serving.a_model_service().following(**{key: "churn"}))

    await world.reconcile()

    assert world.condition("Ready") == ("False", "InvalidSpec")
    assert "spec.model.fromTraining.selector.matchLabels" in world.message("Ready")


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("field", ["labels", "annotations", "nodeSelector"])
async def test_a_key_of_the_template_that_is_none_is_told(field: str, key: str) -> None:
    world = training.World().put(training.a_training_job().with_worker(template={field: {key: "x"}}))

    await world.reconcile()

    assert world.status()["failure"]["reason"] == "InvalidSpec"


async def test_what_the_api_server_cannot_read_ends_in_the_status(monkeypatch: pytest.MonkeyPatch) -> None:
    world = serving.World().put(serving.a_model_service().following(model="churn"))
    select = world.cluster.select

    async def refuse(kind: Any, *arguments: Any, **keywords: Any) -> Any:
        if kind == TRAINING_JOB:
            raise Invalid("unable to parse requirement: invalid label key", code=400)
        return await select(kind, *arguments, **keywords)

    monkeypatch.setattr(world.cluster, "select", refuse)
    await world.reconcile()

    assert world.condition("Ready") == ("False", "InvalidSpec")
    assert "invalid label key" in world.message("Ready")


@pytest.mark.parametrize("error", [ValueError("no"), OverflowError("math range error"), RecursionError("deep")])
async def test_whatever_goes_wrong_in_building_children_is_told(
    error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr("trainyard_operator.serving.build.deployment", fail)
    monkeypatch.setattr("trainyard_operator.training.build.attempt_job", fail)
    services = serving.World().put(serving.a_model_service())
    trainings = training.World().put(training.a_training_job())

    await services.reconcile()
    await trainings.reconcile()

    assert services.condition("Ready") == ("False", "InvalidSpec")
    assert str(error) in services.message("Ready")
    assert trainings.conditions()["Stalled"]["reason"] == "InvalidSpec"
    assert services.cluster.peek(MODEL_SERVICE)
