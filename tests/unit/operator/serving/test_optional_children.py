"""Children that a service has only where its spec asks for them: what a later spec leaves out goes from them."""

import pytest

from support.serving import GATEWAY, ModelServiceBuilder, World, a_model_service
from trainyard_operator.cluster.client import without_nulls
from trainyard_operator.cluster.kinds import (
    HORIZONTAL_POD_AUTOSCALER,
    HTTP_ROUTE,
    NETWORK_POLICY,
    SCALED_OBJECT,
    Kind,
)

DOWN = {"scaleDown": {"stabilizationWindowSeconds": 60}}
CPU = [{"cpu": 70}]
SHOP = {"namespaceLabels": {"team": "a"}}


def of_own_metric(**fields: object) -> ModelServiceBuilder:
    return a_model_service().scaling(metrics=[{"pods": {"name": "depth", "average": "10"} | fields}])


def let_in(**peer: object) -> ModelServiceBuilder:
    return a_model_service().with_traffic(networkPolicy=True, allowFrom=[SHOP | peer])


@pytest.mark.parametrize(
    ("kind", "before", "after"),
    [
        pytest.param(
            HORIZONTAL_POD_AUTOSCALER, a_model_service().scaling(behavior=DOWN), a_model_service().scaling(), id="pace"
        ),
        pytest.param(
            HORIZONTAL_POD_AUTOSCALER,
            of_own_metric(matchLabels={"queue": "a"}),
            of_own_metric(),
            id="labels of a metric",
        ),
        pytest.param(
            SCALED_OBJECT,
            a_model_service().with_server(resources={"requests": {"cpu": 1}}).with_keda(),
            a_model_service().with_server(resources={"requests": {"cpu": 1}}).with_keda_by(CPU),
            id="a fallback",
        ),
        pytest.param(NETWORK_POLICY, let_in(podLabels={"app": "shop"}), let_in(), id="labels of pods that are let in"),
        pytest.param(
            HTTP_ROUTE,
            a_model_service().through_gateway(sectionName="rest"),
            a_model_service().with_traffic(gateway={k: v for k, v in GATEWAY.items() if k != "sectionName"}),
            id="a listener",
        ),
    ],
)
async def test_what_a_later_spec_leaves_out_goes(
    kind: Kind, before: ModelServiceBuilder, after: ModelServiceBuilder
) -> None:
    world, fresh = World().put(before), World().put(after)
    await world.run()
    await fresh.run()
    (old,), (wanted,) = world.cluster.peek(kind), fresh.cluster.peek(kind)
    assert without_nulls(old["spec"]) != without_nulls(wanted["spec"])

    await world.update(after).run()

    (changed,) = world.cluster.peek(kind)
    assert without_nulls(changed["spec"]) == without_nulls(wanted["spec"])
    assert changed["metadata"]["uid"] == old["metadata"]["uid"]
