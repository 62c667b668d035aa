"""What may be taken away at once."""

import kubernetes_validate
import pytest

from support.serving import NAMESPACE, World, a_model_service
from trainyard_api.scaling import Disruption
from trainyard_operator.cluster.kinds import DEPLOYMENT, POD_DISRUPTION_BUDGET
from trainyard_operator.serving.disruption import budget

OWNER = a_model_service().build()


@pytest.mark.parametrize("most", [1, "25%"])
def test_the_budget_protects_the_revision_that_serves(most: int | str) -> None:
    made = budget(OWNER, Disruption(max_unavailable=most), revision="abc", replicas=3)

    assert made is not None
    assert made["spec"]["maxUnavailable"] == most
    assert made["spec"]["selector"]["matchLabels"] == {
        "trainyard.dev/model-service": "churn",
        "trainyard.dev/revision": "abc",
    }
    assert made["spec"]["unhealthyPodEvictionPolicy"] == "AlwaysAllow"
    kubernetes_validate.validate(made, "1.29", strict=True)


@pytest.mark.parametrize(("revision", "replicas"), [("abc", 1), ("abc", 0), ("", 3)])
def test_a_single_replica_never_blocks_a_drain(revision: str, replicas: int) -> None:
    assert budget(OWNER, Disruption(), revision=revision, replicas=replicas) is None


async def test_the_budget_follows_the_traffic_and_not_what_comes_up() -> None:
    world = World().put(a_model_service().with_replicas(2))
    await world.run()
    before = world.serving()

    await world.update(a_model_service().with_replicas(2).serving("pvc://models/churn/2")).reconcile()
    (during,) = world.cluster.peek(POD_DISRUPTION_BUDGET, NAMESPACE)
    await world.run()
    (after,) = world.cluster.peek(POD_DISRUPTION_BUDGET, NAMESPACE)

    assert during["spec"]["selector"]["matchLabels"]["trainyard.dev/revision"] == before
    assert after["spec"]["selector"]["matchLabels"]["trainyard.dev/revision"] == world.serving() != before
    await world.update(a_model_service().serving("pvc://models/churn/2")).run()
    assert not world.cluster.peek(POD_DISRUPTION_BUDGET, NAMESPACE)


async def test_new_pods_are_spread_and_those_of_an_older_operator_stay_as_they_are() -> None:
    world = World().put(a_model_service())
    await world.run()
    (deployment,) = world.cluster.peek(DEPLOYMENT, NAMESPACE)
    spread = deployment["spec"]["template"]["spec"].pop("topologySpreadConstraints")
    world.cluster.put(DEPLOYMENT, deployment)

    await world.restart().update(a_model_service().with_replicas(2)).run()

    (after,) = world.cluster.peek(DEPLOYMENT, NAMESPACE)
    assert [rule["topologyKey"] for rule in spread] == ["topology.kubernetes.io/zone", "kubernetes.io/hostname"]
    assert {rule["whenUnsatisfiable"] for rule in spread} == {"ScheduleAnyway"}
    assert "topologySpreadConstraints" not in after["spec"]["template"]["spec"]
    assert after["spec"]["replicas"] == 2


@pytest.mark.parametrize(
    "own", [[], [{"maxSkew": 2, "topologyKey": "rack", "whenUnsatisfiable": "DoNotSchedule"}]], ids=["none", "own"]
)
async def test_a_spread_of_your_own_replaces_ours(own: list[dict[str, object]]) -> None:
    world = World().put(a_model_service().with_server(template={"topologySpreadConstraints": own}))
    await world.reconcile()

    (deployment,) = world.cluster.peek(DEPLOYMENT, NAMESPACE)
    assert deployment["spec"]["template"]["spec"].get("topologySpreadConstraints", []) == own
