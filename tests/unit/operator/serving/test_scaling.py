"""Replicas that follow the load: the autoscaler, and who writes the number when."""

from typing import Any

import kubernetes_validate
import pytest

from support.fake_cluster import FakeCluster
from support.serving import LABELS, NAMESPACE, ModelServiceBuilder, World, a_model_service, a_succeeded_job
from trainyard_api.modelservice import ModelServiceSpec
from trainyard_api.scaling import Scaling
from trainyard_operator.cluster.client import without_nulls
from trainyard_operator.cluster.errors import NotFound
from trainyard_operator.cluster.kinds import DEPLOYMENT, HORIZONTAL_POD_AUTOSCALER, MODEL_SERVICE, SCALED_OBJECT, Kind
from trainyard_operator.cluster.port import Manifest
from trainyard_operator.serving.scaling import autoscaler, canonical, replicas_before_autoscaler, scaled_object

OWNER = a_model_service().build()


def an_autoscaler(*metrics: Manifest, **fields: Any) -> Manifest:
    scaling = {"max": 10, "metrics": list(metrics) or [{"cpu": 70}]} | fields
    made: Manifest = without_nulls(autoscaler(OWNER, Scaling.model_validate(scaling)))
    return made


def pods(name: str, average: str, **more: Any) -> Manifest:
    target = {"type": "AverageValue", "averageValue": average}
    return {"type": "Pods", "pods": {"metric": {"name": name} | more, "target": target}}


def utilization(resource: str, percent: int) -> Manifest:
    return {
        "type": "Resource",
        "resource": {"name": resource, "target": {"type": "Utilization", "averageUtilization": percent}},
    }


LAGS = {"name": "lag", "matchLabels": {"queue": "churn"}}
LAG = {"name": "lag", "selector": {"matchLabels": {"queue": "churn"}}}


@pytest.mark.parametrize(
    ("metric", "built"),
    [
        ({"cpu": 70}, utilization("cpu", 70)),
        ({"memory": 80}, utilization("memory", 80)),
        ({"requestsPerSecond": 20}, pods("tensorflow_serving_request_count_per_second", "20")),
        ({"requestsPerSecond": "0.5"}, pods("tensorflow_serving_request_count_per_second", "500m")),
        ({"latency": "50ms"}, pods("tensorflow_serving_request_latency_p95", "50k")),
        ({"latency": "1500ms"}, pods("tensorflow_serving_request_latency_p95", "1500k")),
        ({"latency": "2s"}, pods("tensorflow_serving_request_latency_p95", "2M")),
        ({"gpuDutyCycle": 60}, pods("tensorflow_serving_gpu_duty_cycle", "60")),
        (
            {"pods": {"name": "depth", "average": "3", "matchLabels": {"tier": "a"}}},
            pods("depth", "3", selector={"matchLabels": {"tier": "a"}}),
        ),
        (
            {"external": LAGS | {"average": 100}},
            {
                "type": "External",
                "external": {"metric": LAG, "target": {"type": "AverageValue", "averageValue": "100"}},
            },
        ),
        (
            {"external": LAGS | {"value": "1500"}},
            {"type": "External", "external": {"metric": LAG, "target": {"type": "Value", "value": "1500"}}},
        ),
    ],
    ids=str,
)
def test_each_metric_becomes_one_of_autoscaling_v2(metric: Manifest, built: Manifest) -> None:
    made = an_autoscaler(metric)

    assert made["spec"]["metrics"] == [built]
    kubernetes_validate.validate(made, "1.29", strict=True)


def test_the_autoscaler_aims_at_the_service_and_not_at_one_of_its_revisions() -> None:
    rules = {"policies": [{"type": "Pods", "value": 1, "periodSeconds": 60}], "selectPolicy": "Max"}
    made = an_autoscaler(min=2, behavior={"scaleDown": {"stabilizationWindowSeconds": 60} | rules})

    assert made["spec"]["scaleTargetRef"] == {
        "apiVersion": "trainyard.dev/v1alpha1",
        "kind": "ModelService",
        "name": "churn",
    }
    assert (made["spec"]["minReplicas"], made["spec"]["maxReplicas"]) == (2, 10)
    assert made["spec"]["behavior"] == {"scaleDown": {"stabilizationWindowSeconds": 60} | rules}
    kubernetes_validate.validate(made, "1.29", strict=True)


@pytest.mark.parametrize(
    ("written", "stored"),
    [(20, "20"), ("0.5", "500m"), ("1000", "1k"), ("1500m", "1500m"), ("2000m", "2"), ("1Gi", "1073741824"),
     ("1e3", "1k"), ("0.00001", "1m"), ("5M", "5M")],
)  # fmt: skip
def test_quantities_are_written_as_the_api_server_keeps_them(written: object, stored: str) -> None:
    assert canonical(written) == stored


