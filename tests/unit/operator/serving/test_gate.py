"""Which versions the gate lets through, with the number that decides; then the same in a service's life."""

from dataclasses import replace
from typing import Any

import pytest

from support.serving import (
    LABELS,
    NAMESPACE,
    ModelServiceBuilder,
    World,
    a_model_service,
    a_succeeded_job,
)
from trainyard_api.gate import GateRule
from trainyard_operator.cluster.kinds import DEPLOYMENT, MODEL_SERVICE, TRAINING_JOB
from trainyard_operator.cluster.port import Manifest
from trainyard_operator.serving.gate import Refusal, choose, refusal
from trainyard_operator.serving.source import ModelVersion, parse_uri


def a_rule(metric: str, **fields: Any) -> GateRule:
    return GateRule.model_validate({"metric": metric} | fields)


def a_version(number: int = 2, **metrics: str) -> ModelVersion:
    found = parse_uri(f"pvc://models/churn/{number}")
    assert isinstance(found, ModelVersion)
    return replace(found, metrics=metrics, training_job=f"churn-{number}")


SERVING = a_version(1, val_loss="0.4", val_accuracy="0.9", lift="3")


@pytest.mark.parametrize(
    ("rule", "metrics"),
    [
        pytest.param(a_rule("val_accuracy", atLeast=0.9), {"val_accuracy": "0.9"}, id="as little as allowed"),
        pytest.param(a_rule("val_loss", atMost=0.5), {"val_loss": "0.5"}, id="as much as allowed"),
        pytest.param(a_rule("val_loss", noWorseThanServing=0), {"val_loss": "0.4"}, id="as good as what serves"),
        pytest.param(a_rule("val_loss", noWorseThanServing=0), {"val_loss": "0.1"}, id="less loss"),
        pytest.param(a_rule("val_loss", noWorseThanServing=0.02), {"val_loss": "0.42"}, id="worse within tolerance"),
        pytest.param(a_rule("val_accuracy", noWorseThanServing=0), {"val_accuracy": "0.95"}, id="more accuracy"),
        pytest.param(a_rule("val_accuracy", noWorseThanServing=0.1), {"val_accuracy": "0.8"}, id="a little less of it"),
        pytest.param(a_rule("lift", noWorseThanServing=0, direction="max"), {"lift": "4"}, id="own metric, more"),
        pytest.param(a_rule("lift", noWorseThanServing=0, direction="min"), {"lift": "2"}, id="own metric, less"),
    ],
)
def test_a_version_that_keeps_the_rule_passes(rule: GateRule, metrics: dict[str, str]) -> None:
    assert refusal([rule], a_version(**metrics), SERVING) is None


@pytest.mark.parametrize(
    ("rule", "metrics", "why"),
    [
        (a_rule("val_accuracy", atLeast=0.9), {"val_accuracy": "0.81"}, "its val_accuracy is 0.81, less than 0.9"),
        (a_rule("val_loss", atMost=0.5), {"val_loss": "0.6"}, "its val_loss is 0.6, more than 0.5"),
        (
            a_rule("val_loss", noWorseThanServing=0),
            {"val_loss": "0.41"},
            "its val_loss is 0.41, worse than the 0.4 of version 1 of churn, which serves",
        ),
        (
            a_rule("val_accuracy", noWorseThanServing=0.02),
            {"val_accuracy": "0.87"},
            "its val_accuracy is 0.87, more than 0.02 worse than the 0.9 of",
        ),
        (a_rule("lift", noWorseThanServing=0, direction="max"), {"lift": "2"}, "its lift is 2, worse than the 3"),
        (a_rule("lift", noWorseThanServing=0, direction="min"), {"lift": "4"}, "its lift is 4, worse than the 3"),
        (a_rule("val_auc", atLeast=0.5), {"loss": "1", "auc": "2"}, "has no metric val_auc (it has auc, loss)"),
        (a_rule("val_auc", atLeast=0.5), {}, "has no metric val_auc (it has none)"),
        (a_rule("val_loss", atMost=9), {"val_loss": "nan"}, "its val_loss is nan"),
        (a_rule("val_loss", noWorseThanServing=9), {"val_loss": "inf"}, "its val_loss is inf"),
        (a_rule("mse", noWorseThanServing=9), {"mse": "1"}, "version 1 of churn, which serves, has no metric mse"),
    ],
)
def test_a_version_that_breaks_the_rule_is_refused_with_the_number(
    rule: GateRule, metrics: dict[str, str], why: str
) -> None:
    said = refusal([rule], a_version(**metrics), SERVING)

    assert said is not None
    assert why in said


