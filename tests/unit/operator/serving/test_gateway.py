"""The way in through a Gateway, and the shares that revisions get of it."""

from datetime import timedelta
from typing import Any

import kubernetes_validate
import pytest

from support.serving import GATEWAY, NAMESPACE, START, World, a_model_service
from trainyard_api.traffic import Gateway
from trainyard_operator.cluster.kinds import GRPC_ROUTE, HTTP_ROUTE, SERVICE, Kind
from trainyard_operator.cluster.port import Manifest
from trainyard_operator.serving.canary import Canary, CanaryStep
from trainyard_operator.serving.gateway import Share, backends, grpc_route, http_route, shares
from trainyard_operator.serving.rollout import Route

OWNER = a_model_service().build()
STEPS = (CanaryStep(10, timedelta(minutes=1)), CanaryStep(50, timedelta(minutes=1)))
TWO = (Share("old", 90), Share("new", 10))


def a_route(step: int, *, reached: bool = True, alone: bool = False) -> Route:
    canary = Canary(revision="new", step=step, since=START, reached=START if reached else None, alone=alone)
    return Route("old", START, canary=canary)


@pytest.mark.parametrize(
    ("route", "answering", "weights"),
    [
        pytest.param(Route("old", START), "old", [100], id="one revision"),
        pytest.param(a_route(0), "old new", [90, 10], id="the first step"),
        pytest.param(a_route(0, reached=False), "old new", [100, 0], id="its pods have not answered yet"),
        pytest.param(a_route(1, reached=False), "old new", [90, 10], id="it keeps its share until more pods answer"),
        pytest.param(a_route(1), "old new", [50, 50], id="the second step"),
        pytest.param(a_route(1), "old", [100, 0], id="back at once when it stops to answer"),
        pytest.param(a_route(1), "new", [0, 100], id="nothing else answers"),
        pytest.param(a_route(2), "old new", [50, 50], id="behind the last step it grows"),
        pytest.param(a_route(1, alone=True), "old new", [0, 100], id="a step of all"),
        pytest.param(None, "", [], id="nothing is routed"),
    ],
)
def test_the_shares_are(route: Route | None, answering: str, weights: list[int]) -> None:
    assert [share.weight for share in shares(route, STEPS, answering.split())] == weights


def test_a_revision_has_a_service_of_its_own() -> None:
    made = backends(OWNER, ["old", "new"])

    assert [service["metadata"]["name"] for service in made] == ["churn-old", "churn-new"]
    for service, share in zip(made, TWO, strict=True):
        assert service["spec"]["selector"] == {
            "trainyard.dev/model-service": "churn",
            "trainyard.dev/revision": share.revision,
        }
        kubernetes_validate.validate(service, "1.29", strict=True)


def test_rest_comes_in_on_the_paths_of_the_model_alone() -> None:
    spec = http_route(OWNER, Gateway.model_validate(GATEWAY | {"sectionName": "https"}), TWO)["spec"]

    assert spec["parentRefs"] == [{"name": "edge", "namespace": "infra", "sectionName": "https"}]
    assert spec["hostnames"] == ["models.example.com"]
    (rule,) = spec["rules"]
    taken = {(match["path"]["type"], match["path"]["value"]) for match in rule["matches"]}
    assert taken == {
        ("PathPrefix", "/v1/models/churn"),
        ("Exact", "/v1/models/churn:predict"),
        ("Exact", "/v1/models/churn:classify"),
        ("Exact", "/v1/models/churn:regress"),
    }
    assert rule["backendRefs"] == [
        {"kind": "Service", "name": "churn-old", "port": 8501, "weight": 90},
        {"kind": "Service", "name": "churn-new", "port": 8501, "weight": 10},
    ]


def test_grpc_comes_in_without_the_call_that_reloads_models() -> None:
    spec = grpc_route(OWNER, Gateway.model_validate(GATEWAY), "g.example.com", TWO)["spec"]

    (rule,) = spec["rules"]
    assert spec["hostnames"] == ["g.example.com"]
    assert [match["method"] for match in rule["matches"]] == [
        {"type": "Exact", "service": "tensorflow.serving.PredictionService"},
        {"type": "Exact", "service": "tensorflow.serving.ModelService", "method": "GetModelStatus"},
    ]
    assert [reference["port"] for reference in rule["backendRefs"]] == [8500, 8500]


def weights(world: World, kind: Kind = HTTP_ROUTE) -> dict[str, int]:
    (route,) = world.cluster.peek(kind, NAMESPACE)
    return {backend["name"]: backend["weight"] for backend in route["spec"]["rules"][0]["backendRefs"]}


def services(world: World) -> list[str]:
    return [service["metadata"]["name"] for service in world.cluster.peek(SERVICE, NAMESPACE)]


def through(version: int, *steps: Any) -> Any:
    service = a_model_service().with_replicas(4).through_gateway(grpcHostname="g.example.com")
    manifest: Manifest = service.serving(f"pvc://models/churn/{version}").build()
    manifest["spec"]["rollout"] = {"steps": list(steps)}
    return type(service)(manifest)


async def test_a_canary_gets_its_exact_share_and_then_all() -> None:
    step = {"weight": 10, "hold": "1m"}
    world = World().put(through(1, step))
    await world.run()
    old = f"churn-{world.serving()}"
    assert weights(world) == weights(world, GRPC_ROUTE) == {old: 100}
    assert services(world) == ["churn", old]

    await world.update(through(2, step)).run()
    (new,) = weights(world).keys() - {old}
    assert weights(world) == weights(world, GRPC_ROUTE) == {old: 90, new: 10}
    assert world.status()["canary"]["achieved"] == 10
    assert services(world) == sorted(["churn", old, new])

    for _ in range(4):
        await world.later(minutes=1).run()
    assert weights(world) == weights(world, GRPC_ROUTE) == {new: 100}
    assert services(world) == ["churn", new]


async def test_a_canary_that_loses_its_share_answers_until_gateways_have_followed() -> None:
    step = {"weight": 10, "hold": "1m"}
    world = World().put(through(1, step))
    await world.run()
    old = f"churn-{world.serving()}"
    await world.update(through(2, step)).run()
    (new,) = weights(world).keys() - {old}

    await world.update(through(1, step)).run()
    assert weights(world) == weights(world, GRPC_ROUTE) == {old: 100}
    # A Gateway that has not heard of it yet still finds the Service and pods that answer.
    assert services(world) == sorted(["churn", old, new])
    assert len(world.pods_of(new)) == 1

    assert (await world.later(seconds=4).reconcile()).requeue_after == 1
    await world.restart().later(seconds=1).run()
    assert services(world) == ["churn", old]
    assert not world.pods_of(new)


async def test_a_revision_for_which_old_pods_make_room_gets_requests_as_soon_as_it_answers() -> None:
    world = World(room=4).put(through(1))
    await world.run()
    old = f"churn-{world.serving()}"
    await world.update(through(2)).run()
    seen = []
    for _ in range(40):
        await world.later(seconds=5).reconcile()
        world.control()
        world.start_pods()
        seen.append(weights(world))

    (new,) = seen[-1].keys()
    assert {old: 50, new: 50} in seen
    assert seen[-1] == {new: 100}


async def test_without_the_gateway_nothing_of_it_is_left() -> None:
    world = World().put(through(1))
    await world.run()

    await world.update(a_model_service().with_replicas(4)).run()

    assert not world.cluster.peek(HTTP_ROUTE) + world.cluster.peek(GRPC_ROUTE)
    assert services(world) == ["churn"]