@pytest.mark.parametrize(
    ("replicas", "running", "begins"),
    [
        pytest.param(1, 5, 5, id="what runs goes on"),
        pytest.param(1, 0, 2, id="a new service begins with the fewest"),
        pytest.param(3, 1, 3, id="what the spec asks for, as long as it is more"),
        pytest.param(1, 50, 10, id="never more than the most"),
        pytest.param(0, 5, 0, id="what is stopped stays stopped"),
    ],
)
def test_an_autoscaler_begins_with(replicas: int, running: int, begins: int) -> None:
    spec = a_model_service().with_replicas(replicas).scaling(min=2).build()["spec"]

    assert replicas_before_autoscaler(ModelServiceSpec.model_validate(spec), running) == begins


def a_scaled_object(*metrics: Manifest, keda: Manifest, **fields: Any) -> Manifest:
    scaling = Scaling.model_validate(
        {"max": 10, "metrics": list(metrics), "keda": {"prometheus": "http://prometheus:9090"} | keda} | fields
    )
    assert scaling.keda
    made: Manifest = without_nulls(scaled_object(OWNER, scaling, scaling.keda)["spec"])
    return made


def test_keda_takes_silence_of_prometheus_for_an_error_and_keeps_all_replicas() -> None:
    spec = a_scaled_object({"cpu": 70}, {"requestsPerSecond": "0.5"}, {"latency": "50ms"}, keda={}, min=2)

    resource, *asked = spec["triggers"]
    assert resource == {"type": "cpu", "metricType": "Utilization", "metadata": {"value": "70"}}
    assert [(each["type"], each["metricType"]) for each in asked] == [("prometheus", "AverageValue")] * 2
    assert {each["metadata"]["ignoreNullValues"] for each in asked} == {"false"}
    assert [each["metadata"]["threshold"] for each in asked] == ["0.5", "50000"]
    assert all('namespace="team",pod=~"churn-[0-9a-f]{8}-.+"' in each["metadata"]["query"] for each in asked)
    assert spec["fallback"] == {"failureThreshold": 3, "replicas": 10}
    assert (spec["minReplicaCount"], spec["maxReplicaCount"]) == (2, 10)
    assert spec["scaleTargetRef"]["kind"] == "ModelService"


def test_keda_stops_the_last_replica_only_where_it_is_asked_to() -> None:
    queries = [{"query": "sum(queue_depth)", "average": 5}]

    kept = a_scaled_object(keda={"queries": queries})
    stopped = a_scaled_object(keda={"queries": queries, "scaleToZero": True, "cooldown": "10m", "fallback": 2})

    assert kept["minReplicaCount"] == 1
    assert (stopped["minReplicaCount"], stopped["cooldownPeriod"]) == (0, 600)
    assert stopped["fallback"]["replicas"] == 2
    assert "fallback" not in a_scaled_object({"cpu": 70}, keda={})


async def test_keda_takes_the_place_of_the_autoscaler_and_back() -> None:
    world = await a_world_with(a_model_service().with_replicas(5).scaling())
    await world.update(a_model_service().with_replicas(5).with_keda()).run()
    assert not world.cluster.peek(HORIZONTAL_POD_AUTOSCALER)
    assert len(world.cluster.peek(SCALED_OBJECT)) == 1

    await world.update(a_model_service().with_replicas(5).scaling()).run()
    assert len(world.cluster.peek(HORIZONTAL_POD_AUTOSCALER)) == 1
    assert not world.cluster.peek(SCALED_OBJECT)
    assert replicas(world) == (5, [5])


class WithoutKeda(FakeCluster):
    """A cluster that has never heard of ScaledObjects."""

    async def create(self, kind: Kind, manifest: Manifest) -> Manifest:
        if kind == SCALED_OBJECT:
            raise NotFound("the server could not find the requested resource", code=404)
        return await super().create(kind, manifest)


async def test_a_kind_that_the_cluster_lacks_is_told_and_the_model_is_served() -> None:
    world = World(cluster=WithoutKeda()).put(a_model_service().with_replicas(3).with_keda())
    await world.run()

    assert world.status()["phase"] == "Ready"
    assert world.condition("Incomplete") == ("True", "KindMissing")
    assert "ScaledObject (keda.sh/v1alpha1)" in world.message("Incomplete")
    assert "install KEDA" in world.message("Incomplete")
    assert world.events().count("Warning KindMissing") == 1
    await scale(world, 1).run()
    assert replicas(world) == (1, [1])