def test_where_nothing_serves_there_is_nothing_to_be_worse_than() -> None:
    assert refusal([a_rule("val_loss", noWorseThanServing=0)], a_version(val_loss="9"), None) is None


def test_all_rules_must_hold() -> None:
    gate = [a_rule("loss", atMost=1), a_rule("auc", atLeast=0.5)]

    assert refusal(gate, a_version(loss="0.5", auc="0.6"), None) is None
    assert refusal(gate, a_version(loss="0.5", auc="0.4"), None) is not None


@pytest.mark.parametrize(
    ("metric", "less"),
    [
        ("loss", True), ("val_loss", True), ("output_loss", True), ("mae", True), ("val_mean_absolute_error", True),
        ("root_mean_squared_error", True), ("binary_crossentropy", True), ("kl_divergence", True), ("logcosh", True),
        ("squared_hinge", True), ("false_positives_1", True),
        ("accuracy", False), ("val_auc", False), ("auc_1", False), ("top_k_categorical_accuracy", False),
        ("f1_score", False), ("r2_score", False), ("recall", False), ("mean_io_u", False), ("true_positives", False),
        ("flossiness", False),
    ],
)  # fmt: skip
def test_keras_names_say_what_is_better(metric: str, less: bool) -> None:
    assert a_rule(metric, atLeast=0).less_is_better is less


def test_the_newest_that_passes_is_chosen_and_those_before_it_are_named() -> None:
    versions = [a_version(number, auc=auc) for number, auc in ((4, "0.1"), (3, "0.2"), (2, "0.8"), (1, "0.9"))]

    found = choose(versions, [a_rule("auc", atLeast=0.5)], None)

    assert found.passed == versions[2]
    assert [refused.model.version for refused in found.refused] == [4, 3]
    assert found.summary.startswith(
        "version 4 of churn (TrainingJob 'churn-4') does not pass spec.gate: its auc is 0.1"
    )
    assert found.summary.endswith("; nor do the 1 before it")


def test_what_serves_is_not_put_out_by_a_gate() -> None:
    found = choose([SERVING], [a_rule("val_loss", atMost=0)], SERVING)

    assert found.passed == SERVING


def test_a_refusal_says_which_version_and_training() -> None:
    assert str(Refusal(SERVING, "because")) == (
        "version 1 of churn (TrainingJob 'churn-1') does not pass spec.gate: because"
    )


# In a service's life.


def a_job(version: int, **metrics: str) -> Manifest:
    job = a_succeeded_job(version)
    job["status"]["model"]["metrics"] = metrics
    return job


def gated(*rules: Manifest) -> ModelServiceBuilder:
    service = a_model_service().following(**LABELS)
    return ModelServiceBuilder(service.manifest | {"spec": service.manifest["spec"] | {"gate": list(rules)}})


NO_WORSE = {"metric": "val_loss", "noWorseThanServing": 0.0}


async def a_gated_world(*rules: Manifest, **metrics: str) -> World:
    world = World().put(gated(*rules)).put_job(a_job(1, **metrics))
    await world.run()
    return world


