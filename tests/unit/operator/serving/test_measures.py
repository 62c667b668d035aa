"""What is measured of a service, from its beginning to its end."""

from prometheus_client import CollectorRegistry

from support.serving import LABELS, NAMESPACE, World, a_model_service, a_succeeded_job
from trainyard_operator.cluster.kinds import MODEL_SERVICE
from trainyard_operator.runtime.reconciler import Key
from trainyard_operator.runtime.service_metrics import Measures, ServiceMetrics

KEY = Key("ModelService", NAMESPACE, "churn")
FOLLOWING = a_model_service().following(**LABELS).with_replicas(2)


async def test_a_rollout_is_measured_from_its_start_to_its_outcome() -> None:
    world = World().put(FOLLOWING).put_job(a_succeeded_job(1))
    await world.reconcile()
    first = world.measured[KEY]
    assert first
    assert (first.wanted, first.ready, first.outcomes) == (2, 0, ())
    assert first.rollout_started
    await world.run()
    serving = world.measured[KEY]
    assert serving
    assert (serving.wanted, serving.ready, serving.rollout_started) == (2, 2, None)
    assert serving.model_timestamp == 1795424460.0  # 2026-11-23T09:01:00Z

    world.put_job(a_succeeded_job(2))
    await world.reconcile()
    during = world.measured[KEY]
    assert during
    assert (during.ready, during.model_timestamp) == (2, serving.model_timestamp)
    assert during.rollout_started


async def test_each_outcome_is_counted_once() -> None:
    metrics = ServiceMetrics(registry := CollectorRegistry())
    world = World().put(FOLLOWING).put_job(a_succeeded_job(1))
    outcomes = []
    for version in (1, 2):
        world.put_job(a_succeeded_job(version))
        for _ in range(4):
            await world.reconcile()
            measured = world.measured[KEY]
            assert measured
            metrics.observe(KEY, measured)
            outcomes += measured.outcomes
            world.control()
            world.start_pods()

    assert outcomes == ["Promoted", "Promoted"]
    assert counted(registry, "Promoted") == 2


def counted(registry: CollectorRegistry, outcome: str) -> float | None:
    labels = {"service_namespace": NAMESPACE, "model_service": "churn", "outcome": outcome}
    return registry.get_sample_value("trainyard_model_service_rollouts_total", labels)


async def test_the_series_of_a_service_end_with_it() -> None:
    metrics = ServiceMetrics(registry := CollectorRegistry())
    metrics.observe(KEY, Measures(wanted=2, ready=1, rollout_started=5.0, outcomes=("RolledBack",)))
    assert counted(registry, "RolledBack") == 1
    assert (
        registry.get_sample_value(
            "trainyard_model_service_rollout_started_timestamp_seconds",
            {"service_namespace": NAMESPACE, "model_service": "churn"},
        )
        == 5.0
    )
    metrics.observe(KEY, Measures(wanted=2, ready=2))
    names = {sample.name for family in registry.collect() for sample in family.samples}
    assert "trainyard_model_service_rollout_started_timestamp_seconds" not in names

    metrics.observe(KEY, None)

    assert [sample for family in registry.collect() for sample in family.samples] == []


async def test_a_service_that_is_gone_is_told() -> None:
    world = World().put(FOLLOWING)
    await world.reconcile()
    world.cluster.remove(MODEL_SERVICE, NAMESPACE, "churn")

    await world.reconcile()

    assert world.measured[KEY] is None