async def a_world_with(service: ModelServiceBuilder) -> World:
    world = World().put(service)
    await world.run()
    assert world.status()["phase"] == "Ready"
    return world


def replicas(world: World) -> tuple[int, list[int]]:
    (service,) = world.cluster.peek(MODEL_SERVICE, NAMESPACE)
    return service["spec"].get("replicas", 1), [
        each["spec"]["replicas"] for each in world.cluster.peek(DEPLOYMENT, NAMESPACE)
    ]


def scale(world: World, count: int) -> World:
    """The autoscaler, or a person, sets the number."""
    (service,) = world.cluster.peek(MODEL_SERVICE, NAMESPACE)
    service["spec"]["replicas"] = count
    world.cluster.put(MODEL_SERVICE, service)
    return world


async def test_handing_over_to_an_autoscaler_stops_no_pod() -> None:
    world = await a_world_with(a_model_service().with_replicas(5))
    pods_before = world.pods_of(world.deployments()[0])

    # The manifest names no replicas any more: the API server fills in 1.
    await world.update(a_model_service().with_replicas(1).scaling()).run()

    assert replicas(world) == (5, [5])
    assert len(world.cluster.peek(HORIZONTAL_POD_AUTOSCALER)) == 1
    assert [pod["metadata"]["uid"] for pod in world.pods_of(world.deployments()[0])] == [
        pod["metadata"]["uid"] for pod in pods_before
    ]


@pytest.mark.parametrize("death", range(40))
async def test_whoever_dies_while_handing_over_stops_no_pod(death: int) -> None:
    world = await a_world_with(a_model_service().with_replicas(5))
    world.cluster.fail_after = len(world.cluster.calls) + death

    await world.update(a_model_service().with_replicas(1).scaling()).run_and_die()

    assert replicas(world) == (5, [5])


async def test_taking_the_autoscaler_back_keeps_its_number() -> None:
    world = await a_world_with(a_model_service().scaling())
    await scale(world, 7).run()

    (service,) = world.cluster.peek(MODEL_SERVICE, NAMESPACE)
    del service["spec"]["scaling"]
    world.cluster.put(MODEL_SERVICE, service)
    await world.run()

    assert not world.cluster.peek(HORIZONTAL_POD_AUTOSCALER)
    assert replicas(world) == (7, [7])


@pytest.mark.parametrize("spec", [a_model_service(), a_model_service().scaling()], ids=["alone", "beside ours"])
@pytest.mark.parametrize("count", [3, 1, 0])
async def test_the_number_that_somebody_writes_is_never_fought(spec: ModelServiceBuilder, count: int) -> None:
    world = await a_world_with(spec)
    await scale(world, 4).run()
    world.cluster.calls.clear()

    await scale(world, count).run()

    assert replicas(world) == (count, [count])
    assert "scale" not in [verb for verb, _ in world.cluster.calls]


async def test_one_autoscaler_lives_through_all_revisions() -> None:
    world = World().put(a_model_service().following(**LABELS).scaling(min=2)).put_job(a_succeeded_job(1))
    await world.run()
    (before,) = world.cluster.peek(HORIZONTAL_POD_AUTOSCALER)

    world.put_job(a_succeeded_job(2))
    await world.reconcile()
    await scale(world, 4).run()

    assert world.cluster.peek(HORIZONTAL_POD_AUTOSCALER) == [before]
    assert world.status()["current"]["modelVersion"] == 2
    assert world.status()["ready"] == "4/4"


async def test_nothing_is_written_at_rest() -> None:
    world = await a_world_with(a_model_service().scaling(min=2))
    world.cluster.calls.clear()

    await world.reconcile()

    assert not world.cluster.writes


async def test_an_autoscaler_of_somebody_elses_name_is_left_alone_and_told() -> None:
    theirs = {"metadata": {"name": "churn", "namespace": NAMESPACE}, "spec": {"maxReplicas": 3}}
    world = World().put(a_model_service().scaling(min=2))
    world.cluster.put(HORIZONTAL_POD_AUTOSCALER, theirs)
    await world.run()
    await scale(world, 3).run()
    await scale(world, 1).run()

    (found,) = world.cluster.peek(HORIZONTAL_POD_AUTOSCALER)
    assert found["spec"] == {"maxReplicas": 3}
    assert world.status()["phase"] == "Ready"
    assert world.condition("Incomplete") == ("True", "NameTaken")
    assert replicas(world) == (1, [1])
    assert world.events().count("Warning NameTaken") == 1