async def test_a_worse_version_is_not_rolled_out_and_the_status_says_why() -> None:
    world = await a_gated_world(NO_WORSE, val_loss="0.4")

    world.put_job(a_job(2, val_loss="0.5"))
    await world.run()

    assert world.status()["current"]["modelVersion"] == 1
    assert world.status()["phase"] == "Ready"
    assert world.condition("GatePassed") == ("False", "GateRefused")
    assert "version 2 of churn (TrainingJob 'churn-2')" in world.message("GatePassed")
    assert "its val_loss is 0.5, worse than the 0.4 of version 1" in world.message("GatePassed")
    assert world.events()[-1] == "Warning GateRefused"
    assert len(world.deployments()) == 1


async def test_the_next_newest_that_passes_takes_over() -> None:
    world = await a_gated_world(NO_WORSE, val_loss="0.4")

    world.put_job(a_job(2, val_loss="0.3")).put_job(a_job(3, val_loss="0.5"))
    await world.run()

    assert world.status()["current"]["modelVersion"] == 2
    assert world.condition("GatePassed") == ("False", "GateRefused")


async def test_where_no_version_passes_the_service_waits_and_says_so() -> None:
    world = await a_gated_world({"metric": "auc", "atLeast": 0.9}, auc="0.8")

    assert world.deployments() == []
    assert (world.status()["phase"], world.condition("Ready")) == ("Pending", ("False", "GateRefused"))
    assert "its auc is 0.8, less than 0.9 (atLeast)" in world.message("Ready")
    assert world.events() == ["Warning GateRefused"]

    world.put_job(a_job(2, auc="0.95"))
    await world.run()

    assert world.status()["current"]["modelVersion"] == 2
    assert world.condition("GatePassed") == ("True", "Passed")


async def test_a_refused_version_is_tried_when_the_gate_changes() -> None:
    world = await a_gated_world(NO_WORSE, val_loss="0.4")
    world.put_job(a_job(2, val_loss="0.5"))
    await world.run()

    world.update(gated(NO_WORSE | {"noWorseThanServing": 0.2}))
    await world.run()

    assert world.status()["current"]["modelVersion"] == 2


@pytest.mark.parametrize("lost", ["nothing", "status"])
async def test_what_serves_is_compared_with_also_after_its_training_is_deleted(lost: str) -> None:
    world = await a_gated_world(NO_WORSE, val_loss="0.4")
    world.cluster.remove(TRAINING_JOB, NAMESPACE, "churn-1")
    if lost == "status":
        world.cluster.set_status(MODEL_SERVICE, NAMESPACE, "churn", {})

    world.put_job(a_job(2, val_loss="0.5"))
    await world.run()

    assert world.status()["current"]["modelVersion"] == 1
    assert "worse than the 0.4" in world.message("GatePassed")


async def test_metrics_that_an_older_operator_did_not_note_come_from_the_training() -> None:
    world = await a_gated_world(NO_WORSE, val_loss="0.4")
    (deployment,) = world.cluster.peek(DEPLOYMENT, NAMESPACE)
    del deployment["metadata"]["annotations"]["trainyard.dev/model-metrics"]
    world.cluster.put(DEPLOYMENT, deployment)
    status = world.status()
    del status["current"]["metrics"]
    world.cluster.set_status(MODEL_SERVICE, NAMESPACE, "churn", status)

    world.put_job(a_job(2, val_loss="0.5"))
    await world.run()

    assert world.status()["current"]["modelVersion"] == 1
    assert "worse than the 0.4" in world.message("GatePassed")


async def test_a_version_on_its_way_that_a_new_gate_refuses_is_given_up() -> None:
    world = await a_gated_world(auc="0.6")
    world.put_job(a_job(2, auc="0.7"))
    await world.reconcile()
    assert len(world.deployments()) == 2
    world.cluster.remove(TRAINING_JOB, NAMESPACE, "churn-2")

    world.update(gated({"metric": "auc", "atLeast": 0.9}))
    await world.run()

    assert world.status()["current"]["modelVersion"] == 1
    assert len(world.deployments()) == 1


async def test_without_a_gate_there_is_no_such_condition() -> None:
    world = await a_gated_world(auc="0.6")

    assert "GatePassed" not in {one["type"] for one in world.status()["conditions"]}
    assert world.status()["current"]["metrics"] == {"auc": "0.6"}
